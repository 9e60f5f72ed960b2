"""WebSockets: a callback iterates over messages, and what each one brings is safe before the next one comes."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from scraper import Request, Response, Spider, StopCrawl
from scraper.crawler import Crawler
from scraper.frontiers.archive import Archive
from scraper.ordering import new_order
from scraper.project import Project
from scraper.runs import Runs
from scraper.testing import crawl
from tests.clients.servers import HttpProxy, SocksProxy, listening
from tests.sockets.ticker import HOST, Ticker, drop, for_ever, numbers, serving

pytestmark = pytest.mark.usefixtures("few_authorities")


@pytest.fixture
def few_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> trustme.CA:
    """A client reads the system's certificates when it is made: that takes longer than all else here."""
    authority = trustme.CA()
    folder = tmp_path_factory.mktemp("system")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    return authority


class Ticks(Spider):
    name = "ticks"
    url: str = ""

    async def start(self):
        yield Request(self.url, callback=self.on_messages, errback=self.on_error)

    async def on_messages(self, response: Response):
        async for message in response.messages:
            yield {"ordinal": message.ordinal} | message.json()

    def on_error(self, error: Exception):
        yield {"error": getattr(error, "reason", "")}

    def parse(self, response: Response):
        yield {"page": response.css("h1::text").get()}


async def crawled(spider: type[Spider], ticker: Ticker, root: Path, *settings: str, **options: Any):
    return await crawl(
        spider, root=root, settings=["log_level=error", *settings], arguments={"url": ticker.url}, **options
    )


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_message_brings_its_items(tmp_path: Path):
    async with serving(Ticker(numbers(1, 50))) as ticker:
        done = await crawled(Ticks, ticker, tmp_path)
    assert done.items == [{"ordinal": n, "n": n + 1} for n in range(50)]
    counters = done.result.counters
    assert (done.result.state, counters["done"], counters["messages"]) == ("finished", 1, 50)
    assert counters["status/101"] == 1
    assert ticker.codes == [1000]


async def test_items_have_names_of_their_own(tmp_path: Path):
    async with serving(Ticker(numbers(1, 20))) as ticker:
        done = await crawled(Ticks, ticker, tmp_path)
    kept = await Archive(Runs(tmp_path).get(done.result.run_id).database).items(0, 100)
    assert len({record.item_id for _, record in kept}) == 20


async def test_text_bytes_and_json_go_both_ways(tmp_path: Path):
    async def echo(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type == web.WSMsgType.TEXT:
                await socket.send_str(message.data)
            else:
                await socket.send_bytes(message.data)

    class Talker(Ticks):
        async def on_messages(self, response: Response):
            for said in ("hello", b"\x00\xff", {"a": 1}):
                await response.send(said)
            async for message in response.messages:
                yield {"heard": repr(message.data)}
                if message.ordinal == 2:
                    await response.aclose()

    async with serving(Ticker(echo)) as ticker:
        done = await crawled(Talker, ticker, tmp_path)
    assert [item["heard"] for item in done.items] == ["'hello'", r"b'\x00\xff'", "'{\"a\":1}'"]


async def test_what_a_message_leads_to_is_fetched(tmp_path: Path):
    class Follower(Ticks):
        async def on_messages(self, response: Response):
            async for message in response.messages:
                page = self.url.replace("ws:", "http:").replace("/ticks", f"/page/{message.json()['n']}")
                yield Request(page)

    async with serving(Ticker(numbers(1, 5))) as ticker:
        done = await crawled(Follower, ticker, tmp_path)
    assert sorted(item["page"] for item in done.items) == ["1", "2", "3", "4", "5"]


async def test_items_are_in_the_file_while_the_socket_is_open(tmp_path: Path):
    feed = tmp_path / "ticks.jsonl"

    async def wait_for_the_file(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"n": 1})
        async with asyncio.timeout(10):
            while not (feed.is_file() and feed.read_text()):  # noqa: ASYNC110
                await asyncio.sleep(0)
        await socket.send_json({"n": 2})

    async with serving(Ticker(wait_for_the_file)) as ticker:
        await crawled(Ticks, ticker, tmp_path, "feeds.sync=0.1", feeds=[feed])
    assert [json.loads(line)["n"] for line in feed.read_text().splitlines()] == [1, 2]


