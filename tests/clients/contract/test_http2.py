"""Speaks HTTP/2 where asked: many exchanges over one connection, none in another's way."""

import asyncio
import ssl
from collections.abc import AsyncIterator

import pytest

from scraper import errors
from scraper.request import Request
from scraper.response import Response
from tests.clients.browser import Browser
from tests.clients.http2_site import Http2Site
from tests.clients.servers import HOST, HttpProxy, SocksProxy, listening


class Visitor:
    """Asks one site, over HTTP/2."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self._browser = browser

    async def get(self, path: str, **request) -> Response:
        return await self._browser.get(self.url + path, http2=True, **request)

    async def fails(self, path: str, **request) -> errors.FetchError:
        return await self._browser.fails(self.url + path, http2=True, **request)

    async def open(self, path: str):
        return await self._browser.client.open(Request(self.url + path, http2=True))


@pytest.fixture
def second() -> Http2Site:
    return Http2Site()


@pytest.fixture
async def visitor(trusting: Browser, second: Http2Site, tls2: ssl.SSLContext) -> AsyncIterator[Visitor]:
    async with listening(second, tls=tls2) as port:
        yield Visitor(trusting, f"https://{HOST}:{port}")


# ── an exchange ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_comes(visitor: Visitor, second: Http2Site):
    response = await visitor.get("/a%20b?c=%C3%A9", headers={"User-Agent": "bot", "Connection": "close"})
    assert (response.status, response.css("h1::text").get()) == (200, "/a%20b?c=%C3%A9")
    assert dict(second.asked[0].headers) == {"user-agent": "bot"}


async def test_status_and_headers_come_as_they_are(visitor: Visitor):
    response = await visitor.get("/headers")
    assert (response.status, response.body) == (404, b"")
    assert response.headers.getall("X-Twice") == ["one", "two"]
    assert response.headers["x-latin"] == "café"


async def test_hints_before_the_answer_are_not_the_answer(visitor: Visitor):
    assert (await visitor.get("/hints")).css("h1::text").get() == "/hints"


async def test_a_body_is_sent(visitor: Visitor, second: Http2Site):
    await visitor.get("/post", method="POST", body=b"x" * 300_000)  # beyond any window
    assert (second.asked[0].method, len(second.asked[0].body)) == ("POST", 300_000)


async def test_head_and_methods_without_a_body(visitor: Visitor, second: Http2Site):
    for method in ("HEAD", "POST", "DELETE"):
        assert (await visitor.get("/page", method=method)).status == 200
    assert [asked.method for asked in second.asked] == ["HEAD", "POST", "DELETE"]


async def test_a_large_body_comes_whole(visitor: Visitor):
    assert (await visitor.get("/big/900000")).body == b"x" * 900_000


async def test_a_site_that_is_read_slowly_waits(visitor: Visitor, second: Http2Site):
    incoming = await visitor.open("/big/100000000")
    pieces = incoming.chunks()
    await anext(pieces)
    await second.until(lambda: second.blocked)
    assert second.sent < 40_000_000
    await pieces.aclose()
    await incoming.close()


# ── one connection ───────────────────────────────────────────────────────────────────────────────────────


async def test_many_at_once_share_a_connection(visitor: Visitor, second: Http2Site):
    responses = await asyncio.gather(*(visitor.get(f"/{n}") for n in range(50)))
    assert [response.css("h1::text").get() for response in responses] == [f"/{n}" for n in range(50)]
    assert second.accepted == 1
    assert second.busiest > 10


async def test_no_more_at_once_than_the_site_wants(visitor: Visitor, second: Http2Site):
    second.most_at_once = 5
    await visitor.get("/first")  # now the client knows
    await asyncio.gather(*(visitor.get(f"/{n}") for n in range(30)))
    assert second.busiest <= 5


async def test_a_silent_page_is_in_nobodys_way(visitor: Visitor, second: Http2Site):
    silent = [asyncio.create_task(visitor.get("/never")) for _ in range(3)]
    await second.until(lambda: second.hits("/never") == 3)
    for n in range(5):
        pages = await asyncio.gather(*(visitor.get(f"/{n}", timeout=5) for _ in range(5)))
        assert [page.status for page in pages] == [200] * 5
    for task in silent:
        task.cancel()
    await asyncio.wait(silent)


async def test_a_fetch_that_is_cancelled_ends_its_own_exchange_only(visitor: Visitor, second: Http2Site):
    for path in ("/never", "/stall"):
        fetching = asyncio.create_task(visitor.get(path))
        await second.until(lambda path=path: second.hits(path) == 1)
        fetching.cancel()
        await asyncio.wait([fetching])
        await second.until(lambda path=path: path in second.resets)
    assert (await visitor.get("/page")).status == 200
    assert second.accepted == 1


async def test_what_nobody_reads_to_its_end_leaves_room_for_others(visitor: Visitor, second: Http2Site):
    for _ in range(20):  # more than any window of a connection, in all
        with pytest.raises(errors.BodyTooLarge):
            await visitor.get("/big/3000000")
    assert len((await visitor.get("/big/900000")).body) == 900_000
    assert second.accepted == 1


async def test_a_connection_goes_through_a_proxy(visitor: Visitor, second: Http2Site):
    async with listening(HttpProxy()) as one, listening(SocksProxy()) as two:
        for proxy in (f"http://{HOST}:{one}", f"socks5://{HOST}:{two}"):
            pages = await asyncio.gather(*(visitor.get("/page", proxy=proxy) for _ in range(5)))
            assert [page.status for page in pages] == [200] * 5
    assert second.accepted == 2


# ── what may go wrong ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/reset/INTERNAL_ERROR", errors.ConnectionLost),
        ("/reset/CANCEL", errors.ConnectionLost),
        ("/cut", errors.ConnectionLost | errors.BodyTruncated),
        # not every library tells which
        ("/goaway/INTERNAL_ERROR", errors.ConnectionLost | errors.ProtocolViolation),
        ("/goaway/ENHANCE_YOUR_CALM", errors.ConnectionLost | errors.ProtocolViolation),
        ("/hang-up", errors.ConnectionLost),
        ("/garbage", errors.ProtocolViolation),
    ],
)
async def test_a_fault_of_the_site_has_its_name(visitor: Visitor, path: str, kind: type):
    error = await visitor.fails(path)
    assert isinstance(error, kind)
    assert error.retryable
    assert (await visitor.get("/page")).status == 200


async def test_a_request_that_the_site_refused_may_be_tried_again(visitor: Visitor):
    assert (await visitor.fails("/reset/REFUSED_STREAM")).retryable


async def test_an_exchange_that_breaks_off_is_alone_in_that(visitor: Visitor, second: Http2Site):
    stalled = await visitor.open("/stall")
    await visitor.fails("/reset/INTERNAL_ERROR")
    await visitor.fails("/cut")
    assert (await visitor.get("/page")).status == 200
    assert second.accepted == 1
    await stalled.close()


async def test_a_connection_that_ends_politely_takes_nobody_with_it(visitor: Visitor, second: Http2Site):
    before = await visitor.open("/stall")
    response = await visitor.get("/goaway/NO_ERROR")
    assert response.css("h1::text").get() == "/goaway/NO_ERROR"
    assert (await visitor.get("/after")).status == 200
    assert [asked.connection for asked in second.asked] == [1, 1, 2]
    await before.close()


async def test_a_connection_that_ended_behind_an_answer_is_not_used(visitor: Visitor, second: Http2Site):
    for _ in range(3):
        await visitor.get("/goodbye")
        await second.until(lambda: second.open == 0)
    assert second.accepted == 3


@pytest.mark.parametrize(
    "wrong",
    [{"headers": {"X-One": "a\r\nX-Two: b"}}, {"headers": {"X-One\n": "a"}}, {"method": "GET\r\nX: b"}],
)
async def test_what_would_break_the_request_is_not_sent(visitor: Visitor, second: Http2Site, wrong: dict):
    assert isinstance(await visitor.fails("/page", **wrong), errors.InvalidRequest)
    assert second.asked == []
