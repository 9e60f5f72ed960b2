"""The door: above every client, where bytes are timed, counted, bounded, decoded, and a Response is made."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scraper import decoding
from scraper.errors import BodyTooLarge, BodyUndecodable, InvalidRequest, ReadTimeout, TotalTimeout
from scraper.patience import Patience, Wait
from scraper.protocols import Client, Connects, Incoming, Refusal
from scraper.request import Request
from scraper.response import Response
from scraper.saving import Download
from scraper.settings import Timeouts
from scraper.sockets import Handshake, SocketResponse

BODILESS = frozenset({204, 304})  # RFC 9110 §6.4.1


class Door:
    """`max_body`: bytes, on the wire and decoded. Where the request has its own `timeout` or `max_body`, that holds.

    What is saved to a file (under `root`) has no other limit than the longest silence.
    """

    def __init__(self, *, timeouts: Timeouts, max_body: int, root: Path = Path()) -> None:
        self._timeouts = timeouts
        self._max_body = max_body
        self._root = root
        self._saving: set[Path] = set()
        self._patience = Patience(timeouts.read)

    def fetch(self, client: Client, request: Request) -> Coroutine[Any, Any, Response]:
        """One exchange. Raises FetchError; StorageError where a file can't be written."""
        if isinstance(request, Handshake):
            return self._connect(client, request)
        if request.save_to is None:
            return self._exchange(client, request, None)
        return self._save(client, request, self._root / request.save_to)

    async def _save(self, client: Client, request: Request, path: Path) -> Response:
        if path in self._saving:
            raise InvalidRequest(f"Another request is saving to '{path}' now.", request=request)
        self._saving.add(path)
        try:
            return await self._exchange(client, request, Download(path, request))
        finally:
            self._saving.discard(path)

    async def _connect(self, client: Client, request: Handshake) -> Response:
        """A socket that is open, or the site's answer that refuses one."""
        if not isinstance(client, Connects):
            raise InvalidRequest(f"{type(client).__name__} opens no WebSockets.", request=request)
        loop = asyncio.get_running_loop()
        started, silence = loop.time(), self._timeouts.read
        patience = min(self._timeouts.total if request.timeout is None else request.timeout, silence)
        try:
            async with asyncio.timeout(patience):
                found = await client.connect(
                    request, silence=silence, max_size=request.max_body or self._max_body
                )
        except TimeoutError as error:
            raise ReadTimeout(f"No WebSocket was open after {patience:g} s.", request=request) from error
        if isinstance(found, Refusal):
            return Response(request.url, found.status, found.headers, b"", request)
        return SocketResponse(request, found, elapsed=loop.time() - started)

    async def _exchange(self, client: Client, request: Request, download: Download | None) -> Response:
        started = self._patience.loop.time()
        patience = request.timeout
        if patience is None:
            patience = math.inf if download else self._timeouts.total
        silence, deadline = self._timeouts.read, started + patience
        # until the headers are here a silence can't be told from connecting, which the client times itself
        wait = self._patience.until(min(deadline, started + self._timeouts.connect + silence))
        try:
            with wait:
                incoming = await client.open(download.asking() if download else request)
                try:
                    return await self._read(incoming, request, download, wait, started, deadline)
                finally:
                    await incoming.close()
        except TimeoutError as error:
            # by the deadline that was set, not by the clock: timers may ring a millisecond early
            if wait.until >= deadline:
                raise TotalTimeout(f"Not whole after {patience:g} s.", request=request) from error
            raise ReadTimeout(f"Nothing came for {silence:g} s.", request=request) from error

    async def _read(
        self,
        incoming: Incoming,
        request: Request,
        download: Download | None,
        wait: Wait,
        started: float,
        deadline: float,
    ) -> Response:
        now, silence = self._patience.loop.time, self._timeouts.read
        saving = await download.begin(incoming) if download and download.wants(incoming) else None
        body = Body(incoming, request, request.max_body or (math.inf if saving else self._max_body))
        saved = None
        parts: list[bytes] = []
        chunks = incoming.chunks()
        try:
            wait.until = min(deadline, now() + silence)
            async for chunk in chunks:
                wait.until = min(deadline, now() + silence)
                if saving is None:
                    parts += body.decoded(chunk)
                    continue
                for step in body.decoded(chunk):
                    await saving.write(step)
                    wait.until = min(deadline, now() + silence)
            body.end()
            if saving is not None:
                wait.until = math.inf  # all of it has come: what is left is the disk's time
                saved = await saving.finish()
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()
            if saving is not None:
                await saving.close()
        return Response(
            request.url,
            incoming.status,
            incoming.headers,
            parts[0] if len(parts) == 1 else b"".join(parts),
            request,
            wire_bytes=body.wire_bytes,
            elapsed=now() - started,
            saved=saved,
        )


class Body:
    """An incoming body, decoded step by step and held to a limit of bytes. Raises BodyUndecodable, BodyTooLarge."""

    def __init__(self, incoming: Incoming, request: Request, limit: float) -> None:
        self._incoming = incoming
        self._request = request
        self._limit = limit
        self._size = 0
        self.wire_bytes = 0
        codings = incoming.headers.getall("Content-Encoding", ())
        self._chain = self._decoders(codings) if codings else []

    def decoded(self, chunk: bytes) -> Iterable[bytes]:
        self.wire_bytes += len(chunk)
        if self.wire_bytes > self._limit:
            raise self._too_large("on the wire")
        return self._steps(chunk) if self._chain else (chunk,)

    def _steps(self, chunk: bytes) -> Iterator[bytes]:
        with self._in_words():
            for step in decoding.feed(self._chain, chunk):
                self._size += len(step)
                if self._size > self._limit:
                    raise self._too_large("decoded")
                yield step

    def end(self) -> None:
        if self._chain:
            with self._in_words():
                for decoder in self._chain:
                    decoder.end()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except decoding.Undecodable as error:
            raise BodyUndecodable(f"The body can't be decoded: {error}.", request=self._request) from error

    def _decoders(self, codings: Sequence[str]) -> list[decoding.Decoder]:
        if self._request.method == "HEAD" or self._incoming.status in BODILESS:
            return []
        with self._in_words():
            return decoding.decoders(", ".join(codings))

    def _too_large(self, where: str) -> BodyTooLarge:
        return BodyTooLarge(f"The body has more than {self._limit} bytes {where}.", request=self._request)
