"""The requests client: the library in threads, for a site that needs an adapter or an auth plug-in of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self, TypeVar

from multidict import CIMultiDict

from scraper import errors
from scraper.clients.proxy_urls import proxy_of
from scraper.request import Request
from scraper.settings import Settings
from scraper.tls import context, unverified_hosts
from scraper.urls import host, lane

try:
    import requests

    from scraper.clients.requests_errors import FOREIGN, translated
    from scraper.clients.requests_lines import Line, Tls
    from scraper.clients.requests_sessions import factory
except ImportError:
    raise errors.MissingExtra("client = 'requests'", "requests") from None

T = TypeVar("T")

MOST_THREADS = 128  # unless the settings say otherwise
REMOTE_NAMES = {"socks5": "socks5h"}  # the proxy looks names up in any case; socks4 has no room for one


class RequestsIncoming:
    def __init__(
        self, client: RequestsClient, line: Line, request: Request, response: requests.Response
    ) -> None:
        self._client = client
        self._line: Line | None = line
        self._request = request
        self.status = response.status_code
        found = getattr(response.raw, "headers", response.headers)
        self.headers: CIMultiDict[str] = CIMultiDict(
            [(name, _as_sent(value)) for name, value in found.items()]
        )
        if line.content is not None:
            self.headers.popall("Content-Encoding", None)

    async def chunks(self) -> AsyncIterator[bytes]:
        while self._line is not None and not self._line.ended:
            try:
                piece = await self._client.in_thread(self._line, self._line.read)
            except self._client.foreign as error:
                raise translated(error, self._request) from error
            if piece:
                yield piece

    async def close(self) -> None:
        if self._line is not None:
            self._client.leave(self._line)
            self._line = None


class RequestsClient:
    """`threads`: exchanges at once; who comes when all are busy waits as long as for a slot on the wire.

    `session`: a function, as `"my_project.sessions:make"`, that makes a `requests.Session` with the adapters, the
    auth and the headers that a site needs. It is called in a thread, once for every exchange that goes on at the
    same time: no session is ever in two hands. Its retries, its adapters (but the library's own) and what its auth
    sends are its own; redirects, cookies that sites set, and the environment are ours as with every client.

    `connect`: seconds for name, TCP, TLS and a proxy's tunnel; `net`: seconds of silence after which a thread gives
    up whatever happens; `patience`: seconds to wait for a thread.
    """

    def __init__(
        self,
        *,
        connect: float,
        net: float,
        patience: float,
        tls: Tls,
        threads: int = MOST_THREADS,
        session: str = "",
    ) -> None:
        if not isinstance(threads, int) or threads < 1:
            raise ValueError(f"threads is a number from 1 on, not {threads!r}")
        self._make = factory(session) if session else requests.Session
        self.foreign = (Exception,) if session else FOREIGN  # an adapter, an auth may raise whatever it likes
        self._connect = connect
        self._net = net
        self._patience = patience
        self._tls = tls
        self._most = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="requests")
        self._permits = asyncio.Semaphore(threads)
        self._free: list[Line] = []  # the last one used is the last one
        self._busy: dict[Line, Future[Any] | None] = {}
        self._closed = False

    @classmethod
    def from_settings(cls, settings: Settings, *, threads: int | None = None, session: str = "") -> Self:
        unverified = unverified_hosts(settings)

        def is_loose(url: str) -> bool:
            return bool(unverified) and (host(url) in unverified or lane(url) in unverified)

        timeouts = settings.timeouts
        return cls(
            connect=timeouts.connect,
            net=timeouts.connect + 2 * timeouts.read,  # the door's timers ring long before
            patience=timeouts.pool,
            tls=Tls(context(settings.tls), context(settings.tls, verify=False), is_loose),
            threads=min(settings.concurrency, MOST_THREADS) if threads is None else threads,
            session=session,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Shuts what is open. A thread that looks up a name can't be stopped; it ends when the system gives up."""
        self._closed = True
        for line in self._busy:
            line.hang_up()
        if running := [job for job in self._busy.values() if job is not None and not job.done()]:
            await asyncio.to_thread(concurrent.futures.wait, running, self._connect)
        for line in self._free:
            line.close()
        self._free.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def open(self, request: Request) -> RequestsIncoming:
        proxy = _remote(proxy_of(request))
        await self._permit(request)
        line = self._line(proxy, _place(request.url))
        try:
            response = await self._answer(line, request)
        except BaseException as error:
            connecting = line.connecting
            self.leave(line)
            if isinstance(error, errors.FetchError):
                error.request = request
            elif isinstance(error, self.foreign):
                raise translated(error, request, connecting=connecting) from error
            raise
        return RequestsIncoming(self, line, request, response)

    # ── threads ──────────────────────────────────────────────────────────────────────────────────────────

    async def _permit(self, request: Request) -> None:
        try:
            async with asyncio.timeout(self._patience if self._permits.locked() else None):
                await self._permits.acquire()
        except TimeoutError as error:
            raise errors.PoolTimeout(
                f"None of {self._most} threads became free in {self._patience:g} s.", request=request
            ) from error

    def _line(self, proxy: str, place: str) -> Line:
        """One that was there before, else one that nobody uses, else a new one."""
        free = [line for line in reversed(self._free) if line.proxy == proxy]
        line = next((line for line in free if place in line.places), free[0] if free else None)
        if line is None:
            line = Line(self._make, proxy=proxy, tls=self._tls, connect=self._connect, net=self._net)
        else:
            self._free.remove(line)
        if place not in line.places:
            line.places.append(place)
        self._busy[line] = None
        return line

    async def _answer(self, line: Line, request: Request) -> requests.Response:
        job = self._busy[line] = self._threads.submit(line.send, request, asyncio.get_running_loop())
        waiting = asyncio.wrap_future(job)
        try:
            # the library's own timeout is for each address of a name, and not for looking it up
            done, _ = await asyncio.wait([waiting], timeout=self._connect)
            if not done and line.connecting:
                raise TimeoutError(f"no connection within {self._connect:g} s")
            response: requests.Response = await waiting
            return response
        finally:
            waiting.cancel()

    async def in_thread(self, line: Line, work: Callable[[], T]) -> T:
        """What `work` returns. `leave` frees the thread of one who does not wait for it."""
        job = self._busy[line] = self._threads.submit(work)
        return await asyncio.wrap_future(job)

    def leave(self, line: Line) -> None:
        """Gives the line back, now or when its thread has ended."""
        job = self._busy[line]
        if job is None or job.done():
            self._rest(line)
            return
        line.hang_up()
        loop = asyncio.get_running_loop()

        def ended(_: Future[Any]) -> None:
            try:
                loop.call_soon_threadsafe(self._rest, line)
            except RuntimeError:  # the loop is closed: nobody will use the line again
                line.rest()
                line.close()

        job.add_done_callback(ended)

    def _rest(self, line: Line) -> None:
        line.rest()
        del self._busy[line]
        self._permits.release()
        self._free.append(line)
        if self._closed or len(self._free) > self._most:
            self._free.pop(0).close()


def _remote(proxy: str) -> str:
    scheme, colon, rest = proxy.partition(":")
    return REMOTE_NAMES.get(scheme, scheme) + colon + rest


def _place(url: str) -> str:
    return url[: url.find("/", url.find("://") + 3)]


def _as_sent(value: str) -> str:
    """The library reads headers as Latin-1; as aiohttp reads them."""
    if value.isascii():
        return value
    with suppress(UnicodeEncodeError):  # not from the wire
        return value.encode("latin-1").decode("utf-8", "surrogateescape")
    return value
