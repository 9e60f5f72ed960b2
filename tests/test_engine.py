"""The engine: many pages at once and never too many, each in its turn, none in another's way."""

import asyncio
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scraper import Request, Response, Spider, StopCrawl
from scraper.crawler import Crawler
from scraper.layers import load, override_layer
from scraper.order import Order
from scraper.testing import FakeClient, Page, crawl

SITE = "https://site.example/"


class Numbers(Spider):
    """Asks for /0, /1 … and takes each page's text."""

    name = "numbers"
    many: int = 20

    async def start(self):
        for n in range(self.many):
            yield Request(f"{SITE}{n}")

    def parse(self, response: Response) -> Any:
        yield {"text": response.text}


class Busy:
    """Pages that know how many of them are asked for, or lived through, at once."""

    def __init__(self) -> None:
        self.now = self.most = 0

    async def __aenter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    async def __aexit__(self, *_: object) -> None:
        self.now -= 1


async def a_moment() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def a_site(answer: Any, many: int = 20, host: str = SITE) -> dict[str, Any]:
    return {f"{host}{n}": answer for n in range(many)}


async def crawled(spider: Any, pages: dict[str, Any], root: Path, *settings: str, **options: Any):
    client = FakeClient(pages)
    return await crawl(spider, client=client, root=root, settings=["obey_robots=false", *settings], **options)


# ── how many at once ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        (["concurrency=3"], 3),
        (["concurrency=1"], 1),
        (["concurrency=9", "per_host=4"], 4),
        (["concurrency=9", "per_host=9", "seats=2"], 2),
        (["concurrency=9", "hosts={'site.example'={per_host=2}}"], 2),
    ],
)
async def test_as_many_requests_are_on_the_wire_as_may_be(tmp_path: Path, settings: list[str], most: int):
    wire = Busy()

    async def page(request: Request) -> str:
        async with wire:
            await a_moment()
            return "page"

    done = await crawled(Numbers, a_site(page), tmp_path, *settings)
    assert (wire.most, len(done.items)) == (most, 20)


@pytest.mark.parametrize("seats", [1, 3])
async def test_no_more_pages_are_in_memory_than_there_are_seats(tmp_path: Path, seats: int):
    pages = Busy()

    class Slow(Numbers):
        async def parse(self, response: Response):
            async with pages:
                await a_moment()
                yield {"text": response.text}

    done = await crawled(Slow, a_site("page"), tmp_path, f"seats={seats}")
    assert (pages.most, len(done.items)) == (seats, 20)


async def test_a_delay_lies_between_two_requests_to_one_host(tmp_path: Path):
    times: list[float] = []

    def page(request: Request) -> str:
        times.append(asyncio.get_running_loop().time())
        return "page"

    await crawled(Numbers, a_site(page, 4), tmp_path, "delay=50ms", arguments={"many": 4})
    assert all(later - sooner >= 0.045 for sooner, later in pairwise(times))


# ── whose turn it is ─────────────────────────────────────────────────────────────────────────────────────


async def test_pages_of_higher_priority_come_first(tmp_path: Path):
    class Priorities(Numbers):
        def parse(self, response: Response):
            if response.url == SITE + "0":
                for n in (1, 3, 2, 5, 4):
                    yield Request(f"{SITE}{n}", priority=n)

    done = await crawled(Priorities, a_site("page"), tmp_path, "seats=1", arguments={"many": 1})
    assert done.urls == [f"{SITE}{n}" for n in (0, 5, 4, 3, 2, 1)]


async def test_pages_of_one_priority_come_in_the_order_in_which_they_were_asked_for(tmp_path: Path):
    done = await crawled(Numbers, a_site("page"), tmp_path, "seats=1")
    assert done.urls == [f"{SITE}{n}" for n in range(20)]


async def test_a_host_with_many_pages_starves_nobody(tmp_path: Path):
    other = "https://other.example/"

    class TwoHosts(Numbers):
        async def start(self):
            for n in range(50):
                yield Request(f"{SITE}{n}")
            for n in range(3):
                yield Request(f"{other}{n}")

    pages = a_site("page", 50) | a_site("page", 3, other)
    done = await crawled(TwoHosts, pages, tmp_path, "concurrency=2")
    assert [url for url in done.urls[:20] if url.startswith(other)] == [f"{other}{n}" for n in range(3)]


async def test_a_page_that_hangs_holds_nobody_up(tmp_path: Path):
    others = asyncio.Event()
    left = 19

    def page(request: Request) -> str:
        nonlocal left
        left -= 1
        if not left:
            others.set()
        return "page"

    async def the_last(request: Request) -> str:
        await others.wait()
        return "at last"

    done = await crawled(Numbers, a_site(page) | {SITE + "0": the_last}, tmp_path, "concurrency=2")
    assert done.items[-1] == {"text": "at last"}


