"""Goes through SOCKS proxies: 4, 4a and 5."""

import ssl

import pytest

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    Socks4Proxy,
    SocksProxy,
    listening,
    say_hello,
    talk_plainly,
)
from tests.faulty import FaultySite


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
    assert type(error) is errors.ProxyRefused


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


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
async def test_a_socks4_proxy_connects(browser: Browser, site: FaultySite, scheme: str):
    proxy = Socks4Proxy(names=scheme == "socks4a")
    async with listening(proxy) as port:
        assert (await browser.get(site.url + "/ok/1", proxy=f"{scheme}://{HOST}:{port}")).status == 200
    assert proxy.asked == [("", HOST, int(site.url.rpartition(":")[2]))]


async def test_a_socks4_proxy_is_told_who_asks(browser: Browser, site: FaultySite):
    proxy = Socks4Proxy()
    async with listening(proxy) as port:
        assert (await browser.get(site.url + "/ok/1", proxy=f"socks4://user:@{HOST}:{port}")).status == 200
    assert [user for user, *_ in proxy.asked] == ["user"]


async def test_a_socks4a_proxy_looks_names_up_itself(browser: Browser, site: FaultySite):
    proxy = Socks4Proxy(names=True)
    async with listening(proxy) as port:
        url = site.url.replace(HOST, "localhost") + "/ok/1"
        assert (await browser.get(url, proxy=f"socks4a://{HOST}:{port}")).status == 200
    assert [host for _, host, _ in proxy.asked] == ["localhost"]
