"""The wreq client: what is its own beside the contract of all clients."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from scraper import errors
from scraper.clients.private_keys import pkcs8
from scraper.clients.wreq_browsers import profile
from tests.clients.browser import Browser
from tests.clients.http2_site import Http2Site
from tests.clients.servers import HOST, basic, listening
from tests.faulty import FaultySite


class Ear:
    """A server that keeps the heads of the requests as they come, and answers each with hello."""

    def __init__(self) -> None:
        self.heads: list[list[str]] = []
        self.accepted = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode().split("\r\n")[:-2])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            await writer.drain()


@pytest.fixture
async def wreq() -> AsyncIterator[Browser]:
    async with Browser("wreq") as browser:
        yield browser


@pytest.fixture
async def ear() -> AsyncIterator[tuple[Ear, str]]:
    ear = Ear()
    async with listening(ear) as port:
        yield ear, f"http://{HOST}:{port}/"


@pytest.fixture(scope="session")
def tls2(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert(HOST).configure_cert(context)
    return context


# ── a request ────────────────────────────────────────────────────────────────────────────────────────────


async def test_headers_keep_their_case_and_their_order(wreq: Browser, ear):
    ear, url = ear
    for _ in range(2):
        await wreq.get(url, headers={"X-zwei": "2", "Accept": "a/b", "x-Eins": "1"})
    host = "Host: " + url.split("/")[2]
    assert ear.heads == [["GET / HTTP/1.1", host, "X-zwei: 2", "Accept: a/b", "x-Eins: 1"]] * 2


async def test_a_header_may_be_of_any_language(wreq: Browser, ear):
    ear, url = ear
    await wreq.get(url, headers={"X-One": "é…"})
    assert ear.heads[0][2] == "X-One: é…"


async def test_a_proxy_is_told_who_asks_in_the_usual_spelling(wreq: Browser, site: FaultySite):
    """Not every proxy knows that names have no case."""

    ear = Ear()
    async with listening(ear) as port:
        await wreq.get("http://site.example/", proxy=f"http://user:p%3Aw@{HOST}:{port}")
    assert f"Proxy-Authorization: {basic('user', 'p:w')}" in ear.heads[0]


async def test_a_method_that_the_library_does_not_know_is_said(wreq: Browser, site: FaultySite):
    error = await wreq.fails(site.url + "/ok/1", method="PROPFIND")
    assert isinstance(error, errors.InvalidRequest)
    assert "wreq knows no method 'PROPFIND', only GET, HEAD" in str(error)


@pytest.mark.parametrize("scheme", ["socks4", "socks4a"])
async def test_a_socks4_proxy_can_not_be_told_who_asks(wreq: Browser, site: FaultySite, scheme: str):
    error = await wreq.fails(site.url + "/ok/1", proxy=f"{scheme}://me@{HOST}:1")
    assert isinstance(error, errors.InvalidRequest)
    assert "client='aiohttp'" in str(error)


async def test_a_body_may_come_piece_by_piece(wreq: Browser, site: FaultySite):
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"", b"two"):
            await asyncio.sleep(0)
            yield piece

    assert (await wreq.get(site.url + "/post", method="POST", body=pieces())).json()["body"] == "one two"


async def test_an_error_is_said_in_a_few_words(wreq: Browser, site: FaultySite):
    assert str(await wreq.fails(site.url + "/reset")) == "connection lost: Connection reset by peer"
    assert str(await wreq.fails(site.url + "/empty-reply")) == "connection lost: IncompleteMessage"
    assert str(await wreq.fails(site.url + "/not-http")) == "protocol violation: Parse(Version)"


async def test_a_url_does_not_pass_for_an_error_of_another_kind(wreq: Browser, site: FaultySite):
    """The library's errors are text with the URL in it."""
    error = await wreq.fails(site.url + "/reset?is=TimedOut,ConnectionRefused,UnexpectedEof,dns%20error")
    assert isinstance(error, errors.ConnectionLost)


# ── HTTP/2 ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_site_with_tls_is_asked_for_http2_where_the_settings_say_so(ca_file: Path, tls2, ear):
    second = Http2Site()
    async with (
        listening(second, tls=tls2) as port,
        Browser("wreq", options={"http2": True}, tls={"ca_file": ca_file}) as browser,
    ):
        assert (await browser.get(f"https://{HOST}:{port}/page")).status == 200
        assert (await browser.get(ear[1])).body == b"hello"  # in plain text nobody can be asked
    assert (second.accepted, len(ear[0].heads)) == (1, 1)


