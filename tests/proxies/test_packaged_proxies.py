"""Through the proxies that people run: `pytest -m proxies`."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from scraper.errors import ProxyFailed, ProxyRefused
from tests.clients.servers import closed_port, listening
from tests.proxies.behind import behind
from tests.proxies.packaged import PASSWORD, USER, running
from tests.proxies.real import HOST
from tests.proxies.servers import greet

pytestmark = pytest.mark.proxies

KINDS = [
    ("squid", "http"),
    ("tinyproxy", "http"),
    ("danted", "socks4"),
    ("danted", "socks5"),
    ("microsocks", "socks5"),
    ("microsocks", "socks5h"),
]
ASKING = [kind for kind in KINDS if kind[0] != "danted"]

Address = Callable[..., str]


@pytest.fixture(scope="module")
def address() -> Iterator[Address]:
    """A proxy's URL; it is started when it is first wanted. `password`: of one that asks who one is."""
    with ExitStack() as stack:

        @cache
        def port(software: str, asks: bool) -> int:
            return stack.enter_context(running(software, asks=asks))

        def url(software: str, scheme: str, *, password: str = "") -> str:
            who = f"{USER}:{password}@" if password else ""
            return f"{scheme}://{who}{HOST}:{port(software, bool(password))}"

        yield url


async def gets_pages(browser, site, tls) -> None:
    for n in range(2):
        assert (await browser.get(f"{site.url}/ok/{n}")).css("h1::text").get() == f"Page {n}"
    async with listening(greet, tls=tls) as port:
        for _ in range(2):
            assert (await browser.get(f"https://{HOST}:{port}/")).body == b"hello"


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
async def test_pages_come_through(client, kind, address, site, tls, authority):
    async with behind(client, {"one": address(*kind)}, authority / "ca.pem") as browser:
        await gets_pages(browser, site, tls)


@pytest.mark.parametrize("kind", ASKING, ids=" ".join)
async def test_pages_come_through_with_user_and_password(client, kind, address, site, tls, authority):
    url = address(*kind, password=PASSWORD)
    async with behind(client, {"one": url}, authority / "ca.pem") as browser:
        await gets_pages(browser, site, tls)


@pytest.mark.parametrize("kind", ASKING, ids=" ".join)
async def test_a_wrong_password_is_the_proxys_failure(client, kind, address, site, authority):
    async with behind(client, {"one": address(*kind, password="wrong")}, authority / "ca.pem") as browser:
        for url in (site.url + "/ok/1", site.url.replace("http:", "https:")):
            with pytest.raises(ProxyFailed) as raised:
                await browser.get(url)
            assert "wrong" not in str(raised.value)
    assert site.log == []


@pytest.mark.parametrize("kind", KINDS, ids=" ".join)
async def test_a_site_that_the_proxy_can_not_reach_is_told_apart(client, kind, address, authority):
    async with behind(client, {"one": address(*kind)}, authority / "ca.pem") as browser:
        with closed_port() as port, pytest.raises(ProxyFailed) as raised:
            await browser.get(f"http://{HOST}:{port}/")
    assert kind[1] != "http" or isinstance(raised.value, ProxyRefused)


@pytest.mark.parametrize("kind", [("squid", "http"), ("tinyproxy", "http")], ids=" ".join)
async def test_what_the_site_itself_refuses_stays_the_sites(client, kind, address, site, authority):
    async with behind(client, {"one": address(*kind)}, authority / "ca.pem") as browser:
        for status in (403, 404, 502, 503):
            assert (await browser.get(f"{site.url}/always/{status}")).status == status
