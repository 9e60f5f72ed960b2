"""Opens WebSockets."""

import pytest
from aiohttp import web

from scraper import errors
from scraper.protocols import Connects, Refusal
from scraper.request import Request
from scraper.sockets import Handshake
from tests.clients.browser import Browser
from tests.clients.servers import closed_port
from tests.sockets.ticker import Ticker, drop, numbers, serving


async def connected(browser: Browser, url: str):
    assert isinstance(browser.client, Connects)
    return await browser.client.connect(Handshake.of(Request(url)), silence=5, max_size=100_000)


async def test_messages_go_both_ways(browser: Browser):
    async def echo(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            await socket.send_str(message.data.upper())

    async with serving(Ticker(echo)) as ticker:
        socket = await connected(browser, ticker.url)
        await socket.send("hello")
        assert await socket.receive() == "HELLO"
        await socket.close()


async def test_a_goodbye_is_the_end(browser: Browser):
    async with serving(Ticker(numbers(1, 1))) as ticker:
        socket = await connected(browser, ticker.url)
        assert [await socket.receive(), await socket.receive()] == ['{"n": 1}', None]
        await socket.close()


async def test_a_connection_that_breaks_says_so(browser: Browser):
    async def break_off(socket: web.WebSocketResponse) -> None:
        drop(socket)

    async with serving(Ticker(break_off)) as ticker:
        socket = await connected(browser, ticker.url)
        with pytest.raises(errors.ConnectionLost):
            await socket.receive()
        await socket.close()


async def test_a_site_that_opens_none(browser: Browser):
    async with serving(Ticker(numbers(1, 1), refusals=[web.Response(status=403)])) as ticker:
        answer = await connected(browser, ticker.url)
    assert isinstance(answer, Refusal)
    assert answer.status == 403


async def test_nobody_is_there(browser: Browser):
    with closed_port() as port, pytest.raises(errors.ConnectionRefused):
        await connected(browser, f"ws://127.0.0.1:{port}/")