async def test_a_flood_waits_for_who_reads_it(tmp_path: Path):
    sent = 0
    stuck = asyncio.Event()

    async def flood(socket: web.WebSocketResponse) -> None:
        nonlocal sent
        while not stuck.is_set() and sent < 4_000:
            try:
                async with asyncio.timeout(0.3):
                    await socket.send_bytes(bytes(50_000))
                    sent += 1
            except TimeoutError:
                stuck.set()

    class Slow(Ticks):
        async def on_messages(self, response: Response):
            async for _ in response.messages:
                await stuck.wait()
                await response.aclose()
                yield {"sent": sent}

    async with serving(Ticker(flood)) as ticker:
        done = await crawled(Slow, ticker, tmp_path)
    assert done.items[0]["sent"] * 50_000 < 40_000_000  # what fits in all buffers on the way


# ── when it breaks ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_socket_that_breaks_is_opened_again_as_often_as_it_brings_something(tmp_path: Path):
    async def one_and_off(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"n": len(ticker.asked)})
        if len(ticker.asked) < 8:
            drop(socket)

    async with serving(Ticker(one_and_off)) as ticker:
        done = await crawled(Ticks, ticker, tmp_path, "retry.attempts=2")
    # what was on the wire when it broke may not have come
    assert {item["n"] for item in done.items} <= set(range(1, 9))
    assert done.items[-1]["n"] == 8
    assert [item["ordinal"] for item in done.items] == list(range(len(done.items)))
    assert done.result.state == "finished"


async def test_one_that_brings_nothing_fails_in_the_end(tmp_path: Path):
    async def break_off(socket: web.WebSocketResponse) -> None:
        drop(socket)

    async with serving(Ticker(break_off)) as ticker:
        done = await crawled(Ticks, ticker, tmp_path, "retry.attempts=3")
    assert len(ticker.asked) == 3
    assert done.failed == {"connection lost": 1}
    assert done.items == [{"error": "connection lost"}]


async def test_one_that_answers_no_ping_is_gone(tmp_path: Path):
    async def deaf(socket: web.WebSocketResponse) -> None:
        if len(ticker.asked) == 1:
            await asyncio.Event().wait()
        await socket.send_json({"n": 1})

    ticker = Ticker(deaf)
    async with serving(ticker):
        ticker.url += "?deaf"
        done = await crawled(Ticks, ticker, tmp_path, "timeouts.read=0.2")
    assert done.items == [{"ordinal": 0, "n": 1}]
    assert len(ticker.asked) == 2