async def test_a_site_without_http2_is_asked_for_it_once(ca_file: Path, tls: ssl.SSLContext):
    ear = Ear()
    async with (
        listening(ear, tls=tls) as port,
        Browser("wreq", tls={"ca_file": ca_file}) as browser,
    ):
        for _ in range(3):
            response = await browser.get(f"https://{HOST}:{port}/", http2=True, method="POST")
            assert response.body == b"hello"
    assert [head[0] for head in ear.heads if head[0].startswith("POST")] == ["POST / HTTP/1.1"] * 3
    assert ear.accepted == 2  # the first of them was asked for HTTP/2


# ── browsers ─────────────────────────────────────────────────────────────────────────────────────────────

CHROME = [
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "upgrade-insecure-requests",
    "user-agent",
    "accept",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-user",
    "sec-fetch-dest",
    "accept-encoding",
    "accept-language",
    "priority",
]


async def test_a_browsers_headers_are_sent_in_its_order_with_those_of_the_request_in_their_places(
    trusting_wreq: Browser, tls2: ssl.SSLContext
):
    second = Http2Site()
    async with listening(second, tls=tls2) as port:
        own = {"Accept-Language": "de", "X-One": "1"}
        await trusting_wreq.get(f"https://{HOST}:{port}/page", impersonate="chrome", headers=own)
    sent = second.asked[0].headers
    assert [name for name, _ in sent] == [*CHROME, "x-one"]
    assert "Chrome/" in dict(sent)["user-agent"]
    assert dict(sent)["accept-language"] == "de"


async def test_the_client_may_be_a_browser_and_a_request_another(ear):
    ear, url = ear
    async with Browser("wreq", options={"impersonate": "firefox"}) as browser:
        await browser.get(url)
        await browser.get(url, impersonate="safari")
    agents = [next(line for line in head if line.startswith("user-agent:")) for head in ear.heads]
    assert "Firefox/" in agents[0]
    assert "Safari/" in agents[1]


@pytest.fixture
async def trusting_wreq(ca_file: Path) -> AsyncIterator[Browser]:
    async with Browser("wreq", tls={"ca_file": ca_file}) as browser:
        yield browser


@pytest.mark.parametrize(
    "name", ["chrome", "Chrome", "chrome131", "safari18_5", "safari_ios", "edge", "okhttp5"]
)
def test_a_browser_may_be_named_with_or_without_its_version(name: str):
    assert profile(name) is not None


async def test_a_browser_without_a_version_is_its_newest(wreq: Browser, ear):
    ear, url = ear
    for name in ("chrome", "chrome100"):
        await wreq.get(url, impersonate=name)
    newest, old = (
        int(line.partition("Chrome/")[2].partition(".")[0])
        for head in ear.heads
        for line in head
        if line.startswith("user-agent:")
    )
    assert old == 100
    assert newest > 140


async def test_a_browser_that_nobody_knows_is_not_sent(wreq: Browser, ear):
    ear, url = ear
    error = await wreq.fails(url, impersonate="netscape4")
    assert isinstance(error, errors.InvalidRequest)
    assert "it can be chrome, edge, firefox" in str(error)
    assert ear.heads == []


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────

FORMS = serialization.PrivateFormat
KEYS = [
    lambda: rsa.generate_private_key(65537, 2048),
    lambda: ec.generate_private_key(ec.SECP256R1()),
    lambda: ec.generate_private_key(ec.SECP521R1()),
]


@pytest.mark.parametrize("make", KEYS)
@pytest.mark.parametrize("form", [FORMS.TraditionalOpenSSL, FORMS.PKCS8])
def test_a_private_key_is_read_in_every_form(make, form):
    key = make()
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    read = serialization.load_pem_private_key(pkcs8(b"a certificate before it\n" + pem), None)
    assert read.private_numbers() == key.private_numbers()


def test_a_key_with_a_password_is_said_before_the_first_request(authority: trustme.CA, tmp_path: Path):
    key = KEYS[1]()
    issued = authority.issue_cert("me@site.example")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    locked = key.private_bytes(
        serialization.Encoding.PEM, FORMS.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    assert pkcs8(locked) is None
