"""What every client does, on real sockets: sends one request, hands back what came, says what went wrong."""

import asyncio
import gc
import os
import ssl
import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from scraper import errors
from scraper.door import Door
from scraper.parts import CLIENTS, build
from scraper.protocols import Client
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings, Timeouts
from tests.clients.servers import (
    HOST,
    HttpProxy,
    SocksProxy,
    basic,
    closed_port,
    full_port,
    listening,
    mute,
    say_hello,
    talk_plainly,
)
from tests.faulty import FaultySite

PATIENT = Timeouts()
HASTY = Timeouts(connect=0.15, read=0.15, total=5)  # seconds; where a timeout is what is tried
MEGABYTE = 1_000_000


class Browser:
    """A client with the door in front of it, as in a crawl."""

    def __init__(self, name: str, timeouts: Timeouts = PATIENT) -> None:
        self.client: Client = build(name, Settings(timeouts=timeouts), CLIENTS, "client")
        self._door = Door(timeouts=timeouts, max_body=MEGABYTE)

    async def __aenter__(self) -> "Browser":
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.__aexit__(*error)

    async def get(self, url: str, **request) -> Response:
        return await self._door.fetch(self.client, Request(url, **request))

    async def fails(self, url: str, **request) -> errors.FetchError:
        """The error, which has to be whole: ours, with its request, because of the library's."""
        with pytest.raises(errors.FetchError) as caught:
            await self.get(url, **request)
        error = caught.value
        assert error.request.url == url
        assert error.__cause__ is not None
        assert type(error.__cause__).__module__.split(".")[0] != "scraper"
        return error


