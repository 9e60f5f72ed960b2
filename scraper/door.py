"""The door: above every client, where bytes are timed, counted, bounded, decoded, and a Response is made."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from scraper import decoding
from scraper.errors import BodyTooLarge, BodyUndecodable, InvalidRequest, ReadTimeout, TotalTimeout
from scraper.protocols import Client, Incoming
from scraper.request import Request
from scraper.response import Response
from scraper.saving import Download
from scraper.settings import Timeouts

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

    async def fetch(self, client: Client, request: Request) -> Response:
        """One exchange. Raises FetchError; StorageError where a file can't be written."""
        if request.save_to is None:
            return await self._exchange(client, request, None)
        path = self._root / request.save_to
        if path in self._saving:
            raise InvalidRequest(f"Another request is saving to '{path}' now.", request=request)
        self._saving.add(path)
        try:
            return await self._exchange(client, request, Download(path, request))
        finally:
            self._saving.discard(path)

    async def _exchange(self, client: Client, request: Request, download: Download | None) -> Response:
        loop = asyncio.get_running_loop()
        started = loop.time()
        patience = request.timeout
        if patience is None:
            patience = math.inf if download else self._timeouts.total
        silence = self._timeouts.read
        # until the headers are here a silence can't be told from connecting, which the client times itself
        timer = asyncio.timeout_at(min(started + patience, started + self._timeouts.connect + silence))
        try:
            async with timer:
                incoming = await client.open(download.asking() if download else request)
                try:
                    return await self._read(incoming, request, download, timer, started, patience)
                finally:
                    await incoming.close()
        except TimeoutError as error:
            # by the deadline that was set, not by the clock: timers may ring a millisecond early
            if (timer.when() or 0.0) >= started + patience:
                raise TotalTimeout(f"Not whole after {patience:g} s.", request=request) from error
            raise ReadTimeout(f"Nothing came for {silence:g} s.", request=request) from error

    async def _read(
        self,
        incoming: Incoming,
        request: Request,
        download: Download | None,
        timer: asyncio.Timeout,
        started: float,
        patience: float,
    ) -> Response:
        loop = asyncio.get_running_loop()
        deadline = started + patience
        saving = await download.begin(incoming) if download and download.wants(incoming) else None
        reader = Body(incoming, request, request.max_body or (math.inf if saving else self._max_body))
        saved = None
        parts: list[bytes] = []
        try:
            async with aclosing(reader.decoded()) as steps:  # type: ignore[type-var]  # an async generator
                timer.reschedule(min(deadline, loop.time() + self._timeouts.read))
                async for step in steps:
                    if saving is None:
                        parts.append(step)
                    else:
                        await saving.write(step)
                    timer.reschedule(min(deadline, loop.time() + self._timeouts.read))
            if saving is not None:
                timer.reschedule(None)  # all of it has come: what is left is the disk's time
                saved = await saving.finish()
        finally:
            if saving is not None:
                await saving.close()
        return Response(
            request.url,
            incoming.status,
            incoming.headers,
            parts[0] if len(parts) == 1 else b"".join(parts),
            request,
            wire_bytes=reader.wire_bytes,
            elapsed=loop.time() - started,
            saved=saved,
        )


class Body:
    """An incoming body, decoded step by step and held to a limit of bytes."""

    def __init__(self, incoming: Incoming, request: Request, limit: float) -> None:
        self._incoming = incoming
        self._request = request
        self._limit = limit
        self.wire_bytes = 0

    async def decoded(self) -> AsyncIterator[bytes]:
        try:
            chain = self._decoders()
            size = 0
            async for chunk in self._incoming.chunks():
                self.wire_bytes += len(chunk)
                self._check(self.wire_bytes, "on the wire")
                for step in decoding.feed(chain, chunk):
                    size += len(step)
                    self._check(size, "decoded")
                    yield step
            for decoder in chain:
                decoder.end()
        except decoding.Undecodable as error:
            raise BodyUndecodable(f"The body can't be decoded: {error}.", request=self._request) from error

    def _decoders(self) -> list[decoding.Decoder]:
        codings = self._incoming.headers.getall("Content-Encoding", None)
        if codings is None or self._request.method == "HEAD" or self._incoming.status in BODILESS:
            return []
        return decoding.decoders(", ".join(codings))

    def _check(self, size: int, where: str) -> None:
        if size > self._limit:
            raise BodyTooLarge(f"The body has more than {self._limit} bytes {where}.", request=self._request)
