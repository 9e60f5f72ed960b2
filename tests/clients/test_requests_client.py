"""The requests client: threads that nobody can lock up, and sessions of one's own."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase, HTTPDigestAuth

from scraper import errors
from scraper.request import Request
from scraper.settings import Timeouts
from tests.clients.browser import Browser
from tests.clients.servers import HOST, listening
from tests.faulty import KNOWN_HTML, FaultySite

HERE = __name__


def a_browser(**options) -> Browser:
    settings = {name: options.pop(name) for name in ("timeouts", "tls", "concurrency") if name in options}
    return Browser("requests", options=options, **settings)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("requests"):
            thread.join(5)
            assert not thread.is_alive()


# ── threads ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_no_more_exchanges_go_on_than_there_are_threads(site: FaultySite):
    async with a_browser(threads=2) as browser:
        held = [asyncio.create_task(browser.get(site.url + "/never")) for _ in range(2)]
        await site.until(lambda: site.hits("/never") == 2)
        third = asyncio.create_task(browser.get(site.url + "/ok/1"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert site.hits("/ok/1") == 0
        held[0].cancel()
        assert (await third).status == 200
        held[1].cancel()
        await asyncio.wait(held)


async def test_who_waits_too_long_for_a_thread_goes_back_to_the_queue(site: FaultySite):
    async with a_browser(threads=1, timeouts=Timeouts(pool=0.05)) as browser:
        held = asyncio.create_task(browser.get(site.url + "/never"))
        await site.until(lambda: site.hits("/never") == 1)
        with pytest.raises(errors.PoolTimeout, match=r"None of 1 threads became free in 0\.05 s"):
            await browser.get(site.url + "/ok/1")
        held.cancel()
        await asyncio.wait([held])


@pytest.mark.parametrize("path", ["/never", "/stall", "/drip?bytes=1000&ms=20"])
async def test_a_thread_is_free_again_when_nobody_waits_for_its_answer(site: FaultySite, path: str):
    async with a_browser(threads=1) as browser:
        for n in range(1, 4):
            fetching = asyncio.create_task(browser.get(site.url + path))
            await site.until(lambda n=n: site.hits(path) == n)
            fetching.cancel()
            await asyncio.wait([fetching])
        assert (await browser.get(site.url + "/ok/1")).status == 200


async def test_a_client_that_closes_waits_for_no_answer(site: FaultySite):
    async with a_browser() as browser:
        answer = asyncio.create_task(browser.client.open(Request(site.url + "/never")))
        stalled = await browser.client.open(Request(site.url + "/stall"))
        await site.until(lambda: site.hits("/never") == 1)
    with pytest.raises(errors.ConnectionLost):
        await answer
    await stalled.close()
    await site.until(lambda: site.connections == 0)


async def test_a_body_that_nobody_reads_waits_at_the_site(site: FaultySite):
    sent, full = 0, asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            if writer.transport.get_write_buffer_size() > 65_536:
                full.set()
            await writer.drain()

    async with a_browser() as browser, listening(endless) as port:
        incoming = await browser.client.open(Request(f"http://{HOST}:{port}/"))
        pieces = incoming.chunks()
        taken = len(await anext(pieces))
        await full.wait()
        for n in range(50):  # as good as a long time
            await browser.get(f"{site.url}/ok/{n}")
        assert sent - taken < 20_000_000
        await pieces.aclose()
        await incoming.close()


# ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/ok/%c3%a9?q=%2f", "/ok/a|b?[1]=^", "/ok/./1/../2", "/ok/1?"])
async def test_a_url_is_sent_as_no_library_would_spell_it(site: FaultySite, path: str):
    async with a_browser() as browser:
        await browser.get(site.url + path)
    assert site.log[-1].path == path


async def test_a_body_may_come_piece_by_piece(site: FaultySite):
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one ", b"", b"two"):
            await asyncio.sleep(0)
            yield piece

    async with a_browser() as browser:
        assert (await browser.get(site.url + "/post", method="POST", body=pieces())).json()[
            "body"
        ] == "one two"


async def test_a_body_whose_next_piece_never_comes_holds_no_thread(site: FaultySite):
    begun = asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        begun.set()
        await asyncio.Event().wait()

    async with a_browser(threads=1) as browser:
        posting = asyncio.create_task(browser.get(site.url + "/post", method="POST", body=pieces()))
        await begun.wait()
        posting.cancel()
        await asyncio.wait([posting])
        assert (await browser.get(site.url + "/ok/1")).status == 200


# ── sessions of one's own ────────────────────────────────────────────────────────────────────────────────


def with_digest() -> requests.Session:
    session = requests.Session()
    session.auth = HTTPDigestAuth("user", "secret")
    session.headers["X-Own"] = "1"
    return session


async def digest_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """RFC 7616, with MD5."""
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
        said = dict(
            part.strip().split("=", 1)
            for part in lines.get("Authorization", "").removeprefix("Digest").split(",")
            if "=" in part
        )
        ha1 = hashlib.md5(b"user:here:secret").hexdigest()
        ha2 = hashlib.md5(f"GET:{head.split(' ')[1]}".encode()).hexdigest()
        wanted = hashlib.md5(f"{ha1}:n0nce:{ha2}".encode()).hexdigest()
        if said.get("response", "").strip('"') == wanted and lines["X-Own"] == "1":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nwelcome")
        else:
            challenge = b'WWW-Authenticate: Digest realm="here", nonce="n0nce"'
            writer.write(b"HTTP/1.1 401 Unauthorized\r\n" + challenge + b"\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()


async def test_an_auth_plug_in_may_ask_again(site: FaultySite):
    async with a_browser(session=f"{HERE}:with_digest") as browser, listening(digest_only) as port:
        for n in range(2):
            assert (await browser.get(f"http://{HOST}:{port}/page/{n}?a=b")).body == b"welcome"
    async with a_browser() as browser, listening(digest_only) as port:
        assert (await browser.get(f"http://{HOST}:{port}/")).status == 401


class Canned(BaseAdapter):
    """An adapter that needs no network."""

    def send(self, request, **options) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        response.headers["X-Canned"] = "yes"
        response.raw = Path(__file__).open("rb")  # noqa: SIM115  # the client's to close
        return response

    def close(self) -> None:
        pass


def with_adapter() -> requests.Session:
    session = requests.Session()
    session.mount("http://canned.example", Canned())
    return session


async def test_an_adapter_of_ones_own_is_asked_for_its_site(site: FaultySite):
    async with a_browser(session=f"{HERE}:with_adapter") as browser:
        canned = await browser.get("http://canned.example/page")
        assert (canned.body, canned.headers["x-canned"]) == (Path(__file__).read_bytes(), "yes")
        assert (await browser.get(site.url + "/ok/1")).css("h1::text").get() == "Page 1"


class InMemory(BaseAdapter):
    """An adapter that makes a response of a body, as many do."""

    def send(self, request, **options) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        response._content = b"in memory"
        return response

    def close(self) -> None:
        pass


def curious(response: requests.Response, **_: object) -> None:
    assert response.text


def with_hook() -> requests.Session:
    session = requests.Session()
    session.mount("http://memory.example", InMemory())
    session.hooks["response"].append(curious)
    return session


async def test_a_body_that_a_plug_in_has_read_is_there_all_the_same(site: FaultySite):
    async with a_browser(session=f"{HERE}:with_hook") as browser:
        assert (await browser.get("http://memory.example/")).body == b"in memory"
        for _ in range(2):
            assert (await browser.get(site.url + "/gzip")).text == KNOWN_HTML
    assert site.accepted == 1


def with_cookie() -> requests.Session:
    session = requests.Session()
    session.cookies.set("own", "1", domain=HOST)
    return session


async def test_cookies_that_a_session_was_made_with_are_sent_and_no_others_learned(site: FaultySite):
    async with a_browser(session=f"{HERE}:with_cookie", threads=1) as browser:
        await browser.get(site.url + "/cookies/set?name=a&value=1")
        assert (await browser.get(site.url + "/cookies/show")).json() == {"own": "1"}


async def test_a_session_of_ones_own_says_nothing_that_nobody_asked_for(site: FaultySite, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{HOST}:1")
    async with a_browser(session=f"{HERE}:with_cookie") as browser:
        sent = (await browser.get(site.url + "/headers")).json()
        assert set(sent) <= {"host", "connection", "cookie"}
        redirect = await browser.get(site.url + "/redirect/1")
    assert (redirect.status, site.hits("/ok/0")) == (302, 0)


async def test_tls_settings_hold_for_a_session_of_ones_own(ca_file: Path, tls, site: FaultySite):
    options = {"session": f"{HERE}:with_cookie"}
    async with listening(digest_only, tls=tls) as port:
        async with a_browser(**options, tls={"ca_file": ca_file}) as browser:
            assert (await browser.get(f"https://{HOST}:{port}/")).status == 401
        async with a_browser(**options) as browser:
            assert isinstance(await browser.fails(f"https://{HOST}:{port}/"), errors.TLSFailed)


class Watch(HTTPAdapter):
    """Notes how many threads are at one session."""

    most: ClassVar[int] = 0
    at_work: int = 0

    def send(self, *given, **options) -> requests.Response:
        self.at_work += 1
        Watch.most = max(Watch.most, self.at_work)
        try:
            return super().send(*given, **options)
        finally:
            self.at_work -= 1


def watched() -> requests.Session:
    session = requests.Session()
    session.mount("http://", Watch())
    return session


async def test_no_session_is_in_two_hands(site: FaultySite):
    async with a_browser(session=f"{HERE}:watched", threads=8) as browser:
        pages = await asyncio.gather(*(browser.get(f"{site.url}/ok/{n}") for n in range(40)))
    assert [page.css("h1::text").get() for page in pages] == [f"Page {n}" for n in range(40)]
    assert Watch.most == 1
    assert 1 < site.accepted <= 8


# ── what may be wrong with it ────────────────────────────────────────────────────────────────────────────


def broken() -> requests.Session:
    raise KeyError("token")


def no_session() -> str:
    return "a session"


ONE = requests.Session()


def always_the_same() -> requests.Session:
    return ONE


class Forgetful(AuthBase):
    def __call__(self, request):
        raise KeyError("password")


def with_broken_auth() -> requests.Session:
    session = requests.Session()
    session.auth = Forgetful()
    return session


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("broken", "broken raised KeyError: 'token'"),
        ("no_session", "no_session returned str, not a requests.Session"),
        ("with_broken_auth", "'password'"),
    ],
)
async def test_a_session_that_can_not_be_made_is_said(site: FaultySite, make: str, words: str):
    async with a_browser(session=f"{HERE}:{make}") as browser:
        with pytest.raises(errors.FetchError, match=words) as caught:
            await browser.get(site.url + "/ok/1")
    assert caught.value.request.url == site.url + "/ok/1"
    assert not caught.value.retryable


async def test_a_session_that_is_always_the_same_is_refused(site: FaultySite):
    async with a_browser(session=f"{HERE}:always_the_same", threads=2) as browser:
        held = asyncio.create_task(browser.get(site.url + "/never"))
        await site.until(lambda: site.hits("/never") == 1)
        with pytest.raises(errors.FetchError, match="each thread needs one of its own"):
            await browser.get(site.url + "/ok/1")
        held.cancel()
        await asyncio.wait([held])
