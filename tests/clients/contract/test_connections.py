"""Uses a connection again, and never a wrong one."""

import asyncio
from contextlib import suppress

import pytest

from scraper import errors
from tests.clients.browser import Browser
from tests.clients.servers import (
    HOST,
    listening,
)
from tests.faulty import FaultySite


async def test_a_connection_is_used_again(browser: Browser, site: FaultySite):
    for path in ("/ok/1", "/always/404", "/big?bytes=300000", "/gzip", "/redirect/1"):
        await browser.get(site.url + path)
    assert site.accepted == 1


async def test_many_at_once_get_their_own_pages(browser: Browser, site: FaultySite):
    responses = await asyncio.gather(*(browser.get(f"{site.url}/ok/{n}") for n in range(50)))
    assert [response.css("h1::text").get() for response in responses] == [f"Page {n}" for n in range(50)]


async def test_a_connection_that_was_closed_behind_an_answer_is_not_used(browser: Browser, site: FaultySite):
    for n in range(3):
        assert (await browser.get(site.url + "/keepalive-close")).status == 200
        await site.until(lambda: site.connections == 0)
        assert (await browser.get(f"{site.url}/ok/{n}")).status == 200


async def test_a_connection_that_breaks_under_a_request_is_lost_or_replaced(
    browser: Browser, site: FaultySite
):
    assert (await browser.get(site.url + "/keepalive-stale")).status == 200
    try:
        response = await browser.get(site.url + "/ok/1")
    except errors.ConnectionLost:  # as good: it will be tried again
        response = await browser.get(site.url + "/ok/1")
    assert response.status == 200


@pytest.mark.parametrize("body", ["", "sold"])
async def test_a_request_that_changes_something_is_never_sent_twice(browser: Browser, body: str):
    asked: list[str] = []

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A sound answer; the next request on this connection is read, and the connection closed."""
        for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b""):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await reader.readexactly(len(body))
            asked.append(head.split(" ")[1])
            writer.write(answer)
            await writer.drain()

    async with listening(once) as port:
        await browser.get(f"http://{HOST}:{port}/", method="POST", body=body)
        with suppress(errors.ConnectionLost):  # or it takes a new connection for each
            await browser.get(f"http://{HOST}:{port}/buy", method="POST", body=body)
    assert asked == ["/", "/buy"]


async def test_an_answer_that_was_not_read_to_its_end_is_no_part_of_the_next(
    browser: Browser, site: FaultySite
):
    with pytest.raises(errors.BodyTooLarge):
        await browser.get(site.url + "/big?bytes=3000000")
    assert (await browser.get(site.url + "/ok/1")).css("h1::text").get() == "Page 1"
    assert site.accepted == 2


async def test_surplus_bytes_are_no_part_of_the_next_answer(browser: Browser, site: FaultySite):
    try:
        response = await browser.get(site.url + "/wrong-length-short")
    except errors.ProtocolViolation:
        pass  # as good: the site said two things
    else:
        assert len(response.body) == int(response.headers["Content-Length"])
    assert (await browser.get(site.url + "/ok/1")).css("h1::text").get() == "Page 1"
