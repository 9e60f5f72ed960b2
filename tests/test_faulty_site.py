"""The faulty site breaks what its paths say and nothing else; its sound pages are in faulty/test_pages.py."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.faulty import KNOWN_HTML, TEXTS, FaultySite
from tests.faulty.bodies import CODINGS
from tests.faulty.probe import ask, connect, fetch, send, unchunk
from tests.faulty.raw import BODY, HALF

FOREVER_MS = 3_600_000
STALLED = ["/never", "/stall", f"/slow?ms={FOREVER_MS}", f"/drip?ms={FOREVER_MS}", "/big?bytes=100000000"]
CODECS = {
    "windows-1252": "cp1252",
    "iso-8859-1": "cp1252",
    "shift_jis": "shift_jis",
    "utf-16": "utf-16",
    "utf-16-be": "utf-16",
    "euc-jp": "utf-8-sig",
    "header-over-meta": "euc-jp",
    "none": "utf-8",
    "unknown": "utf-8",
    "invalid": "utf-8",
}


@pytest.fixture
async def site() -> AsyncIterator[FaultySite]:
    async with FaultySite() as site:
        yield site


@pytest.fixture
async def browser(site: FaultySite) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as browser:
        yield browser


# bodies.py and encodings.py


async def test_sized_bodies_have_their_size(site: FaultySite) -> None:
    assert len(unchunk((await fetch(site.url, "/big?bytes=150000")).body)) == 150_000
    assert len((await fetch(site.url, "/big-length?bytes=150000")).body) == 150_000
    assert (await fetch(site.url, "/drip?bytes=5&ms=1")).body == b"....."


@pytest.mark.parametrize("coding", list(CODINGS))
async def test_coded_pages_decode_to_the_known_page_and_bombs_explode(
    browser: aiohttp.ClientSession, coding: str
) -> None:
    async with browser.get(f"/{coding}") as response:
        assert response.headers["Content-Encoding"] == coding.removesuffix("-raw")
        assert await response.text() == KNOWN_HTML
    async with browser.get(f"/bomb/{coding}?mb=2") as response:
        assert len(await response.read()) == 2_000_000


async def test_a_bomb_is_small_on_the_wire(site: FaultySite) -> None:
    assert len((await fetch(site.url, "/gzip-bomb?mb=5")).body) < 10_000


async def test_bad_codings_are_bad(site: FaultySite, browser: aiohttp.ClientSession) -> None:
    for target in ("/gzip-broken", "/coding-unknown"):
        assert (await fetch(site.url, target)).body == KNOWN_HTML.encode()
    whole, half = await fetch(site.url, "/gzip"), await fetch(site.url, "/gzip-truncated")
    assert half.body == whole.body[: len(whole.body) // 2]
    assert (await fetch(site.url, "/gzip-double")).field("Content-Encoding") == "gzip, gzip"
    with pytest.raises(aiohttp.ClientPayloadError):
        await (await browser.get("/gzip-broken")).read()


@pytest.mark.parametrize(("name", "codec"), CODECS.items())
async def test_an_encoded_page_reads_as_promised(site: FaultySite, name: str, codec: str) -> None:
    reply = await fetch(site.url, f"/encoding/{name}")
    assert f"<h1>{TEXTS[name]}</h1>" in reply.body.decode(codec, errors="replace")
    assert reply.head.count(b"Content-Type: text/html") == 1


# raw.py


@pytest.mark.parametrize(
    ("target", "data", "reset"),
    [
        ("/reset", b"", True),
        ("/reset-middle", HALF, True),
        ("/flaky-reset/a?fails=1", b"", True),
        ("/empty-reply", b"", False),
        ("/truncated", HALF, False),
        ("/truncated-chunked", BODY + b"\r\n", False),
        ("/wrong-length-short", BODY, False),
        ("/bad-chunk", HALF + b"\r\nzz\r\nwhat\r\n", False),
        ("/not-http", b"SSH-2.0-OpenSSH_9.9\r\n\x00\x01\x02\r\n\r\n", False),
        ("/keepalive-close", BODY, False),
    ],
)
async def test_an_answer_breaks_off_as_it_says(
    site: FaultySite, target: str, data: bytes, reset: bool
) -> None:
    async with asyncio.timeout(1):
        reply = await send(site.url, ask(target))
    assert reply.data.endswith(data)
    assert bool(reply.data) == bool(data)
    assert reply.reset == reset


async def test_announced_lengths_lie(site: FaultySite) -> None:
    for target, length in (("/truncated", BODY), ("/stall", BODY), ("/wrong-length-short", HALF)):
        reader, writer = await connect(site.url)
        writer.write(ask(target))
        assert b"Content-Length: %d\r\n" % len(length) in await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()


async def test_broken_heads_are_broken(site: FaultySite) -> None:
    assert (await fetch(site.url, "/huge-header?kb=100")).field("X-Huge") == "x" * 102_400
    assert (await fetch(site.url, "/bad-header")).head.split(b"\r\n")[1] == b"this is no header"


async def test_a_flaky_connection_recovers(site: FaultySite) -> None:
    replies = [await fetch(site.url, "/flaky-reset/a?fails=2") for _ in range(3)]
    assert [reply.reset for reply in replies] == [True, True, False]
    assert b"<h1>Flaky a</h1>" in replies[2].body


async def test_a_slow_page_comes_after_its_time(site: FaultySite) -> None:
    start = time.perf_counter()
    assert (await fetch(site.url, "/slow?ms=20")).status == 200
    assert time.perf_counter() - start >= 0.02


async def test_a_stale_connection_breaks_at_its_second_request(site: FaultySite) -> None:
    reader, writer = await connect(site.url)
    writer.write(ask("/keepalive-stale"))
    assert (await reader.readuntil(BODY)).count(b"Connection: keep-alive") == 1
    writer.write(ask("/ok/1"))
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert site.hits("/ok/1") == 0
    writer.transport.abort()


# site.py


async def test_a_sound_answer_keeps_the_connection(site: FaultySite, browser: aiohttp.ClientSession) -> None:
    for target in ("/ok/1", "/big", "/gzip", "/204", "/flaky/a", "/flaky/a", "/slow?ms=0"):
        await (await browser.get(target)).read()
    assert site.accepted == site.connections == 1


async def test_the_log_tells_each_request_in_order_and_hits_count_them(site: FaultySite) -> None:
    await fetch(site.url, "/ok/1?a=1", "X-One: 1")
    await fetch(site.url, "http://site/ok/1", method="HEAD")
    assert [(seen.method, seen.path) for seen in site.log] == [
        ("GET", "/ok/1?a=1"),
        ("HEAD", "http://site/ok/1"),
    ]
    assert site.log[0].headers["x-one"] == "1"
    assert (site.hits("/ok/1"), site.hits("/ok/1?a=1"), site.hits("/ok/2")) == (2, 1, 0)


async def test_sites_share_nothing(site: FaultySite) -> None:
    async with FaultySite() as other:
        await fetch(other.url, "/flaky/a")
        assert (other.hits("/flaky/a"), site.hits("/flaky/a")) == (1, 0)


@pytest.mark.parametrize("target", STALLED[:3])
async def test_a_stalled_answer_ends_when_the_client_leaves(site: FaultySite, target: str) -> None:
    _, writer = await connect(site.url)
    writer.write(ask(target))
    await site.until(lambda: site.hits(target) == 1)
    writer.close()
    async with asyncio.timeout(1):
        await site.until(lambda: site.connections == 0)


async def test_the_site_closes_at_once_whatever_is_under_way() -> None:
    async with FaultySite() as site:
        pending = [asyncio.create_task(send(site.url, ask(target))) for target in STALLED]
        idle = await connect(site.url)
        await site.until(lambda: len(site.log) == len(STALLED))
        start = time.perf_counter()
    assert time.perf_counter() - start < 0.1
    never, stall, *_ = await asyncio.gather(*pending)
    assert (never.data, stall.data[-len(HALF) :]) == (b"", HALF)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    idle[1].transport.abort()


async def test_a_connection_that_comes_as_the_site_closes_is_closed_too() -> None:
    for steps in range(6):
        async with FaultySite() as site:
            late = socket.create_connection(("127.0.0.1", urlsplit(site.url).port))
            for _ in range(steps):
                await asyncio.sleep(0)
        with late, suppress(ConnectionResetError):
            assert late.recv(1) == b""
