"""A site that talks: a WebSocket at /ticks, as each test wants it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, web

HOST = "127.0.0.1"
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


class Ticker:
    """`talk` runs for each socket that is opened, then it is closed in order. `asked`: the handshakes."""

    def __init__(
        self, talk: Talk, *, disallowed: bool = False, refusals: list[web.Response] | None = None
    ) -> None:
        self._talk = talk
        self._disallowed = disallowed
        self._refusals = refusals or []
        self.asked: list[web.Request] = []
        self.open = 0
        self.codes: list[int | None] = []  # what each socket was closed with, by the other side
        self._changed = asyncio.Condition()
        self.url = ""

    async def _robots(self, _: web.Request) -> web.Response:
        return web.Response(text="User-agent: *\nDisallow: /ticks\n" if self._disallowed else "")

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=f"<h1>{request.match_info['n']}</h1>", content_type="text/html")

    async def _ticks(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self._refusals:
            return self._refusals.pop(0)
        socket = web.WebSocketResponse(autoping="deaf" not in request.query, protocols=())
        socket.headers["Set-Cookie"] = f"visit={len(self.asked)}; Path=/"
        await socket.prepare(request)
        self.open += 1
        try:
            await self._talk(socket)
            await socket.close(code=WSCloseCode.OK)
        finally:
            self.open -= 1
            self.codes.append(socket.close_code)
            async with self._changed:
                self._changed.notify_all()
        return socket

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(true)

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/robots.txt", self._robots),
                web.get("/ticks", self._ticks),
                web.get("/page/{n}", self._page),
            ]
        )
        return app


@asynccontextmanager
async def serving(ticker: Ticker, tls: ssl.SSLContext | None = None) -> AsyncIterator[Ticker]:
    runner = web.AppRunner(ticker.application(), handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    ticker.url = f"{'wss' if tls else 'ws'}://{HOST}:{port}/ticks"
    try:
        yield ticker
    finally:
        await runner.cleanup()


def numbers(first: int, last: int) -> Talk:
    """{"n": first} … {"n": last}, one message each."""

    async def talk(socket: web.WebSocketResponse) -> None:
        for n in range(first, last + 1):
            await socket.send_json({"n": n})

    return talk


async def for_ever(socket: web.WebSocketResponse) -> None:
    """Says nothing, and listens until the other side leaves."""
    async for _ in socket:
        pass


def drop(socket: web.WebSocketResponse) -> None:
    """Breaks the connection, without a word."""
    transport = socket._req.transport
    transport.abort()
