"""Hands back what came, the body as it is on the wire, piece by piece."""

import asyncio

import pytest

from scraper.request import Request
from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    listening,
)
from tests.faulty import FaultySite


async def test_headers_that_come_twice_are_both_there(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/duplicate-header")
    assert response.headers.getall("x-twice") == ["one", "two"]
    assert response.headers.getall("Set-Cookie") == ["a=1", "b=2"]


async def test_a_header_may_be_of_any_bytes(browser: Browser, site: FaultySite):
    assert (await browser.get(site.url + "/latin1-header")).headers["X-Latin"].startswith("caf")


async def test_a_body_is_left_as_it_was_sent(browser: Browser, site: FaultySite):
    incoming = await browser.client.open(Request(site.url + "/gzip"))
    body = b"".join([chunk async for chunk in incoming.chunks()])
    await incoming.close()
    assert incoming.headers["Content-Encoding"] == "gzip"
    assert body.startswith(b"\x1f\x8b")
    assert len(body) == int(incoming.headers["Content-Length"])


@pytest.mark.parametrize(
    ("method", "path", "status"), [("HEAD", "/ok/1", 200), ("GET", "/204", 204), ("GET", "/304", 304)]
)
async def test_what_has_no_body_ends_with_its_headers(
    browser: Browser, site: FaultySite, method: str, path: str, status: int
):
    for _ in range(2):
        response = await browser.get(site.url + path, method=method)
        assert (response.status, response.body) == (status, b"")
    assert site.accepted == 1


async def test_a_body_may_end_with_its_connection(browser: Browser):
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nhello")
        writer.write_eof()
        await writer.drain()
        await reader.read()

    async with listening(old) as port:
        assert (await browser.get(f"http://{HOST}:{port}/")).body == b"hello"


async def test_a_body_comes_piece_by_piece(browser: Browser, site: FaultySite):
    incoming = await browser.client.open(Request(site.url + "/stall"))
    pieces = incoming.chunks()
    assert len(await anext(pieces)) > 0  # the rest never comes
    if hasattr(pieces, "aclose"):
        await pieces.aclose()
    await incoming.close()
    await site.until(lambda: site.connections == 0)


async def test_a_site_that_is_read_slowly_waits(browser: Browser):
    sent = 0
    stuck = asyncio.Event()

    async def generous(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n")
        while sent < 400_000_000:
            writer.write(bytes(100_000))
            sent += 100_000
            try:
                async with asyncio.timeout(0.2):
                    await writer.drain()
            except TimeoutError:
                stuck.set()
                await writer.drain()

    async with listening(generous) as port:
        incoming = await browser.client.open(Request(f"http://{HOST}:{port}/"))
        pieces = incoming.chunks()
        await anext(pieces)
        async with asyncio.timeout(10):
            await stuck.wait()
        assert sent < 40_000_000  # what fits in all buffers on the way
        assert sum([len(await anext(pieces)) for _ in range(100)]) > 0  # and it goes on
        if hasattr(pieces, "aclose"):
            await pieces.aclose()
        await incoming.close()
