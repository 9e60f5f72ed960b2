"""Of aiohttp alone: the short way to the wire, and the session's, which is taken where the library is another."""

import asyncio

import pytest

from scraper.clients import aiohttp_exchange
from scraper.clients.aiohttp import AiohttpClient
from scraper.errors import ConnectionLost, ConnectionRefused
from scraper.request import Request
from scraper.settings import Settings
from tests.clients.servers import HOST, closed_port, listening

REQUESTS = [
    Request("http://host/a?b=c%20d", headers={"X-One": "1", "User-Agent": "me", "Accept": "*/*"}),
    Request("http://host/", method="HEAD"),
    Request("http://host/", method="POST"),
    Request("http://host/", method="POST", body=b"four", headers={"content-type": "text/plain"}),
    Request("http://host/", method="PUT", body=b"five!"),
    Request("http://host/", method="DELETE"),
    Request("http://host/", headers={"host": "another.example", "Accept-Encoding": "gzip"}),
]


class Site:
    """Keeps what it was asked. `hangs_up`: instead of answering the first so many."""

    def __init__(self, hangs_up: int = 0) -> None:
        self.asked: list[bytes] = []
        self.hangs_up = hangs_up

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            self.asked.append(head + await reader.readexactly(int(length or 0)))
            if len(self.asked) <= self.hangs_up:
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


@pytest.fixture(params=["short", "session"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(aiohttp_exchange, "KNOWN", request.param == "short")
    return request.param


def test_the_installed_library_is_known():
    """If a new release of aiohttp makes this fail, crawls go on, and lose some speed."""
    assert aiohttp_exchange.is_known()


async def ask(request: Request, port: int) -> int:
    async with AiohttpClient.from_settings(Settings()) as client:
        incoming = await client.open(request.replace(url=request.url.replace("host", f"{HOST}:{port}")))
        assert [chunk async for chunk in incoming.chunks()] == []
        await incoming.close()
        return incoming.status


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda one: one.method)
async def test_both_ways_say_the_same(request_, monkeypatch):
    site = Site()
    async with listening(site) as port:
        for known in (True, False):
            monkeypatch.setattr(aiohttp_exchange, "KNOWN", known)
            assert await ask(request_, port) == 200
    short, by_session = ([line.lower() for line in said.split(b"\r\n")] for said in site.asked)
    assert short[0] == by_session[0]
    assert sorted(short) == sorted(by_session)


async def test_what_may_be_sent_twice_is_when_the_site_hangs_up(way):
    site = Site(hangs_up=1)
    async with listening(site) as port:
        assert await ask(Request("http://host/"), port) == 200
    assert len(site.asked) == 2


async def test_but_only_twice(way):
    site = Site(hangs_up=9)
    async with listening(site) as port:
        with pytest.raises(ConnectionLost):
            await ask(Request("http://host/"), port)
    assert len(site.asked) == 2


async def test_what_may_not_is_not(way):
    site = Site(hangs_up=1)
    async with listening(site) as port:
        with pytest.raises(ConnectionLost):
            await ask(Request("http://host/", method="POST", body=b"pay"), port)
    assert len(site.asked) == 1


async def test_who_refuses_is_asked_once(way):
    with closed_port() as port, pytest.raises(ConnectionRefused):
        await ask(Request("http://host/"), port)
