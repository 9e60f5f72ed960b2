"""Waits no longer than it may."""

import pytest

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    full_port,
    listening,
    mute,
)
from tests.faulty import FaultySite


async def test_nobody_picks_up(hasty: Browser):
    with full_port() as port:
        assert isinstance(await hasty.fails(f"http://{HOST}:{port}/"), errors.ConnectTimeout)


@pytest.mark.parametrize("path", ["/never", "/stall"])
async def test_silence(hasty: Browser, site: FaultySite, path: str):
    assert isinstance(await hasty.fails(site.url + path), errors.ReadTimeout)


async def test_a_drip_without_end(browser: Browser, site: FaultySite):
    error = await browser.fails(site.url + "/drip?bytes=1000&ms=20", timeout=0.2)
    assert isinstance(error, errors.TotalTimeout)
    await site.until(lambda: site.connections == 0)


async def test_a_tls_handshake_that_nobody_answers(hasty: Browser):
    async with listening(mute) as port:
        error = await hasty.fails(f"https://{HOST}:{port}/")
    assert isinstance(error, errors.ConnectTimeout)
