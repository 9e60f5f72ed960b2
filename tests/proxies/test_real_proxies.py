"""Every scheme, with and without a password, by every client, through software that others have written."""

import ssl
import traceback
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from scraper.errors import (
    BodyTruncated,
    ConnectionLost,
    FetchError,
    InvalidRequest,
    ProxyFailed,
    ProxyRefused,
)
from tests.clients.servers import closed_port, listening
from tests.faulty import FaultySite
from tests.proxies.behind import Behind, behind
from tests.proxies.real import HOST, PASSWORD, USER, RealProxies, wheels
from tests.proxies.servers import Socks4Proxy, break_off, greet

BOTH = [
    ("pproxy", "http"),
    ("pproxy", "https"),
    ("pproxy", "socks4"),
    ("pproxy", "socks5"),
    ("pproxy", "socks5h"),
    ("tiny_proxy", "socks4"),
    ("tiny_proxy", "socks4a"),
    ("tiny_proxy", "socks5"),
    ("tiny_proxy", "socks5h"),
]
OPEN = [*BOTH, ("proxy.py", "http")]
ASKING = [*BOTH, ("proxy.py", "https")]
CAN_NOT_TELL_WHO_ASKS = {("wreq", "socks4"), ("wreq", "socks4a")}  # the library has no place for it

SECRETS = (PASSWORD, quote(PASSWORD, safe=""), b64encode(f"{USER}:{PASSWORD}".encode()).decode())


# a kind is a software and a scheme
through_open_ones = pytest.mark.parametrize("kind", OPEN, ids=" ".join)
through_asking_ones = pytest.mark.parametrize("kind", ASKING, ids=" ".join)


async def gets_pages(browser: Behind, site: FaultySite, tls: ssl.SSLContext) -> None:
    """In plain and in a tunnel, both more than once: a connection is used again."""
    for n in range(2):
        response = await browser.get(f"{site.url}/ok/{n}")
        assert (response.css("h1::text").get(), response.proxy) == (f"Page {n}", "one")
    async with listening(greet, tls=tls) as port:
        for _ in range(2):
            assert (await browser.get(f"https://{HOST}:{port}/")).body == b"hello"


@through_open_ones
async def test_pages_come_through(client, kind, real: RealProxies, site, tls, authority: Path):
    async with behind(client, {"one": real.url(*kind)}, authority / "ca.pem") as browser:
        await gets_pages(browser, site, tls)


@through_asking_ones
async def test_pages_come_through_with_user_and_password(client, kind, real, site, tls, authority):
    async with behind(client, {"one": real.asking_url(*kind)}, authority / "ca.pem") as browser:
        if (client, kind[1]) in CAN_NOT_TELL_WHO_ASKS:
            with pytest.raises(InvalidRequest, match=r"client='aiohttp'"):
                await browser.get(site.url + "/ok/1")
            return
        await gets_pages(browser, site, tls)


async def refused(browser: Behind, url: str) -> FetchError:
    """The error, which never tells the password, nor do its causes."""
    with pytest.raises(FetchError) as raised:
        await browser.get(url)
    told = "".join(traceback.format_exception(raised.value))
    assert not any(secret in told for secret in SECRETS)
    assert raised.value.proxy == "one"
    assert raised.value.retryable
    return raised.value


@through_asking_ones
async def test_a_wrong_password_is_the_proxys_failure(client, kind, real, site, authority):
    if (client, kind[1]) in CAN_NOT_TELL_WHO_ASKS:
        return
    if kind[1].startswith("socks4"):
        url = real.asking_url(*kind).replace(USER, "nobody")
    else:
        url = real.asking_url(*kind, password="wrong")
    async with behind(client, {"one": url}, authority / "ca.pem") as browser:
        for target in (site.url + "/ok/1", site.url.replace("http:", "https:")):
            error = await refused(browser, target)
            assert isinstance(error, ProxyFailed)
    assert site.log == []


# ── what does not get through ────────────────────────────────────────────────────────────────────────────


@through_open_ones
async def test_a_site_that_the_proxy_can_not_reach(client, kind, real, authority):
    """pproxy hangs up, as a site may do; the others say what is wrong."""
    async with behind(client, {"one": real.url(*kind)}, authority / "ca.pem") as browser:
        with closed_port() as port:
            error = await refused(browser, f"http://{HOST}:{port}/")
            assert isinstance(error, ConnectionLost if kind[0] == "pproxy" else ProxyFailed)


TUNNEL_REFUSED = [("proxy.py", "http"), ("tiny_proxy", "socks4"), ("tiny_proxy", "socks5")]


@pytest.mark.parametrize("kind", TUNNEL_REFUSED, ids=" ".join)
async def test_a_proxy_that_only_refuses_one_site_does_not_rest(client, kind, real, site, authority):
    async with behind(client, {"one": real.url(*kind)}, authority / "ca.pem") as browser:
        with closed_port() as port:
            for _ in range(3):
                assert isinstance(await refused(browser, f"https://{HOST}:{port}/"), ProxyRefused)
                assert (await browser.get(site.url + "/ok/1")).status == 200
    assert browser.proxies.changes() is None


async def test_a_proxy_that_dies_in_the_middle(client, site, authority):
    with wheels(authority / "loopback.pem") as (process, ports):
        pool = {scheme: RealProxies(ports).url("pproxy", scheme) for scheme in ("http", "socks5")}
        async with behind(client, pool, authority / "ca.pem") as browser:
            halves = [await browser.begin(site.url + "/stall", proxy=url) for url in pool.values()]
            process.kill()
            process.wait()
            for half in halves:
                with pytest.raises((ConnectionLost, BodyTruncated)):
                    await half.rest()
            for name in pool:
                with pytest.raises(ProxyFailed):
                    await browser.get(site.url + "/ok/1", proxy=name)
            assert set(browser.proxies.changes()) == {"rest/http", "rest/socks5"}


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
async def test_a_tunnel_that_ends_in_the_tls_handshake_is_worth_another_attempt(client, scheme, authority):
    async with (
        listening(break_off) as port,
        behind(client, {"one": f"{scheme}://{HOST}:{port}"}, authority / "ca.pem") as browser,
    ):
        assert isinstance(await refused(browser, "https://site.example/"), ConnectionLost)
    assert browser.proxies.changes() is None  # the site may have done it


# ── who looks names up ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("scheme", "asked"), [("socks4", HOST), ("socks4a", "localhost")])
async def test_socks4a_looks_names_up_at_the_proxy_and_socks4_here(client, scheme, asked, site, authority):
    proxy = Socks4Proxy()
    async with (
        listening(proxy) as port,
        behind(client, {"one": f"{scheme}://{HOST}:{port}"}, authority / "ca.pem") as browser,
    ):
        url = site.url.replace(HOST, "localhost") + "/ok/1"
        assert (await browser.get(url)).css("h1::text").get() == "Page 1"
    assert proxy.asked == [(asked, int(site.url.rpartition(":")[2]))]
