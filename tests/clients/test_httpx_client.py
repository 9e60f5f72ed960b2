"""The httpx client: what is its own beside the contract of all clients."""

import asyncio
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import httpcore

from scraper import errors
from scraper.clients.http2 import MOST_EXCHANGES
from scraper.settings import Timeouts
from tests.clients.browser import Browser
from tests.clients.http2_site import Http2Site
from tests.clients.servers import HOST, Counted, listening


async def test_open_connections_are_bounded_whatever_the_number_of_sites():
    site = Counted()
    async with AsyncExitStack() as stack, Browser("httpx", concurrency=5) as browser:
        ports = [await stack.enter_async_context(listening(site)) for _ in range(40)]
        await asyncio.gather(*(browser.get(f"http://{HOST}:{port}/") for port in ports))
        async with asyncio.timeout(5), site.changed:
            await site.changed.wait_for(lambda: site.open <= 5)
        await browser.get(f"http://{HOST}:{ports[-1]}/")
        assert site.open <= 6
    assert len(site.heads) == 41


async def test_sites_behind_a_proxy_that_sends_requests_on_share_its_connections():
    proxy = Counted()
    async with listening(proxy) as port, Browser("httpx") as browser:
        for n in range(5):
            await browser.get(f"http://{n}.example/", proxy=f"http://{HOST}:{port}")
        assert proxy.open == 1
    assert [head.split(" ")[1] for head in proxy.heads] == [f"http://{n}.example/" for n in range(5)]


async def test_headers_keep_their_case_and_their_order():
    site = Counted()
    async with listening(site) as port, Browser("httpx") as browser:
        await browser.get(f"http://{HOST}:{port}/", headers={"X-zwei": "2", "accept": "é…", "x-Eins": "1"})
    assert site.heads[0].split("\r\n")[1:-2] == [
        f"Host: {HOST}:{port}",
        "X-zwei: 2",
        "accept: é…",
        "x-Eins: 1",
    ]


async def test_a_host_of_ones_own_is_sent_instead():
    site = Counted()
    async with listening(site) as port, Browser("httpx") as browser:
        await browser.get(f"http://{HOST}:{port}/", headers={"host": "site.example"})
    assert site.heads[0].split("\r\n")[1:-2] == ["host: site.example"]


async def test_a_body_that_nobody_takes_is_not_waited_for():
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        await asyncio.Event().wait()

    async with listening(deaf) as port, Browser("httpx", timeouts=Timeouts(write=0.2)) as browser:
        error = await browser.fails(f"http://{HOST}:{port}/", method="POST", body=bytes(50_000_000))
    assert isinstance(error, errors.WriteTimeout)
    assert isinstance(error.__cause__, httpcore.WriteTimeout)


async def test_http2_may_be_the_crawls_usual(ca_file: Path, tls2: ssl.SSLContext):
    second = Http2Site()
    async with (
        listening(second, tls=tls2) as port,
        Browser("httpx", options={"http2": True}, tls={"ca_file": ca_file}) as browser,
    ):
        await asyncio.gather(*(browser.get(f"https://{HOST}:{port}/{n}") for n in range(10)))
    assert (second.accepted, len(second.asked)) == (1, 10)


async def test_more_at_once_than_one_connection_carries_take_another(ca_file: Path, tls2: ssl.SSLContext):
    second = Http2Site(most_at_once=300)
    async with (
        listening(second, tls=tls2) as port,
        Browser("httpx", options={"http2": True}, tls={"ca_file": ca_file}) as browser,
    ):
        waiting = [
            asyncio.create_task(browser.get(f"https://{HOST}:{port}/never")) for _ in range(MOST_EXCHANGES)
        ]
        await second.until(lambda: second.hits("/never") == MOST_EXCHANGES)
        await browser.get(f"https://{HOST}:{port}/page")
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    assert second.accepted == 2


async def test_a_body_over_http2_that_nobody_takes_is_not_waited_for(ca_file: Path, tls2: ssl.SSLContext):
    second = Http2Site(deaf=True)
    async with (
        listening(second, tls=tls2) as port,
        Browser("httpx", tls={"ca_file": ca_file}, timeouts=Timeouts(write=0.2)) as browser,
    ):
        url = f"https://{HOST}:{port}/post"
        error = await browser.fails(url, method="POST", body=bytes(1_000_000), http2=True)
    assert isinstance(error, errors.WriteTimeout)
