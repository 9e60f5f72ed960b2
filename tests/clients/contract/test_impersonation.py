"""Shows itself as a browser where asked: its TLS, its headers, their order."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import HOST, listening
from tests.faulty import FaultySite

GREASE = {n * 0x1010 + 0x0A0A for n in range(16)}  # values that Chrome sends to keep others awake (RFC 8701)
NAMED = ("user-agent", "accept", "accept-encoding", "accept-language")


@dataclass
class Listener:
    """Answers everything, and keeps the heads of what it was asked as they came."""

    heads: list[bytes] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

    def fields(self, n: int = -1) -> dict[str, str]:
        """Of one head, in their order; names in lower case."""
        lines = self.heads[n].decode().split("\r\n")[1:-2]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
async def url(heard: Listener) -> AsyncIterator[str]:
    async with listening(heard) as port:
        yield f"http://{HOST}:{port}/"


async def ciphers(browser: Browser, **request) -> list[int]:
    """Those of the ClientHello, in their order (RFC 8446 §4.1.2)."""
    hello = asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        hello.set_result(await reader.readexactly(int.from_bytes(head[3:5], "big")))

    async with listening(hear) as port:
        with pytest.raises(errors.FetchError):
            await browser.get(f"https://{HOST}:{port}/", **request)
    said = hello.result()
    start = 39 + said[38]  # after version, random and session
    size = int.from_bytes(said[start : start + 2], "big")
    return [int.from_bytes(said[at : at + 2], "big") for at in range(start + 2, start + 2 + size, 2)]


async def test_it_greets_as_that_browser_does(browser: Browser):
    plain, chrome, firefox, again = [
        await ciphers(browser, impersonate=name) for name in (None, "chrome", "firefox", "chrome")
    ]
    assert chrome[0] in GREASE  # which changes from one greeting to the next
    assert chrome[1:] == again[1:]
    assert not GREASE & {*plain, *firefox}
    assert len({tuple(chrome[1:]), tuple(firefox), tuple(plain)}) == 3


@pytest.mark.parametrize(("browsers_name", "agent"), [("chrome", "Chrome/"), ("firefox", "Firefox/")])
async def test_its_headers_are_the_browsers(
    browser: Browser, heard: Listener, url: str, browsers_name: str, agent: str
):
    await browser.get(url, impersonate=browsers_name)
    fields = heard.fields()
    assert agent in fields["user-agent"]
    assert set(NAMED) <= fields.keys()
    assert ("sec-ch-ua" in fields) == (browsers_name == "chrome")  # which Firefox does not have


async def test_a_header_of_the_request_takes_the_browsers_place(browser: Browser, heard: Listener, url: str):
    await browser.get(url, impersonate="chrome")
    await browser.get(url, impersonate="chrome", headers={"X-One": "1", "Accept-Language": "de"})
    before, after = heard.fields(0), heard.fields(1)
    assert (after.pop("x-one"), after["accept-language"]) == ("1", "de")
    assert before["accept-language"] != "de"
    assert list(after) == list(before)
    assert {name for name in after if after[name] != before[name]} == {"accept-language"}


async def test_it_goes_from_request_to_request(browser: Browser, heard: Listener, url: str):
    for name in ("chrome", None, "firefox", None, "chrome"):
        await browser.get(url, impersonate=name)
    agents = [heard.fields(n).get("user-agent", "") for n in range(5)]
    assert agents[0] == agents[4] != agents[2]
    assert agents[1] == agents[3] == ""


async def test_a_version_may_be_named(browser: Browser, heard: Listener, url: str):
    await browser.get(url, impersonate="chrome131")
    assert "Chrome/131." in heard.fields()["user-agent"]


async def test_a_browser_that_nobody_knows(browser: Browser, heard: Listener, url: str):
    error = await browser.fails(url, impersonate="lynx")
    assert isinstance(error, errors.InvalidRequest)
    assert "lynx" in str(error)
    assert "chrome" in str(error)
    assert heard.heads == []


async def test_what_the_browser_says_it_decodes_is_decoded(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/gzip", impersonate="chrome")
    assert response.css("h1::text").get() == "Known page"
    assert response.wire_bytes < len(response.body)


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept(browser: Browser, site: FaultySite):
    await browser.get(site.url + "/cookies/set?name=a&value=1", impersonate="chrome")
    assert (await browser.get(site.url + "/cookies/show", impersonate="chrome")).json() == {}
    assert (await browser.get(site.url + "/redirect/1", impersonate="chrome")).status == 302