async def test_a_message_that_is_too_large(tmp_path: Path):
    async def shout(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(bytes(200_000))
        await for_ever(socket)

    async with serving(Ticker(shout)) as ticker:
        done = await crawled(Ticks, ticker, tmp_path, "max_body=100_000")
    assert done.failed == {"body too large": 1}


async def test_a_callback_that_raises_fails_the_socket_and_keeps_what_came_before(tmp_path: Path):
    class Clumsy(Ticks):
        async def on_messages(self, response: Response):
            async for message in response.messages:
                yield message.json()
                if message.ordinal == 2:
                    raise ZeroDivisionError

    async with serving(Ticker(numbers(1, 9))) as ticker:
        done = await crawled(Clumsy, ticker, tmp_path)
    assert [item.get("n") for item in done.items][:2] == [1, 2]
    assert {"n": 3} not in done.items
    assert done.result.counters["failed"] == 1


@pytest.mark.parametrize(("status", "attempts"), [(403, 1), (503, 3)])
async def test_a_site_that_opens_none_says_so_with_a_status(tmp_path: Path, status: int, attempts: int):
    ticker = Ticker(numbers(1, 1), refusals=[web.Response(status=status) for _ in range(3)])
    async with serving(ticker):
        done = await crawled(Ticks, ticker, tmp_path, "retry.attempts=3")
    assert done.failed == {f"status {status}": 1}
    assert len(ticker.asked) == attempts


# ── with the crawl ───────────────────────────────────────────────────────────────────────────────────────


async def test_it_stops_with_the_crawl_and_goes_on_with_it(tmp_path: Path):
    async def three_then_wait(socket: web.WebSocketResponse) -> None:
        await numbers(1, 3)(socket)
        await for_ever(socket)

    async with serving(Ticker(three_then_wait)) as ticker:
        first = await crawled(Ticks, ticker, tmp_path, "grace=30", max_items=3)
        await ticker.until(lambda: ticker.open == 0)
        assert (first.result.state, first.result.resumable) == ("stopped", True)
        assert [item["ordinal"] for item in first.items] == [0, 1, 2]
        run = Runs(tmp_path).get(first.result.run_id)
        second = await crawled(Ticks, ticker, tmp_path, resume=run, max_items=3)
    assert [item["ordinal"] for item in second.items] == [0, 1, 2, 3, 4, 5]
    assert len(ticker.asked) == 2


async def test_an_interruption_does_not_wait_for_a_message(tmp_path: Path):
    async def one_then_wait(socket: web.WebSocketResponse) -> None:
        await numbers(1, 1)(socket)
        await for_ever(socket)

    class Impatient(Ticks):
        async def on_messages(self, response: Response):
            async for message in response.messages:
                yield message.json()
                asyncio.get_running_loop().call_soon(crawler.interrupt)

    (tmp_path / "settings.toml").write_text("grace = 30\nlog_level = 'error'\n")
    async with serving(Ticker(one_then_wait)) as ticker:
        order = new_order(Project(tmp_path), Impatient, arguments={"url": ticker.url})
        crawler = Crawler(order)
        async with asyncio.timeout(10):
            result = await crawler.run()
        assert (result.state, result.counters["items"]) == ("interrupted", 1)


async def test_a_stop_by_the_spider(tmp_path: Path):
    class Enough(Ticks):
        async def on_messages(self, response: Response):
            async for message in response.messages:
                yield message.json()
                if message.ordinal == 4:
                    raise StopCrawl("enough")

    async with serving(Ticker(numbers(1, 1000))) as ticker:
        done = await crawled(Enough, ticker, tmp_path)
    assert done.result.reason == "enough"
    assert [item["n"] for item in done.items] == [1, 2, 3, 4, 5]


# ── the way there ────────────────────────────────────────────────────────────────────────────────────────


async def test_robots_are_asked(tmp_path: Path):
    async with serving(Ticker(numbers(1, 1), disallowed=True)) as ticker:
        done = await crawled(Ticks, ticker, tmp_path)
    assert (done.items, ticker.asked) == ([], [])
    assert done.counted("refused") == {"robots": 1}


async def test_cookies_headers_and_credentials_go_with_the_handshake(tmp_path: Path):
    class Twice(Ticks):
        async def start(self):
            for n in range(2):
                yield Request(
                    f"{self.url}?{n}", callback=self.on_messages, auth=("me", "secret"), priority=-n
                )

    async with serving(Ticker(numbers(1, 1))) as ticker:
        await crawled(Twice, ticker, tmp_path, "per_host=1", "seats=1", "user_agent=ticks/1")
    first, second = ticker.asked
    assert (first.headers["User-Agent"], first.headers["Authorization"]) == ("ticks/1", "Basic bWU6c2VjcmV0")
    assert ("Cookie" in first.headers, second.headers["Cookie"]) == (False, "visit=1")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_through_a_proxy(tmp_path: Path, scheme: str):
    proxy: Any = HttpProxy() if scheme == "http" else SocksProxy()
    async with serving(Ticker(numbers(1, 3))) as ticker, listening(proxy) as port:
        pool = f"proxies.pool=['{scheme}://{HOST}:{port}']"
        done = await crawled(Ticks, ticker, tmp_path, pool, "obey_robots=false")
    assert len(done.items) == 3
    assert len(proxy.asked) == 1


async def test_over_tls(tmp_path: Path, few_authorities: trustme.CA):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    few_authorities.issue_cert(HOST).configure_cert(tls)
    async with serving(Ticker(numbers(1, 3)), tls) as ticker:
        done = await crawled(Ticks, ticker, tmp_path)
    assert ticker.url.startswith("wss:")
    assert len(done.items) == 3


async def test_a_crawl_with_another_client_opens_it_all_the_same(tmp_path: Path):
    async with serving(Ticker(numbers(1, 3))) as ticker:
        done = await crawled(Ticks, ticker, tmp_path, "client=httpx")
    assert len(done.items) == 3


async def test_a_client_that_can_not_is_an_error_in_words(tmp_path: Path):
    class Named(Ticks):
        async def start(self):
            yield Request(self.url, callback=self.on_messages, client="httpx")

    async with serving(Ticker(numbers(1, 3))) as ticker:
        done = await crawled(Named, ticker, tmp_path)
    assert done.failed == {"invalid request": 1}
    told = next(event for event in done.log if event["event"] == "page failed")
    assert "httpx can't do WebSocket: say client='aiohttp'" in told["error"]


async def test_it_needs_a_callback(tmp_path: Path):
    class Fetching(Ticks):
        async def start(self):
            yield Request(self.url.replace("ws:", "http:").replace("/ticks", "/page/1"))

        async def parse(self, response: Response):
            await self.fetch(Request(self.url))

    async with serving(Ticker(numbers(1, 3))) as ticker:
        done = await crawled(Fetching, ticker, tmp_path)
    assert done.result.counters["failed"] == 1
    assert any("needs a callback" in str(event.get("exc_info", "")) for event in done.log)
