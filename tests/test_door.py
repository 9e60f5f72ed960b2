"""The door: whatever a client brings is timed, counted, bounded and decoded in one place."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Iterable

import pytest
from multidict import CIMultiDict

from scraper.clients.aiohttp import AiohttpClient
from scraper.door import Door
from scraper.errors import (
    BodyTooLarge,
    BodyUndecodable,
    ConnectionLost,
    FetchError,
    ReadTimeout,
    TotalTimeout,
)
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Timeouts
from scraper.testing import FakeClient, Page
from tests.faulty import KNOWN_HTML, FaultySite

URL = "https://site.example/"
MEGABYTE = 1_000_000
SOON = 0.03  # seconds


class Wire:
    """A client with one answer whose pieces come as a test sends them; it knows whether it was closed."""

    def __init__(
        self, pieces: Iterable[bytes] | AsyncIterator[bytes] = (), *, status: int = 200, headers=()
    ) -> None:
        self.status = status
        self.headers = CIMultiDict(headers)
        self._pieces = pieces
        self.read = 0
        self.closed = 0

    async def open(self, request: Request) -> "Wire":
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        if isinstance(self._pieces, AsyncIterator):
            async for piece in self._pieces:
                self.read += 1
                yield piece
        else:
            for piece in self._pieces:
                self.read += 1
                yield piece

    async def close(self) -> None:
        self.closed += 1


def a_door(*, max_body: int = MEGABYTE, **timeouts: float) -> Door:
    return Door(timeouts=Timeouts(**timeouts), max_body=max_body)


async def through(door: Door, client, **request) -> Response:
    return await door.fetch(client, Request(URL, **request))


# ── what comes out ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_response_is_what_came_and_how_long_it_took():
    wire = Wire([b"<h1>", b"Hello</h1>"], status=418, headers=[("X-A", "1"), ("X-A", "2")])
    response = await through(a_door(), wire)
    assert (response.status, response.body, response.wire_bytes) == (418, b"<h1>Hello</h1>", 14)
    assert (response.url, response.request.url) == (URL, URL)
    assert response.headers.getall("x-a") == ["1", "2"]
    assert response.elapsed >= 0
    assert wire.closed == 1


@pytest.mark.parametrize("name", ["gzip", "deflate", "deflate-raw", "br", "zstd", "gzip-double"])
async def test_every_coding_is_decoded_and_counted_as_it_was_sent(site: FaultySite, name: str):
    async with AiohttpClient(connect=5) as client:
        response = await a_door().fetch(client, Request(f"{site.url}/{name}"))
    assert response.text == KNOWN_HTML
    assert 0 < response.wire_bytes < len(KNOWN_HTML) / 2


@pytest.mark.parametrize("name", ["gzip-broken", "gzip-truncated", "coding-unknown"])
async def test_a_body_that_is_not_what_it_says_is_undecodable(site: FaultySite, name: str):
    async with AiohttpClient(connect=5) as client:
        with pytest.raises(BodyUndecodable) as caught:
            await a_door().fetch(client, Request(f"{site.url}/{name}"))
    assert caught.value.request.url.endswith(name)
    assert not caught.value.retryable


async def test_codings_may_come_in_several_headers():
    body = gzip.compress(gzip.compress(b"hello"))
    wire = Wire([body], headers=[("Content-Encoding", "gzip"), ("Content-Encoding", "gzip")])
    assert (await through(a_door(), wire)).body == b"hello"


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_what_has_no_body_needs_no_decoder(method: str, status: int):
    wire = Wire(status=status, headers={"Content-Encoding": "x-unheard-of"})
    assert (await through(a_door(), wire, method=method)).body == b""


async def test_an_empty_body_is_fine_whatever_its_coding():
    assert (await through(a_door(), Wire(headers={"Content-Encoding": "gzip"}))).body == b""


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("target", ["/big?bytes=3000000", "/big-length?bytes=3000000"])
async def test_a_large_body_is_left_on_the_wire(site: FaultySite, target: str):
    async with AiohttpClient(connect=5) as client:
        with pytest.raises(BodyTooLarge, match="1000000 bytes on the wire"):
            await a_door().fetch(client, Request(site.url + target))
        await site.until(lambda: site.connections == 0)  # and its connection is not used again


@pytest.mark.parametrize("coding", ["gzip", "deflate", "deflate-raw", "br", "zstd"])
async def test_a_bomb_goes_off_in_front_of_the_door(site: FaultySite, coding: str):
    async with AiohttpClient(connect=5) as client:
        with pytest.raises(BodyTooLarge, match="1000000 bytes decoded"):
            await a_door().fetch(client, Request(f"{site.url}/bomb/{coding}?mb=20"))


async def test_a_bomb_takes_no_more_memory_than_a_body_may():
    wire = Wire([gzip.compress(bytes(50 * MEGABYTE), 1)], headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            await through(a_door(max_body=2 * MEGABYTE), wire)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MEGABYTE


async def test_nothing_is_read_beyond_the_bound():
    wire = Wire([b"x" * 400_000 for _ in range(100)])
    with pytest.raises(BodyTooLarge):
        await through(a_door(), wire)
    assert (wire.read, wire.closed) == (3, 1)


async def test_a_body_may_be_as_large_as_the_bound():
    assert len((await through(a_door(max_body=10), Wire([b"x" * 10]))).body) == 10
    with pytest.raises(BodyTooLarge):
        await through(a_door(max_body=10), Wire([b"x" * 11]))


@pytest.mark.parametrize(("size", "fits"), [(10, True), (11, False)])
async def test_a_request_has_a_bound_of_its_own(size: int, fits: bool):
    for door in (a_door(max_body=1), a_door(max_body=MEGABYTE)):
        try:
            response = await through(door, Wire([b"x" * size]), max_body=10)
        except BodyTooLarge:
            assert not fits
        else:
            assert fits
            assert len(response.body) == size


# ── patience ─────────────────────────────────────────────────────────────────────────────────────────────


async def silence() -> AsyncIterator[bytes]:
    yield b"half"
    await asyncio.Event().wait()


async def drip() -> AsyncIterator[bytes]:
    while True:
        yield b"."
        await asyncio.sleep(SOON)


class Mute:
    """A client that never answers."""

    async def open(self, request: Request):
        await asyncio.Event().wait()


async def test_silence_in_a_body_is_a_read_timeout():
    wire = Wire(silence())
    with pytest.raises(ReadTimeout, match=r"Nothing came for 0\.03 s") as caught:
        await through(a_door(read=SOON), wire)
    assert (wire.closed, caught.value.request.url) == (1, URL)


async def test_silence_before_the_headers_is_a_read_timeout():
    with pytest.raises(ReadTimeout):
        await through(a_door(connect=SOON / 2, read=SOON / 2), Mute())


async def test_a_drip_is_cut_off_in_the_end():
    wire = Wire(drip())
    with pytest.raises(TotalTimeout, match=r"Not whole after 0\.3 s"):
        await through(a_door(read=0.2, total=0.3), wire)  # no silence is as long as 0.2 s
    assert wire.read > 2
    assert wire.closed == 1


@pytest.mark.parametrize("client", [Mute(), Wire(silence()), Wire(drip())])
async def test_a_request_has_patience_of_its_own(client):
    with pytest.raises(TotalTimeout, match=r"0\.03 s"):
        await through(a_door(), client, timeout=SOON)


async def test_a_request_may_have_more_patience_than_the_rest():
    async def two() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(2 * SOON)
        yield b"b"

    assert (await through(a_door(total=SOON), Wire(two()), timeout=5)).body == b"ab"


async def test_the_silence_of_a_body_begins_with_its_headers():
    async def late(request: Request) -> bytes:
        await asyncio.sleep(SOON)
        return b"late"

    response = await through(a_door(connect=5, read=SOON / 2), FakeClient({URL: late}))
    assert response.body == b"late"


# ── when it goes wrong ───────────────────────────────────────────────────────────────────────────────────


async def broken() -> AsyncIterator[bytes]:
    yield b"half"
    raise ConnectionLost("gone")


async def test_an_error_of_the_client_comes_through_and_the_answer_is_closed():
    wire = Wire(broken())
    with pytest.raises(ConnectionLost, match="gone"):
        await through(a_door(), wire)
    assert wire.closed == 1


async def test_a_fetch_that_is_cancelled_closes_its_answer():
    reached = asyncio.Event()

    async def until_cancelled() -> AsyncIterator[bytes]:
        yield b"half"
        reached.set()
        await asyncio.Event().wait()

    wire = Wire(until_cancelled())
    task = asyncio.create_task(through(a_door(), wire))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wire.closed == 1


async def test_errors_name_their_request():
    clients = [Wire([b"x" * 11]), Wire([b"x"], headers={"Content-Encoding": "gzip"}), Wire(silence())]
    for client in clients:
        with pytest.raises(FetchError) as caught:
            await through(a_door(read=SOON), client, max_body=10)
        assert caught.value.request.url == URL


# ── a client to come ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_client_may_take_its_time_and_hand_back_ready_html():
    """What renders pages in a browser: no codings, no pieces, a body that was longer than the wire's."""

    async def rendered(request: Request) -> Page:
        await asyncio.sleep(SOON)  # a browser at work
        return Page(200, {"Content-Type": "text/html; charset=utf-8"}, "<h1>Rendered</h1>")

    response = await through(a_door(), FakeClient({URL: rendered}))
    assert response.css("h1::text").get() == "Rendered"
    assert response.elapsed >= SOON * 0.9
