"""The curl_cffi client: what is its own beside the contract of all clients."""

import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trustme
from curl_cffi import AsyncSession
from curl_cffi.requests.exceptions import RequestException

from scraper import errors
from scraper.downloader import chain
from scraper.middlewares.headers import DefaultHeaders
from scraper.parts import CLIENTS, build
from scraper.request import Request
from scraper.settings import Settings
from tests.clients.browser import Browser
from tests.clients.http2_site import Http2Site
from tests.clients.http3_site import Http3Site
from tests.clients.servers import HOST, Counted, listening
from tests.faulty import FaultySite

KEYS = {51, 65_037}  # key_share, encrypted_client_hello


@pytest.fixture
def issued(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    """A site's certificate and its key."""
    issued = authority.issue_cert(HOST)
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


async def test_http3_is_spoken_where_asked(ca_file: Path, issued: tuple[Path, Path]):
    third = Http3Site()
    async with (
        third.listening(*issued) as port,
        Browser("curl_cffi", options={"http3": True}, tls={"ca_file": ca_file}) as browser,
    ):
        pages = [await browser.get(f"https://{HOST}:{port}/{n}") for n in range(3)]
    assert [page.css("h1::text").get() for page in pages] == ["/0", "/1", "/2"]
    assert third.asked == ["/0", "/1", "/2"]


async def test_a_site_without_http3_answers_over_http2(ca_file: Path, tls2: ssl.SSLContext):
    second = Http2Site()
    async with (
        listening(second, tls=tls2) as port,
        Browser("curl_cffi", options={"http3": True}, tls={"ca_file": ca_file}) as browser,
    ):
        assert (await browser.get(f"https://{HOST}:{port}/")).status == 200
    assert len(second.asked) == 1


async def test_http2_may_be_the_crawls_usual(ca_file: Path, tls2: ssl.SSLContext):
    second = Http2Site()
    async with (
        listening(second, tls=tls2) as port,
        Browser("curl_cffi", options={"http2": True}, tls={"ca_file": ca_file}) as browser,
    ):
        await asyncio.gather(*(browser.get(f"https://{HOST}:{port}/{n}") for n in range(10)))
    assert (second.accepted, len(second.asked)) == (1, 10)


async def test_a_browser_speaks_http2_as_it_does(ca_file: Path, tls2: ssl.SSLContext):
    second = Http2Site()
    async with (
        listening(second, tls=tls2) as port,
        Browser("curl_cffi", tls={"ca_file": ca_file}) as browser,
    ):
        await browser.get(f"https://{HOST}:{port}/", impersonate="chrome")
    names = [name for name, _ in second.asked[0].headers]
    assert names.index("sec-ch-ua") < names.index("user-agent") < names.index("accept-encoding")


@pytest.mark.parametrize("name", ["chrome", "safari153", "firefox"])
async def test_a_browser_greets_as_the_library_does(name: str):
    """All of the ClientHello but what changes each time: random values, and the order in Chrome's."""
    async with Browser("curl_cffi") as browser, AsyncSession() as session:
        ours = await greeting(lambda url: browser.get(url, impersonate=name))
        theirs = await greeting(lambda url: session.get(url, impersonate=name))
    assert ours == theirs


async def greeting(ask: Callable[[str], Awaitable[object]]) -> list[tuple[int, bytes]]:
    """Numbers and contents of the extensions that a client greets with (RFC 8446 §4.2)."""
    hello = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        hello.set_result(await reader.readexactly(int.from_bytes(head[3:5], "big")))

    async with listening(hear) as port:
        with suppress(errors.FetchError, RequestException):
            await ask(f"https://localhost:{port}/")
    rest = hello.result()[38:]
    for width in (1, 2, 1):  # session, ciphers, compression
        rest = rest[width + int.from_bytes(rest[:width], "big") :]
    return sorted(_extensions(rest[2:]))


def _extensions(rest: bytes) -> Iterator[tuple[int, bytes]]:
    while rest:
        number, size = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
        if number in KEYS or number % 0x1010 == 0x0A0A:
            yield 0, b""  # other values each time
        else:
            yield number, bytes(b for b in rest[4 : 4 + size] if b % 16 != 10)  # without GREASE
        rest = rest[4 + size :]


async def test_a_browser_may_be_the_crawls_usual(site: FaultySite):
    async with Browser("curl_cffi", options={"impersonate": "chrome"}) as browser:
        usual = (await browser.get(site.url + "/headers")).json()["user-agent"]
        other = (await browser.get(site.url + "/headers", impersonate="firefox")).json()["user-agent"]
    assert "Chrome/" in usual
    assert "Firefox/" in other


def test_a_crawls_usual_browser_that_nobody_knows_is_said_before_the_first_request():
    with pytest.raises(errors.SettingsError, match="lynx"):
        build({"use": "curl_cffi", "impersonate": "lynx"}, Settings(), CLIENTS, "client")


async def test_the_settings_headers_do_not_give_a_browser_away(site: FaultySite):
    settings = Settings(user_agent="bot", headers={"Accept": "text/html"})
    async with Browser("curl_cffi") as browser:
        ask = chain([DefaultHeaders.from_settings(settings)], browser.fetch)

        async def sent(**request) -> dict[str, str]:
            return (await ask(Request(site.url + "/headers", **request))).json()

        bare = (await browser.get(site.url + "/headers", impersonate="chrome")).json()
        assert await sent(impersonate="chrome") == bare
        assert (await sent(impersonate="chrome", headers={"Accept": "a/b"}))["accept"] == "a/b"
        assert (await sent())["user-agent"] == "bot"
    settings = settings.model_copy(update={"client": {"use": "curl_cffi", "impersonate": "chrome"}})
    async with Browser("curl_cffi", options={"impersonate": "chrome"}) as browser:
        ask = chain([DefaultHeaders.from_settings(settings)], browser.fetch)
        assert await sent() == bare
        assert (await sent(client="httpx"))["user-agent"] == "bot"


async def test_a_file_of_authorities_is_gone_with_its_client(ca_file: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with Browser("curl_cffi", tls={"ca_file": ca_file}):
        assert len(list(tmp_path.rglob("*.pem"))) == 1
    assert list(tmp_path.iterdir()) == []


async def test_open_connections_are_bounded_whatever_the_number_of_sites():
    site = Counted()
    async with AsyncExitStack() as stack, Browser("curl_cffi", concurrency=2) as browser:
        ports = [await stack.enter_async_context(listening(site)) for _ in range(40)]
        for one, other in zip(ports[::2], ports[1::2], strict=True):
            await asyncio.gather(*(browser.get(f"http://{HOST}:{port}/") for port in (one, other)))
        assert len(site.heads) == 40
        assert site.open <= 9  # four for each that runs, and what is on its way out


def test_its_library_is_an_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "curl_cffi", None)
    monkeypatch.delitem(sys.modules, "scraper.clients.curl_cffi", raising=False)
    monkeypatch.delitem(sys.modules, "scraper.clients.curl_handles", raising=False)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'scrapeloom\[impersonate\]'"):
        build("curl_cffi", Settings(), CLIENTS, "client")
