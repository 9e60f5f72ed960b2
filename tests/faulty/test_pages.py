"""The sound pages of the faulty site: plain ones, statuses, echoes, robots, redirects."""

import json
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.faulty import FaultySite
from tests.faulty.probe import ask, fetch, send


@pytest.fixture
async def site() -> AsyncIterator[FaultySite]:
    async with FaultySite() as site:
        yield site


@pytest.fixture
async def browser(site: FaultySite) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(site.url) as browser:
        yield browser


async def test_a_page_has_a_title_and_a_heading(site: FaultySite) -> None:
    reply = await fetch(site.url, "/ok/7")
    assert reply.status == 200
    assert b"<title>Page 7</title>" in reply.body
    assert b"<h1>Page 7</h1>" in reply.body


@pytest.mark.parametrize(
    "target", ["/", "/nowhere", "/encoding/nowhere", "/cookies/nowhere", "/bomb/nowhere"]
)
async def test_an_unknown_path_is_not_found(site: FaultySite, target: str) -> None:
    reply = await fetch(site.url, target)
    assert (reply.status, b"<h1>Not found</h1>" in reply.body) == (404, True)


@pytest.mark.parametrize(
    "nonsense", [b"hello\r\n\r\n", ask("/", "X: " + "x" * 99_999), ask("/", "Content-Length: x")]
)
async def test_nonsense_is_a_bad_request(site: FaultySite, nonsense: bytes) -> None:
    assert (await send(site.url, nonsense)).data.startswith(b"HTTP/1.1 400 ")


async def test_a_bad_parameter_is_a_bad_request(site: FaultySite) -> None:
    assert (await fetch(site.url, "/always/soon")).status == 400


async def test_links_lead_on_and_odd_ones_lead_nowhere(site: FaultySite) -> None:
    plain = await fetch(site.url, "/links?n=3&prefix=/shop/")
    assert re.findall(rb'href="(.*?)"', plain.body) == [b"/shop/0", b"/shop/1", b"/shop/2"]
    odd = await fetch(site.url, "/links?n=1&odd=1")
    assert all(scheme in odd.body for scheme in (b'"mailto:', b'"javascript:', b'"tel:', b'"data:'))


@pytest.mark.parametrize("status", [200, 404, 429, 503, 599])
async def test_a_status_may_be_for_always(site: FaultySite, status: int) -> None:
    assert [(await fetch(site.url, f"/always/{status}")).status for _ in range(2)] == [status, status]


async def test_a_flaky_page_recovers_and_each_key_counts_for_itself(site: FaultySite) -> None:
    replies = [await fetch(site.url, "/flaky/a?fails=2&status=429&retry_after=7") for _ in range(3)]
    assert [reply.status for reply in replies] == [429, 429, 200]
    assert [reply.field("Retry-After") for reply in replies] == ["7", "7", None]
    assert (await fetch(site.url, "/flaky/b")).status == 503


@pytest.mark.parametrize("status", [204, 304])
async def test_bodiless_statuses_have_no_body(site: FaultySite, status: int) -> None:
    reply = await fetch(site.url, f"/{status}")
    assert (reply.status, reply.body, reply.field("Content-Length")) == (status, b"", None)


@pytest.mark.parametrize("target", ["/head", "/ok/1", "/big-length?bytes=10", "/gzip"])
async def test_head_gets_the_length_and_no_body(site: FaultySite, target: str) -> None:
    head, get = await fetch(site.url, target, method="HEAD"), await fetch(site.url, target)
    assert head.body == b""
    assert head.field("Content-Length") == get.field("Content-Length") == str(len(get.body))


async def test_requests_are_echoed(site: FaultySite) -> None:
    echo = json.loads((await fetch(site.url, "/headers", "X-One: 1", "X-Two: a", "x-two: b")).body)
    assert (echo["x-one"], echo["x-two"]) == ("1", "a, b")
    assert (await fetch(site.url, "/head", method="HEAD")).field("X-Method") == "HEAD"


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 5", b"a=1&b"),
        ("Transfer-Encoding: chunked", b"3\r\na=1\r\n2\r\n&b\r\n0\r\nX-Trailer: 1\r\n\r\n"),
    ],
)
async def test_a_body_is_echoed(site: FaultySite, framing: str, body: bytes) -> None:
    reply = await fetch(site.url, "/post", "Content-Type: text/x", framing, method="PUT", body=body)
    assert json.loads(reply.body) == {"method": "PUT", "body": "a=1&b", "content-type": "text/x"}


async def test_a_body_that_waits_for_100_is_asked_for(browser: aiohttp.ClientSession) -> None:
    async with browser.post("/post", data="ok", expect100=True) as response:
        assert (await response.json())["body"] == "ok"


async def test_cookies_are_set_and_shown(site: FaultySite) -> None:
    reply = await fetch(site.url, "/cookies/set?name=basket&value=2&attributes=Path%3D/a;%20HttpOnly")
    assert reply.field("Set-Cookie") == "basket=2; Path=/a; HttpOnly"
    assert json.loads((await fetch(site.url, "/cookies/show", "Cookie: a=1; b=x=y")).body) == {
        "a": "1",
        "b": "x=y",
    }
    assert json.loads((await fetch(site.url, "/cookies/show")).body) == {}


async def test_odd_headers_come_as_they_are(site: FaultySite) -> None:
    twice = await fetch(site.url, "/duplicate-header")
    assert (twice.head.count(b"X-Twice: "), twice.head.count(b"Set-Cookie: ")) == (2, 2)
    assert (await fetch(site.url, "/latin1-header")).head.endswith(b"X-Latin: caf\xe9")


async def test_a_content_type_may_be_anything_or_missing(site: FaultySite) -> None:
    pdf = await fetch(site.url, "/content-type/application/pdf?body=%25PDF")
    assert (pdf.field("Content-Type"), pdf.body) == ("application/pdf", b"%PDF")
    assert (await fetch(site.url, "/content-type/none")).field("Content-Type") is None


async def test_robots_are_a_text_a_status_or_another_paths_behaviour(site: FaultySite) -> None:
    assert (await fetch(site.url, "/robots.txt")).body == b"User-agent: *\nDisallow:\n"
    site.robots = "User-agent: *\nDisallow: /"
    assert (await fetch(site.url, "/robots.txt")).body == b"User-agent: *\nDisallow: /"
    site.robots = 503
    assert (await fetch(site.url, "/robots.txt")).status == 503
    site.robots = "/reset"
    assert (await fetch(site.url, "/robots.txt")).reset
    assert (site.hits("/robots.txt"), site.hits("/reset")) == (4, 0)


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/redirect/2", "/redirect/1"),
        ("/redirect/1", "/ok/0"),
        ("/redirect-to?url=http://elsewhere.test/%3Fa%3Db", "http://elsewhere.test/?a=b"),
        ("/redirect-self", "/redirect-self"),
        ("/redirect-loop", "/redirect-loop/back"),
        ("/redirect-loop/back", "/redirect-loop"),
        ("/redirect-bad", "http://[broken/"),
        ("/redirect-none", None),
    ],
)
async def test_a_redirect_leads_where_it_says(site: FaultySite, target: str, location: str | None) -> None:
    reply = await fetch(site.url, target)
    assert (reply.status, reply.field("Location")) == (302, location)


async def test_redirects_have_as_many_hops_as_asked_for(
    site: FaultySite, browser: aiohttp.ClientSession
) -> None:
    async with browser.get("/redirect/3") as response:
        assert (len(response.history), response.url.path) == (3, "/ok/0")
    assert (await fetch(site.url, "/redirect-to?url=/ok/1&status=308")).status == 308
