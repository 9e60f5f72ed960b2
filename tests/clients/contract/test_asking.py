"""Sends one request, as it was asked for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import (
    basic,
)
from tests.faulty import FaultySite


async def test_a_page_comes_whole(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/ok/1")
    assert (response.status, response.css("h1::text").get()) == (200, "Page 1")
    assert response.wire_bytes == len(response.body)


async def test_a_status_is_no_error(browser: Browser, site: FaultySite):
    for status in (201, 404, 429, 500, 503, 599):
        assert (await browser.get(f"{site.url}/always/{status}")).status == status


async def test_a_body_is_sent_with_its_type(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/post", method="PUT", body="é", headers={"Content-Type": "a/b"})
    assert response.json() == {"method": "PUT", "body": "é", "content-type": "a/b"}
    form = await browser.get(site.url + "/post", form={"a": "1 2", "b": ["x", "y"]})
    assert form.json()["body"] == "a=1+2&b=x&b=y"


async def test_a_large_body_is_sent_whole(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/post", method="POST", body=b"0123456789" * 60_000)
    assert response.json()["body"] == "0123456789" * 60_000


async def test_a_body_may_be_made_while_it_is_sent(browser: Browser, site: FaultySite):
    async def made() -> AsyncIterator[bytes]:
        for n in range(5):
            await asyncio.sleep(0)
            yield f"{n},".encode() * 10_000

    for _ in range(2):
        response = await browser.get(site.url + "/post", method="POST", body=made())
        assert response.json()["body"] == "".join(f"{n}," * 10_000 for n in range(5))


async def test_a_body_that_can_not_be_made_is_an_error_and_no_request(browser: Browser, site: FaultySite):
    async def made() -> AsyncIterator[bytes]:
        yield b"half"
        raise LookupError("the other half")

    with pytest.raises((LookupError, errors.FetchError)):
        await browser.get(site.url + "/post", method="POST", body=made())
    assert site.hits("/post") == 0
    assert (await browser.get(site.url + "/ok/1")).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH", "OPTIONS"])
async def test_a_body_is_not_needed(browser: Browser, site: FaultySite, method: str):
    response = await browser.get(site.url + "/post", method=method)
    assert response.json() == {"method": method, "body": "", "content-type": None}


async def test_headers_are_those_of_the_request(browser: Browser, site: FaultySite):
    response = await browser.get(site.url + "/headers", headers={"User-Agent": "bot", "X-One": "1"})
    sent = response.json()
    assert (sent.pop("user-agent"), sent.pop("x-one")) == ("bot", "1")
    assert set(sent) <= {"host", "connection", "content-length"}


async def test_a_client_adds_no_name_and_no_wish_of_its_own(browser: Browser, site: FaultySite):
    sent = (await browser.get(site.url + "/headers")).json()
    assert set(sent) <= {"host", "connection", "content-length"}


@pytest.mark.parametrize("path", ["/ok/%7Ea%2Fb?q=%20a+b&x=%C3%A9&y='(!)*", "/ok/a;b=c,d@e:f", "/ok//1"])
async def test_a_url_is_sent_to_the_letter(browser: Browser, site: FaultySite, path: str):
    await browser.get(site.url + path)
    assert site.log[-1].path == path


async def test_a_fragment_stays_at_home(browser: Browser, site: FaultySite):
    await browser.get(site.url + "/ok/1#part")
    assert site.log[-1].path == "/ok/1"


async def test_a_password_in_the_url_is_sent_as_basic_authentication(browser: Browser, site: FaultySite):
    url = site.url.replace("//", "//user:p%40ss@")
    assert (await browser.get(url + "/headers")).json()["authorization"] == basic("user", "p@ss")


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": {"X-One": "a\r\nX-Two: b"}},
        {"headers": {"X-One\n": "a"}},
        {"headers": {"X-One": "a\0b"}},
        {"method": "GET / HTTP/1.1\r\nX-Two: b\r\n\r\nGET"},
    ],
)
async def test_what_would_break_the_request_is_not_sent(browser: Browser, site: FaultySite, wrong: dict):
    assert isinstance(await browser.fails(site.url + "/ok/1", **wrong), errors.InvalidRequest)
    assert site.log == []


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "mailto:a@site.example", "http://", "http://127.0.0.1:99999/"]
)
async def test_what_is_no_address_of_a_page(browser: Browser, url: str):
    assert isinstance(await browser.fails(url), errors.InvalidRequest)
