"""Goes through HTTP proxies, each request through its own."""

import ssl

import pytest

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    HttpProxy,
    basic,
    closed_port,
    listening,
    mute,
    say_hello,
)
from tests.faulty import FaultySite


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


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_may_be_reached_by_tls(trusting: Browser, tls: ssl.SSLContext, scheme: str):
    proxy = HttpProxy()
    async with (
        listening(proxy, tls=tls) as port,
        listening(say_hello, tls=tls if scheme == "https" else None) as there,
    ):
        response = await trusting.get(f"{scheme}://{HOST}:{there}/", proxy=f"https://user:pw@{HOST}:{port}")
    assert response.body == b"hello"
    assert [authorization for *_, authorization in proxy.asked] == [basic("user", "pw")]


async def test_a_proxy_with_a_certificate_that_nobody_vouches_for(browser: Browser, tls: ssl.SSLContext):
    proxy = HttpProxy()
    async with listening(proxy, tls=tls) as port:
        error = await browser.fails("http://site.example/", proxy=f"https://user:pw@{HOST}:{port}")
    assert isinstance(error, errors.ProxyFailed | errors.TLSFailed)
    assert proxy.asked == []


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


UNKNOWN = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (UNKNOWN, errors.ProxyFailed),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", errors.ProxyRefused),
    ],
    ids=["407", "502"],
)
async def test_a_proxy_that_builds_no_tunnel(browser: Browser, refusal: bytes, kind: type[errors.FetchError]):
    async with listening(HttpProxy(refusal=refusal)) as port:
        error = await browser.fails("https://site.example/", proxy=f"http://{HOST}:{port}")
    assert type(error) is kind


async def test_a_proxys_own_answer_is_handed_back(browser: Browser):
    """Whose it is, the middleware of proxies tells."""
    async with listening(HttpProxy(refusal=UNKNOWN)) as port:
        response = await browser.get("http://site.example/", proxy=f"http://{HOST}:{port}")
    assert response.status == 407


@pytest.mark.parametrize(
    ("scheme", "target"),
    [("http", "https://site.example/"), ("socks5", "http://site.example/")],
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
