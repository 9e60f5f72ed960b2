"""Follows [tls]: authorities of one's own, a certificate to show, the lowest version, hosts left unverified."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import HOST, Handshake, HttpProxy, SocksProxy, listening, say_hello


async def who_are_you(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the TLS version, and the name in the caller's certificate."""
    shown = writer.get_extra_info("peercert") or {}
    names = [name for _, name in shown.get("subjectAltName", ())]
    body = f"{writer.get_extra_info('ssl_object').version()} {' '.join(names)}".encode()
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        await writer.drain()


@pytest.fixture(scope="session")
def caller(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and its key, in two files."""
    folder = tmp_path_factory.mktemp("caller")
    issued = authority.issue_cert("caller@site.example")
    issued.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def strict(authority: trustme.CA) -> ssl.SSLContext:
    """A site that lets nobody in without a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert(HOST).configure_cert(context)
    return context


async def test_an_authority_of_ones_own_is_trusted(trusting: Browser, tls: ssl.SSLContext):
    async with listening(say_hello, tls=tls) as port:
        assert (await trusting.get(f"https://{HOST}:{port}/")).body == b"hello"


async def test_a_certificate_of_another_host_is_not(trusting: Browser, authority: trustme.CA):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    async with listening(say_hello, tls=context) as port:
        assert isinstance(await trusting.fails(f"https://{HOST}:{port}/"), errors.TLSFailed)


async def test_it_is_trusted_through_a_proxy_too(trusting: Browser, tls: ssl.SSLContext):
    async with (
        listening(say_hello, tls=tls) as port,
        listening(HttpProxy()) as one,
        listening(SocksProxy()) as two,
    ):
        for proxy in (f"http://{HOST}:{one}", f"socks5://{HOST}:{two}"):
            assert (await trusting.get(f"https://{HOST}:{port}/", proxy=proxy)).body == b"hello"


async def test_a_certificate_is_shown_to_who_asks(
    name: str, ca_file: Path, caller: tuple[Path, Path], strict: ssl.SSLContext
):
    certificate, key = caller
    async with (
        listening(who_are_you, tls=strict) as port,
        Browser(name, tls={"ca_file": ca_file, "certificate": certificate, "key": key}) as browser,
    ):
        assert (await browser.get(f"https://{HOST}:{port}/")).body.endswith(b" caller@site.example")


async def test_who_has_none_is_not_let_in(trusting: Browser, strict: ssl.SSLContext):
    async with listening(who_are_you, tls=strict) as port:
        error = await trusting.fails(f"https://{HOST}:{port}/")
    assert isinstance(error, errors.TLSFailed | errors.ConnectionLost)  # TLS 1.3 tells it after the handshake


@pytest.fixture
def old(authority: trustme.CA) -> ssl.SSLContext:
    """A site that has not heard of TLS 1.3."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.issue_cert(HOST).configure_cert(context)
    return context


async def test_an_old_version_will_do(trusting: Browser, old: ssl.SSLContext):
    async with listening(who_are_you, tls=old) as port:
        assert (await trusting.get(f"https://{HOST}:{port}/")).body.startswith(b"TLSv1.2")


async def test_an_old_version_may_be_refused(name: str, old: ssl.SSLContext, ca_file: Path):
    async with (
        listening(Handshake(old)) as port,
        Browser(name, tls={"ca_file": ca_file, "minimum": "1.3"}) as browser,
    ):
        assert isinstance(await browser.fails(f"https://{HOST}:{port}/"), errors.TLSFailed)


async def test_a_host_may_be_left_unverified_and_only_that_one(name: str, tls: ssl.SSLContext):
    async with listening(say_hello, tls=tls) as one, listening(say_hello, tls=tls) as other:
        async with Browser(name, hosts={f"{HOST}:{one}": {"verify": False}}) as browser:
            assert (await browser.get(f"https://{HOST}:{one}/")).body == b"hello"
            assert isinstance(await browser.fails(f"https://{HOST}:{other}/"), errors.TLSFailed)
        async with Browser(name, hosts={HOST: {"verify": False}}) as browser:
            for port in (one, other):
                assert (await browser.get(f"https://{HOST}:{port}/")).body == b"hello"
                assert isinstance(await browser.fails(f"https://localhost:{port}/"), errors.TLSFailed)


@pytest.mark.parametrize("key", ["ca_file", "certificate"])
async def test_a_file_that_is_not_there_is_said_before_the_first_request(name: str, key: str, tmp_path: Path):
    with pytest.raises(errors.SettingsError, match=rf"tls\.{key}"):
        Browser(name, tls={key: tmp_path / "none.pem"})


async def test_a_site_without_http2_answers_over_http1(trusting: Browser, tls: ssl.SSLContext):
    async with listening(who_are_you, tls=tls) as port:
        url = f"https://{HOST}:{port}/"
        pages = await asyncio.gather(*(trusting.get(url, http2=True) for _ in range(5)))
    assert [page.body[:3] for page in pages] == [b"TLS"] * 5