async def test_a_large_page_lets_the_others_have_their_turn(tmp_path: Path):
    order: list[str] = []

    class Large(Numbers):
        def parse(self, response: Response):
            for n in range(10_000 if response.url == SITE + "0" else 1):
                yield {"text": str(n)}
            order.append(response.url)

    done = await crawled(Large, a_site("page", 5), tmp_path, arguments={"many": 5})
    assert order[-1] == SITE + "0"
    assert len(done.items) == 10_004


# ── duplicates ───────────────────────────────────────────────────────────────────────────────────────────


async def test_each_url_is_asked_for_once_however_it_is_spelt(tmp_path: Path):
    class Spelt(Numbers):
        async def start(self):
            for url in ("1", "1#part", "1?", "./1", "x/../1"):
                yield Request(SITE + url)
            yield Request("HTTPS://SITE.example:443/1")
            yield Request(SITE + "2?a=1&b=2")
            yield Request(SITE + "2?b=2&a=1")

    done = await crawled(Spelt, {}, tmp_path, "max_failed=1")
    assert done.result.counters["queued"] == 2
    assert done.counted("dropped") == {"duplicate": 6}


async def test_another_method_or_body_is_another_request(tmp_path: Path):
    class Posting(Numbers):
        async def start(self):
            yield Request(SITE + "1")
            for body in ("a", "b", "a"):
                yield Request(SITE + "1", method="POST", body=body)

    done = await crawled(Posting, a_site(lambda request: request.body), tmp_path)
    assert Counter(item["text"] for item in done.items) == Counter(["", "a", "b"])


async def test_dont_filter_asks_again(tmp_path: Path):
    class Again(Numbers):
        def parse(self, response: Response):
            yield {"text": response.text}
            if response.request.depth < 3:
                yield Request(response.url, dont_filter=True)

    done = await crawled(Again, a_site("page"), tmp_path, arguments={"many": 1})
    assert done.urls == [SITE + "0"] * 4
    assert done.counted("dropped") == {}


async def test_a_page_that_failed_has_claimed_nothing(tmp_path: Path):
    """Its rival yields the same link: that one counts."""

    class Rivals(Numbers):
        def parse(self, response: Response):
            yield Request(SITE + "prize", callback="parse_prize")
            if response.url == SITE + "0":
                raise KeyError("oh")

        def parse_prize(self, response: Response):
            yield {"text": response.text}

    pages = a_site("page", 2) | {SITE + "prize": "the prize"}
    done = await crawled(Rivals, pages, tmp_path, "seats=1", arguments={"many": 2})
    assert done.items == [{"text": "the prize"}]


# ── one page's trouble ───────────────────────────────────────────────────────────────────────────────────


async def test_a_bug_in_a_middleware_loses_its_page_only(tmp_path: Path):
    done = await crawled(
        Numbers, a_site("page"), tmp_path, f'middlewares=["{__name__}:Buggy"]', "max_failed=1"
    )
    assert len(done.items) == 19
    assert done.failed == {"internal ZeroDivisionError": 1}
    assert any(event["event"] == "page failed" and event["log_level"] == "error" for event in done.log)


class Buggy:
    async def __call__(self, request: Request, call_next: Any) -> Response:
        if request.url.endswith("/7"):
            1 / 0  # noqa: B018  # a bug
        return await call_next(request)


async def test_a_callback_that_stops_the_crawl_keeps_its_page(tmp_path: Path):
    class Last(Numbers):
        def parse(self, response: Response):
            yield {"text": response.text}
            raise StopCrawl("that was it")

    done = await crawled(Last, a_site("page"), tmp_path, "seats=1")
    assert (done.items, done.result.reason) == ([{"text": "page"}], "that was it")


async def test_a_generator_is_closed_where_its_page_ends(tmp_path: Path):
    closed: list[str] = []

    class Careful(Numbers):
        async def parse(self, response: Response):
            try:
                yield {"text": "fits"}
                yield 7
                yield {"text": "is never asked for"}
            finally:
                closed.append(response.url)

        async def close(self, reason: str) -> None:
            closed.append("the spider")

    done = await crawled(Careful, a_site("page"), tmp_path, arguments={"many": 1})
    assert closed == [SITE + "0", "the spider"]
    assert done.failed == {"callback parse() yielded int": 1}


# ── the grace of an interrupt ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("presses", "items"), [(1, 2), (2, 0)])
async def test_what_is_in_flight_may_end_after_one_interrupt_but_not_after_two(
    tmp_path: Path, presses: int, items: int
):
    both, go = asyncio.Barrier(3), asyncio.Event()

    async def page(request: Request) -> Page:
        await both.wait()
        await go.wait()
        return Page(body="page")

    settings = load([override_layer(["obey_robots=false", "seats=2", "grace=30"])]).settings
    order = Order(
        spider=Numbers(), settings=settings, root=tmp_path, client=FakeClient(a_site(page)), feeds=[]
    )
    crawler = Crawler(order)
    running = asyncio.create_task(crawler.run())
    await both.wait()  # two are in flight
    for _ in range(presses):
        crawler.interrupt()
    if presses == 1:
        go.set()
    result = await running
    assert (result.state, result.counters.get("items", 0)) == ("interrupted", items)
