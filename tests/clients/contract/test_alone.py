"""Follows no redirect, keeps no cookie, reads no environment."""

import pytest

from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    HttpProxy,
    closed_port,
    listening,
)
from tests.faulty import FaultySite


async def test_a_redirect_is_not_followed(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/redirect/1")
    assert (response.status, response.headers["Location"]) == (302, "/ok/0")
    assert site.hits("/ok/0") == 0


async def test_a_cookie_is_not_remembered(browser: Browser, site: FaultySite):
    await browser.get(site.url + "/cookies/set?name=a&value=1")
    assert (await browser.get(site.url + "/cookies/show")).json() == {}


async def test_the_environments_proxies_are_not_ours(
    name: str, site: FaultySite, monkeypatch: pytest.MonkeyPatch
):
    with closed_port() as port:
        for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(variable, f"http://{HOST}:{port}")
        async with Browser(name) as browser:
            assert (await browser.get(site.url + "/ok/1")).status == 200


async def test_the_environments_exceptions_from_proxies_are_not_ours(
    name: str, site: FaultySite, monkeypatch: pytest.MonkeyPatch
):
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "*")
    proxy = HttpProxy()
    async with listening(proxy) as port, Browser(name) as browser:
        assert (await browser.get(site.url + "/ok/1", proxy=f"http://{HOST}:{port}")).status == 200
    assert len(proxy.asked) == 1
