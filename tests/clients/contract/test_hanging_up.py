"""Hangs up when cancelled, and leaves nothing open."""

import asyncio
import gc
import warnings
from contextlib import suppress

import pytest

from scraper import errors
from scraper.settings import Timeouts
from tests.clients.browser import Browser
from tests.clients.servers import HOST, listening
from tests.faulty import FaultySite


async def test_a_fetch_that_is_cancelled_hangs_up(browser: Browser, site: FaultySite):
    for path in ("/never", "/stall"):
        fetching = asyncio.create_task(browser.get(site.url + path))
        await site.until(lambda path=path: site.hits(path) == 1)
        fetching.cancel()
        await asyncio.wait([fetching])
        await site.until(lambda: site.connections == 0)
    assert (await browser.get(site.url + "/ok/1")).status == 200


class Silent:
    """Never says a word; knows who is there."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        self.heard.set()
        with suppress(OSError):
            while await reader.read(65_536):
                pass
        self.left.set()


@pytest.mark.parametrize("way", ["https", "http", "socks5"])
async def test_a_fetch_that_is_cancelled_while_it_connects_hangs_up(name: str, way: str):
    async with Browser(name, timeouts=Timeouts(connect=1)) as browser:
        await hang_up_while_connecting(browser, way)


async def hang_up_while_connecting(browser: Browser, way: str) -> None:
    silent = Silent()
    async with listening(silent) as port, asyncio.timeout(10):
        if way == "https":
            asking = browser.get(f"https://{HOST}:{port}/")
        else:
            asking = browser.get("https://site.example/", proxy=f"{way}://{HOST}:{port}")
        fetching = asyncio.create_task(asking)
        await silent.heard.wait()
        fetching.cancel()
        await asyncio.wait([fetching])
        await silent.left.wait()


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