@pytest.fixture(params=list(CLIENTS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def browser(name: str) -> AsyncIterator[Browser]:
    async with Browser(name) as browser:
        yield browser


@pytest.fixture
async def hasty(name: str) -> AsyncIterator[Browser]:
    async with Browser(name, HASTY) as browser:
        yield browser


# ── one request, as it was asked for ─────────────────────────────────────────────────────────────────────


async def test_a_page_comes_whole(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/ok/1")
    assert (response.status, response.css("h1::text").get()) == (200, "Page 1")
    assert response.wire_bytes == len(response.body)


async def test_a_status_is_no_error(browser: Browser, site: FaultySite):
    for status in (201, 404, 429, 500, 503, 599):
        assert (await browser.get(f"{site.url}/always/{status}")).status == status


async def test_a_body_is_sent_with_its_type(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/post", method="PUT", body="é", headers={"Content-Type": "a/b"})
    assert response.json() == {"method": "PUT", "body": "é", "content-type": "a/b"}
    form = await browser.get(site.url + "/post", form={"a": "1 2", "b": ["x", "y"]})
    assert form.json()["body"] == "a=1+2&b=x&b=y"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS"])
async def test_a_body_is_not_needed(browser: Browser, site: FaultySite, method: str):
    response = await browser.get(site.url + "/post", method=method)
    assert response.json() == {"method": method, "body": "", "content-type": None}


async def test_headers_are_those_of_the_request(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/headers", headers={"User-Agent": "bot", "X-One": "1"})
    sent = response.json()
    assert (sent.pop("user-agent"), sent.pop("x-one")) == ("bot", "1")
    assert set(sent) <= {"host", "connection", "content-length"}


async def test_a_client_adds_no_name_and_no_wish_of_its_own(browser: Browser, site: FaultySite):
    sent = (await browser.get(site.url + "/headers")).json()
    assert set(sent) <= {"host", "connection", "content-length"}


@pytest.mark.parametrize("path", ["/ok/%7Ea%2Fb?q=%20a+b&x=%C3%A9&y='(!)*", "/ok/a;b=c,d@e:f", "/ok//1"])
async def test_a_url_is_sent_to_the_letter(browser: Browser, site: FaultySite, path: str):
    await browser.get(site.url + path)
    assert site.log[-1].path == path


async def test_a_fragment_stays_at_home(browser: Browser, site: FaultySite):
    await browser.get(site.url + "/ok/1#part")
    assert site.log[-1].path == "/ok/1"


async def test_a_password_in_the_url_is_sent_as_basic_authentication(browser: Browser, site: FaultySite):
    url = site.url.replace("//", "//user:p%40ss@")
    assert (await browser.get(url + "/headers")).json()["authorization"] == basic("user", "p@ss")


# ── what comes back ──────────────────────────────────────────────────────────────────────────────────────


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
    await pieces.aclose()
    await incoming.close()
    await site.until(lambda: site.connections == 0)


async def test_a_redirect_is_not_followed(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/redirect/1")
    assert (response.status, response.headers["Location"]) == (302, "/ok/0")
    assert site.hits("/ok/0") == 0


async def test_a_cookie_is_not_remembered(browser: Browser, site: FaultySite):
    await browser.get(site.url + "/cookies/set?name=a&value=1")
    assert (await browser.get(site.url + "/cookies/show")).json() == {}


async def test_the_environments_proxies_are_not_ours(
    name: str, site: FaultySite, monkeypatch: pytest.MonkeyPatch
):
    with closed_port() as port:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, f"http://{HOST}:{port}")
        async with Browser(name) as browser:
            assert (await browser.get(site.url + "/ok/1")).status == 200


# ── connections ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_is_used_again(browser: Browser, site: FaultySite):
    for path in ("/ok/1", "/always/404", "/big?bytes=300000", "/gzip", "/redirect/1"):
        await browser.get(site.url + path)
    assert site.accepted == 1


async def test_many_at_once_get_their_own_pages(browser: Browser, site: FaultySite):
    responses = await asyncio.gather(*(browser.get(f"{site.url}/ok/{n}") for n in range(50)))
    assert [response.css("h1::text").get() for response in responses] == [f"Page {n}" for n in range(50)]


async def test_a_connection_that_was_closed_behind_an_answer_is_not_used(browser: Browser, site: FaultySite):
    for n in range(3):
        assert (await browser.get(site.url + "/keepalive-close")).status == 200
        await site.until(lambda: site.connections == 0)
        assert (await browser.get(f"{site.url}/ok/{n}")).status == 200


async def test_a_connection_that_breaks_under_a_request_is_lost_or_replaced(
    browser: Browser, site: FaultySite
):
    assert (await browser.get(site.url + "/keepalive-stale")).status == 200
    try:
        response = await browser.get(site.url + "/ok/1")
    except errors.ConnectionLost:  # as good: it will be tried again
        response = await browser.get(site.url + "/ok/1")
    assert response.status == 200


async def test_a_request_that_changes_something_is_never_sent_twice(browser: Browser):
    got: list[bytes] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A sound answer; the next request on this connection is read, and the connection closed."""
        got.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        got.append(await reader.readuntil(b"\r\n\r\n"))

    async with listening(once) as port:
        await browser.get(f"http://{HOST}:{port}/", method="POST")
        assert isinstance(
            await browser.fails(f"http://{HOST}:{port}/buy", method="POST"), errors.ConnectionLost
        )
    assert [head.split(b" ")[1] for head in got] == [b"/", b"/buy"]


async def test_an_answer_that_was_not_read_to_its_end_is_no_part_of_the_next(
    browser: Browser, site: FaultySite
):
    with pytest.raises(errors.BodyTooLarge):
        await browser.get(site.url + "/big?bytes=3000000")
    assert (await browser.get(site.url + "/ok/1")).css("h1::text").get() == "Page 1"
    assert site.accepted == 2


async def test_surplus_bytes_are_no_part_of_the_next_answer(browser: Browser, site: FaultySite):
    try:
        response = await browser.get(site.url + "/wrong-length-short")
    except errors.ProtocolViolation:
        pass  # as good: the site said two things
    else:
        assert len(response.body) == int(response.headers["Content-Length"])
    assert (await browser.get(site.url + "/ok/1")).css("h1::text").get() == "Page 1"


async def test_a_fetch_that_is_cancelled_hangs_up(browser: Browser, site: FaultySite):
    for path in ("/never", "/stall"):
        fetching = asyncio.create_task(browser.get(site.url + path))
        await site.until(lambda path=path: site.hits(path) == 1)
        fetching.cancel()
        await asyncio.wait([fetching])
        await site.until(lambda: site.connections == 0)
    assert (await browser.get(site.url + "/ok/1")).status == 200


async def test_a_client_leaves_nothing_open(name: str, site: FaultySite):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with Browser(name) as browser:
            await browser.get(site.url + "/ok/1")
            for path in ("/reset", "/truncated", "/not-http", "/big?bytes=3000000"):
                with pytest.raises(errors.FetchError):
                    await browser.get(site.url + path)
        del browser
        await site.until(lambda: site.connections == 0)
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


# ── what may go wrong ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/reset", errors.ConnectionLost),
        ("/reset-middle", errors.ConnectionLost | errors.BodyTruncated),  # not every library tells which
        ("/empty-reply", errors.ConnectionLost),
        ("/truncated", errors.BodyTruncated),
        pytest.param("/truncated-chunked", errors.BodyTruncated),
        ("/bad-chunk", errors.ProtocolViolation),
        ("/not-http", errors.ProtocolViolation),
        ("/bad-header", errors.ProtocolViolation),
        ("/huge-header?kb=1024", errors.ProtocolViolation),
    ],
)
async def test_a_fault_of_the_site_has_its_name(browser: Browser, site: FaultySite, path: str, kind: type):
    error = await browser.fails(site.url + path)
    assert isinstance(error, kind)
    assert error.retryable
    assert (await browser.get(site.url + "/ok/1")).status == 200  # and the client is none the worse for it


async def test_a_header_may_be_longer_than_any_browser_sends(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/huge-header?kb=60")
    assert len(response.headers["X-Huge"]) == 60 * 1024


async def test_nobody_listens(browser: Browser):
    with closed_port() as port:
        assert isinstance(await browser.fails(f"http://{HOST}:{port}/"), errors.ConnectionRefused)


async def test_a_name_that_does_not_exist(browser: Browser):
    assert isinstance(await browser.fails("http://nosuch.invalid/"), errors.NameNotResolved)


async def test_nobody_picks_up(hasty: Browser):
    with full_port() as port:
        assert isinstance(await hasty.fails(f"http://{HOST}:{port}/"), errors.ConnectTimeout)


@pytest.mark.parametrize("path", ["/never", "/stall"])
async def test_silence(hasty: Browser, site: FaultySite, path: str):
    assert isinstance(await hasty.fails(site.url + path), errors.ReadTimeout)


async def test_a_drip_without_end(browser: Browser, site: FaultySite):
    error = await browser.fails(site.url + "/drip?bytes=1000&ms=20", timeout=0.2)
    assert isinstance(error, errors.TotalTimeout)
    await site.until(lambda: site.connections == 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": {"X-One": "a\r\nX-Two: b"}},
        {"headers": {"X-One\n": "a"}},
        {"headers": {"X-One": "a\0b"}},
        {"method": "GET / HTTP/1.1\r\nX-Two: b\r\n\r\nGET"},
    ],
)
async def test_what_would_break_the_request_is_not_sent(browser: Browser, site: FaultySite, wrong: dict):
    assert isinstance(await browser.fails(site.url + "/ok/1", **wrong), errors.InvalidRequest)
    assert site.log == []


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "mailto:a@site.example", "http://", "http://127.0.0.1:99999/"]
)
async def test_what_is_no_address_of_a_page(browser: Browser, url: str):
    assert isinstance(await browser.fails(url), errors.InvalidRequest)


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side, with a certificate that nobody here trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context


async def test_a_certificate_that_nobody_vouches_for(browser: Browser, tls: ssl.SSLContext):
    async with listening(say_hello, tls=tls) as port:
        error = await browser.fails(f"https://{HOST}:{port}/")
    assert isinstance(error, errors.TLSFailed)
    assert not error.retryable


async def test_a_site_that_does_not_speak_tls(browser: Browser):
    async with listening(talk_plainly) as port:
        assert isinstance(await browser.fails(f"https://{HOST}:{port}/"), errors.TLSFailed)


async def test_a_tls_handshake_that_nobody_answers(hasty: Browser):
    async with listening(mute) as port:
        error = await hasty.fails(f"https://{HOST}:{port}/")
    assert isinstance(error, errors.ConnectTimeout)


FETCH_ONCE = """
import asyncio, sys
from scraper.parts import CLIENTS, build
from scraper.request import Request
from scraper.settings import Settings

async def main(name, url):
    async with build(name, Settings(), CLIENTS, "client") as client:
        incoming = await client.open(Request(url))
        print(incoming.status)
        await incoming.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_a_certificate_that_the_system_trusts(
    name: str, authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
):
    """In a process of its own: who is trusted is read when the library is imported."""
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    async with listening(say_hello, tls=tls) as port:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FETCH_ONCE, name, f"https://{HOST}:{port}/"),
            env={**os.environ, "SSL_CERT_FILE": str(trusted)},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    assert said == b"200\n"


# ── HTTP proxies ─────────────────────────────────────────────────────────────────────────────────────────


async def test_an_http_proxy_is_asked_for_the_whole_url(browser: Browser, site: FaultySite):
    proxy = HttpProxy()
    async with listening(proxy) as port:
        response = await browser.get(site.url + "/ok/1?a=%20", proxy=f"http://{HOST}:{port}")
    assert response.css("h1::text").get() == "Page 1"
    assert proxy.asked == [("GET", site.url + "/ok/1?a=%20", "")]


async def test_an_http_proxy_is_told_who_asks(browser: Browser, site: FaultySite):
    proxy = HttpProxy()
    async with listening(proxy) as port:
        response = await browser.get(site.url + "/headers", proxy=f"http://user:p%40ss@{HOST}:{port}")
    assert [authorization for *_, authorization in proxy.asked] == [basic("user", "p@ss")]
    assert "authorization" not in response.json()


async def test_an_http_proxy_is_a_tunnel_for_https(browser: Browser, tls: ssl.SSLContext):
    proxy = HttpProxy()
    async with listening(proxy) as port, listening(say_hello, tls=tls) as there:
        error = await browser.fails(f"https://{HOST}:{there}/", proxy=f"http://user:pw@{HOST}:{port}")
    assert isinstance(error, errors.TLSFailed)  # at its far end is the site with its certificate
    assert proxy.asked == [("CONNECT", f"{HOST}:{there}", basic("user", "pw"))]


async def test_each_request_has_its_own_proxy(browser: Browser, site: FaultySite):
    one, two = HttpProxy(), HttpProxy()
    async with listening(one) as first, listening(two) as second:
        for port in (first, second, first):
            await browser.get(site.url + "/ok/1", proxy=f"http://{HOST}:{port}")
        await browser.get(site.url + "/ok/1")
    assert (len(one.asked), len(two.asked)) == (1, 1)  # connections, which are kept open
    assert site.hits("/ok/1") == 4


@pytest.mark.parametrize("target", ["http://site.example/", "https://site.example/"])
@pytest.mark.parametrize(
    "scheme",
    [
        "http",
        "socks5",
    ],
)
async def test_a_proxy_that_nobody_can_reach(browser: Browser, scheme: str, target: str):
    with closed_port() as port:
        error = await browser.fails(target, proxy=f"{scheme}://{HOST}:{port}")
    assert isinstance(error, errors.ProxyFailed)
    assert error.retryable


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_whose_name_does_not_exist(browser: Browser, scheme: str):
    error = await browser.fails("http://site.example/", proxy=f"{scheme}://nosuch.invalid:8080")
    assert isinstance(error, errors.ProxyFailed)


@pytest.mark.parametrize("status", [b"407 Proxy Authentication Required", b"502 Bad Gateway"])
async def test_a_proxy_that_builds_no_tunnel(browser: Browser, status: bytes):
    async with listening(HttpProxy(refusal=b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)) as port:
        error = await browser.fails("https://site.example/", proxy=f"http://{HOST}:{port}")
    assert isinstance(error, errors.ProxyFailed)


async def test_a_proxy_that_wants_another_password(browser: Browser):
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
    async with listening(HttpProxy(refusal=refusal)) as port:
        with pytest.raises(errors.ProxyFailed):
            await browser.get("http://site.example/", proxy=f"http://{HOST}:{port}")


@pytest.mark.parametrize(
    ("scheme", "target"),
    [
        pytest.param("http", "https://site.example/"),
        ("socks5", "http://site.example/"),
    ],
)
async def test_a_proxy_that_says_nothing(hasty: Browser, scheme: str, target: str):
    async with listening(mute) as port:
        error = await hasty.fails(target, proxy=f"{scheme}://{HOST}:{port}")
    assert isinstance(error, errors.ConnectTimeout | errors.ProxyFailed)  # what the proxy is blamed for


@pytest.mark.parametrize(
    "proxy",
    [
        "nonsense",
        "socks9://127.0.0.1:1",
        "socks5://",
        "socks5://127.0.0.1",
        "http://",
        "ftp://127.0.0.1:1",
        "http://127.0.0.1:99999",
    ],
)
async def test_what_is_no_proxy_is_never_passed_by(browser: Browser, site: FaultySite, proxy: str):
    with pytest.raises(errors.InvalidRequest):
        await browser.get(site.url + "/ok/1", proxy=proxy)
    assert site.log == []


# ── SOCKS5 ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_socks_proxy_connects(browser: Browser, site: FaultySite):
    proxy = SocksProxy()
    async with listening(proxy) as port:
        for n in range(2):
            response = await browser.get(f"{site.url}/ok/{n}", proxy=f"socks5://{HOST}:{port}")
            assert response.css("h1::text").get() == f"Page {n}"
    assert proxy.asked == [(HOST, int(site.url.rpartition(":")[2]))]


@pytest.mark.parametrize(
    "scheme",
    ["socks5", "socks5h"],
)
async def test_a_socks_proxy_looks_names_up_itself(browser: Browser, site: FaultySite, scheme: str):
    proxy = SocksProxy()
    async with listening(proxy) as port:
        url = site.url.replace(HOST, "localhost") + "/ok/1"
        assert (await browser.get(url, proxy=f"{scheme}://{HOST}:{port}")).status == 200
    assert proxy.asked[0][0] == "localhost"


async def test_a_socks_proxy_is_told_who_asks(browser: Browser, site: FaultySite):
    proxy = SocksProxy(credentials=("user", "p@ss"))
    async with listening(proxy) as port:
        assert (
            await browser.get(site.url + "/ok/1", proxy=f"socks5://user:p%40ss@{HOST}:{port}")
        ).status == 200
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("credentials", ["", "user:wrong@"])
async def test_a_socks_proxy_that_does_not_know_who_asks(
    browser: Browser, site: FaultySite, credentials: str
):
    async with listening(SocksProxy(credentials=("user", "right"))) as port:
        error = await browser.fails(site.url + "/ok/1", proxy=f"socks5://{credentials}{HOST}:{port}")
    assert isinstance(error, errors.ProxyFailed)
    assert site.log == []


@pytest.mark.parametrize("reply", [1, 2, 5])
async def test_a_socks_proxy_that_does_not_get_through(browser: Browser, site: FaultySite, reply: int):
    async with listening(SocksProxy(reply=reply)) as port:
        error = await browser.fails(site.url + "/ok/1", proxy=f"socks5://{HOST}:{port}")
    assert isinstance(error, errors.ProxyFailed)


async def test_a_socks_proxy_that_is_none(browser: Browser, site: FaultySite):
    async with listening(talk_plainly) as port:
        error = await browser.fails(site.url + "/ok/1", proxy=f"socks5://{HOST}:{port}")
    assert isinstance(error, errors.ProxyFailed)


async def test_tls_goes_through_a_socks_proxy(browser: Browser, tls: ssl.SSLContext):
    proxy = SocksProxy()
    async with listening(proxy) as port, listening(say_hello, tls=tls) as there:
        error = await browser.fails(f"https://{HOST}:{there}/", proxy=f"socks5://{HOST}:{port}")
    assert isinstance(error, errors.TLSFailed)
    assert proxy.asked == [(HOST, there)]


async def test_many_socks_proxies_are_used_in_turn(browser: Browser, site: FaultySite):
    async with listening(SocksProxy()) as port:
        for n in range(70):  # more than are kept open: the password makes each another one
            proxy = f"socks5://user:{n}@{HOST}:{port}"
            assert (await browser.get(site.url + "/ok/1", proxy=proxy)).status == 200
    assert site.hits("/ok/1") == 70
