"""Handles: curl's easy handles, their options set once, each for one exchange after the other."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from curl_cffi import AsyncCurl, Curl, CurlError, CurlOpt
from multidict import CIMultiDict

from scraper.request import Request

ENOUGH = 262_144  # bytes that nobody has taken: the site waits
PAUSE = 0x10000001  # CURL_WRITEFUNC_PAUSE and CURL_READFUNC_PAUSE
ABORT = 0x10000000  # CURL_READFUNC_ABORT
RECEIVING, NOTHING = 1, 0  # CURLPAUSE_RECV, CURLPAUSE_CONT

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
BREAKS = re.compile(r"[\0\r\n]")
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})  # methods that say so where there is none (RFC 9110 §8.6)
UNSAFE = frozenset({"POST", "PATCH"})  # methods that may not be sent twice (RFC 9110 §9.2.2)
UNSENT = {"accept": "Accept:", "content-type": "Content-Type:", "expect": "Expect:"}  # what curl would add


class Handle:
    """Raises CurlError, and ValueError for what can't be sent. `options`: of all its exchanges."""

    def __init__(self, multi: AsyncCurl, options: Mapping[CurlOpt, Any], browser: str) -> None:
        self._multi = multi
        self._curl = Curl()
        self._browser = browser
        if browser:
            self._curl.impersonate(browser)
        for option, value in options.items():
            self._curl.setopt(option, value)
        self._listen()
        self._headers: Mapping[str, str] | None = None  # the last exchange's
        self._proxy = ""
        self._simple = True  # a GET without a body

    def _listen(self) -> None:
        self._curl.setopt(CurlOpt.HEADERFUNCTION, self._on_header)
        self._curl.setopt(CurlOpt.WRITEFUNCTION, self._on_body)
        self._curl.setopt(CurlOpt.READFUNCTION, self._on_upload)

    # ── an exchange ──────────────────────────────────────────────────────────────────────────────────────

    async def send(self, request: Request, proxy: str) -> None:
        """Until the headers of the answer are here."""
        self._lines: list[bytes] = []
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pieces: deque[bytes] = deque()
        self._size = 0  # bytes in them
        self._paused = False
        self._reader: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self.status = 0
        self.done = False
        self._prepare(request, proxy)
        self._upload = Upload(request.body, self._go_on)  # type: ignore[arg-type]  # a str has become bytes
        self._multi.add_handle(self._curl).add_done_callback(self._on_end)
        try:
            await self._answered
        except BaseException:
            self.leave()
            raise

    def headers(self) -> CIMultiDict[str]:
        return CIMultiDict(_fields(self._lines))

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            while self._pieces:
                piece = self._pieces.popleft()
                self._size -= len(piece)
                if self._paused and self._size <= ENOUGH:
                    self._paused = False
                    self._curl.pause(NOTHING)
                yield piece
            if self.done:
                break
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        if self._error is not None:
            raise self._error

    def leave(self) -> bool:
        """Ends the exchange, whether it was over or not. Whether another one may follow."""
        sound = self.done and self._error is None
        if not self.done:
            self.done = True
            self._multi.remove_handle(self._curl)  # hangs up; over HTTP/2, resets the stream
        self._upload.stop()
        self._answered.cancel()
        return sound

    def close(self) -> None:
        self._curl.close()

    # ── before it ────────────────────────────────────────────────────────────────────────────────────────

    def _prepare(self, request: Request, proxy: str) -> None:
        simple = request.method == "GET" and not request.body
        self._curl.setopt(CurlOpt.URL, request.url.partition("#")[0])
        if request.headers is not self._headers:
            self._set_headers(request.headers)
        if proxy != self._proxy:
            self._curl.setopt(CurlOpt.PROXY, proxy)
            self._proxy = proxy
        if not (simple and self._simple):
            self._set_method(request)
        self._simple = simple

    def _set_headers(self, headers: Mapping[str, str]) -> None:
        self._headers = None
        lines = list(_lines(headers))
        unsent = {"expect"} if self._browser else UNSENT.keys()
        lines += [UNSENT[name] for name in unsent - {name.lower() for name in headers}]
        self._curl.clean_handles_and_buffers()  # the last ones; and what listens
        self._listen()
        self._curl.setopt(CurlOpt.HTTPHEADER, [line.encode("utf-8", "surrogateescape") for line in lines])
        self._headers = headers

    def _set_method(self, request: Request) -> None:
        method, body, curl = request.method, request.body, self._curl
        if not TOKEN.fullmatch(method):
            raise ValueError("That is no method.")
        curl.setopt(CurlOpt.HTTPGET, 1)  # forgets the last body
        curl.setopt(CurlOpt.CUSTOMREQUEST, method)
        curl.setopt(CurlOpt.NOBODY, method == "HEAD")
        # curl sends again what a connection broke under, if it can: a body is never read twice, and without one
        # only a new connection prevents it
        curl.setopt(CurlOpt.FRESH_CONNECT, method in UNSAFE and not body)
        if body:
            curl.setopt(CurlOpt.UPLOAD, 1)
            curl.setopt(CurlOpt.INFILESIZE_LARGE, len(body) if isinstance(body, bytes) else -1)
        elif method in WITH_BODY:
            curl.setopt(CurlOpt.POST, 1)
            curl.setopt(CurlOpt.POSTFIELDSIZE, 0)

    # ── what curl says ───────────────────────────────────────────────────────────────────────────────────

    def _on_header(self, line: bytes) -> int:
        if self._answered.done():
            pass  # a trailer
        elif line.startswith(b"HTTP/"):
            self.status = int(line.split(None, 2)[1])
            self._lines.clear()
        elif line.strip():
            self._lines.append(line)
        elif self.status >= 200 or self.status == 101:  # else more headers follow (RFC 9110 §15.2)
            self._answered.set_result(None)
        return len(line)

    def _on_body(self, piece: bytes) -> int:
        if self._size > ENOUGH:
            self._paused = True  # it comes again
            return PAUSE
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()
        return len(piece)

    def _on_upload(self, size: int) -> bytes | memoryview | int:
        return self._upload.take(size)

    def _go_on(self) -> None:
        """More of the body is there to be sent."""
        if not self.done:
            self._curl.pause(RECEIVING if self._paused else NOTHING)

    def _on_end(self, running: asyncio.Future[None]) -> None:
        if self.done:
            return  # left
        self.done = True
        self._error = self._upload.error or running.exception()
        if not self._answered.done():
            self._answered.set_exception(self._error or CurlError("The answer has no headers."))
            self._answered.exception()  # who asked may have left
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Upload:
    """The body of a request on its way: all of it, or piece by piece as it is made."""

    def __init__(self, body: bytes | AsyncIterable[bytes], go_on: Callable[[], None]) -> None:
        self._go_on = go_on
        self._hungry: asyncio.Future[None] | None = None
        self._making: asyncio.Task[None] | None = None
        self._ended = isinstance(body, bytes)
        self._rest = memoryview(b"")  # what there is of it
        self.error: Exception | None = None
        if isinstance(body, bytes):
            self._rest = memoryview(body)
        else:
            self._making = asyncio.get_running_loop().create_task(self._make(body))

    def take(self, size: int) -> memoryview | int:
        """For curl: at most so many bytes, none at the end; or that it waits, or gives up."""
        if self.error is not None:
            return ABORT
        if not self._rest and not self._ended:
            if self._hungry is not None and not self._hungry.done():
                self._hungry.set_result(None)
            return PAUSE
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def stop(self) -> None:
        if self._making is not None:
            self._making.cancel()

    async def _make(self, body: AsyncIterable[bytes]) -> None:
        try:
            async for piece in body:
                self._rest = memoryview(piece)
                self._hungry = asyncio.get_running_loop().create_future()
                self._go_on()
                await self._hungry
            self._ended = True
        except Exception as error:  # noqa: BLE001  # the reader of the answer gets it
            self.error = error
        self._go_on()


def _lines(headers: Mapping[str, str]) -> Iterator[str]:
    """As curl takes them. Raises ValueError."""
    for name, value in headers.items():
        if not TOKEN.fullmatch(name) or BREAKS.search(value):
            raise ValueError(f"The header {name!r} can't be sent with this value.")
        yield f"{name}: {value}" if value.strip() else f"{name};"


def _fields(lines: list[bytes]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in b" \t" and fields:  # goes on with the last one (RFC 9112 §5.2)
            name, value = fields.pop()
            fields.append((name, f"{value} {_text(line)}"))
        else:
            named, _, said = line.partition(b":")
            fields.append((_text(named), _text(said)))
    return fields


def _text(said: bytes) -> str:
    return said.strip().decode("utf-8", "surrogateescape")
