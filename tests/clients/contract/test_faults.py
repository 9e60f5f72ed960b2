"""Says by its name what went wrong."""

import pytest

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    closed_port,
)
from tests.faulty import FaultySite


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/reset", errors.ConnectionLost),
        ("/reset-middle", errors.ConnectionLost | errors.BodyTruncated),  # not every library tells which
        ("/empty-reply", errors.ConnectionLost),
        ("/truncated", errors.BodyTruncated),
        pytest.param("/truncated-chunked", errors.BodyTruncated),
        ("/bad-chunk", errors.ProtocolViolation),
        ("/not-http", errors.ProtocolViolation),
        ("/bad-header", errors.ProtocolViolation),
        ("/huge-header?kb=1024", errors.ProtocolViolation),
    ],
)
async def test_a_fault_of_the_site_has_its_name(browser: Browser, site: FaultySite, path: str, kind: type):
    error = await browser.fails(site.url + path)
    assert isinstance(error, kind)
    assert error.retryable
    assert (await browser.get(site.url + "/ok/1")).status == 200  # and the client is none the worse for it


async def test_a_header_may_be_longer_than_any_browser_sends(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/huge-header?kb=60")
    assert len(response.headers["X-Huge"]) == 60 * 1024


async def test_nobody_listens(browser: Browser):
    with closed_port() as port:
        assert isinstance(await browser.fails(f"http://{HOST}:{port}/"), errors.ConnectionRefused)


async def test_a_name_that_does_not_exist(browser: Browser):
    assert isinstance(await browser.fails("http://nosuch.invalid/"), errors.NameNotResolved)
