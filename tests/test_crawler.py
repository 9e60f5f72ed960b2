"""Whole crawls: what is fetched, what is kept, what is counted, and that nothing is lost or comes twice."""

import asyncio
import csv
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scraper import DropItem, Item, Request, Response, Retry, Spider, StopCrawl
from scraper.crawler import Crawler
from scraper.errors import FetchError, RunError, StatusError
from scraper.layers import Layer, load, override_layer
from scraper.order import Order, Result
from scraper.runs import Run, Runs
from scraper.stats import add_up
from scraper.testing import Crawl, FakeClient, Page, crawl
from tests.faulty import FaultySite

SHOP = "https://shop.example/"
NO_ROBOTS = "obey_robots=false"
AT_ONCE = ["retry.wait=0", "retry.jitter=0", "max_failed=1"]


# ── what every crawl has to do with ──────────────────────────────────────────────────────────────────────


class Titles(Spider):
    """Follows every link and takes every heading."""

    name = "titles"
    start_urls = (SHOP,)

    def parse(self, response: Response):
        title = response.css("h1::text").get()
        if title is not None:
            yield {"title": title}
        yield from response.follow_all("a")


def a_shop(pages: int = 3, **others: Any) -> FakeClient:
    """A page of links to /0, /1 …, each of which has a heading."""
    links = "".join(f'<a href="/{n}"></a>' for n in range(pages))
    return FakeClient({SHOP: links} | {f"{SHOP}{n}": f"<h1>{n}</h1>" for n in range(pages)} | others)


def titles(*names: object) -> Counter[str]:
    return Counter(map(str, names))


def found(done: Crawl) -> Counter[str]:
    return Counter(item["title"] for item in done.items)


def the_run(root: Path, result: Result) -> Run:
    return Runs(root).get(result.run_id)


def rows(result: Result, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(result.folder / "frontier.db")) as base:
        return base.execute(sql).fetchall()


def waiting(result: Result) -> int:
    return sum(rows(result, f"SELECT count(*) FROM {table}")[0][0] for table in ("queue", "delayed"))


def check_sums(result: Result, left: int = 0) -> None:
    """requested = queued + dropped/* and queued = done + failed + refused/* + what waits."""
    counters = Counter(result.counters)
    assert counters["requested"] == counters["queued"] + add_up(counters, "dropped")
    ended = counters["done"] + counters["failed"] + add_up(counters, "refused")
    assert counters["queued"] == ended + left
    assert counters["failed"] == add_up(counters, "failed")
    assert counters["retried"] == add_up(counters, "retried")


def an_order(spider: Spider, root: Path, *settings: str, **more: Any) -> Order:
    custom = Layer("custom", spider.custom_settings)
    return Order(
        spider=spider,
        settings=load([custom, override_layer([NO_ROBOTS, *AT_ONCE, *settings])]).settings,
        root=root,
        **more,
    )


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────

FAULTS = {  # path → why it fails, how often it is asked for
    "/always/404": ("status 404", 1),
    "/always/500": ("status 500", 3),
    "/always/503": ("status 503", 3),
    "/reset": ("connection lost", 3),
    "/empty-reply": ("connection lost", 3),
    "/truncated": ("body truncated", 3),
    "/bad-chunk": ("protocol violation", 3),
    "/not-http": ("protocol violation", 3),
    "/big?bytes=3000000": ("body too large", 1),
    "/bomb/gzip?mb=5": ("body too large", 1),
    "/gzip-broken": ("body undecodable", 1),
    "/coding-unknown": ("body undecodable", 1),
    "/redirect-self": ("too many redirects", 11),
    "/redirect-loop": ("too many redirects", 6),
    "/redirect-bad": ("status 302", 1),
    "/redirect-none": ("status 302", 1),
    "/flaky/never?fails=3": ("status 503", 3),
}
FINE = {
    "/ok/1": 1,
    "/gzip": 1,
    "/204": 1,
    "/redirect/3": 1,
    "/flaky/once?fails=1": 2,
    "/flaky/twice?fails=2&status=429": 3,
    "/flaky-reset/once?fails=1": 2,
    "/keepalive-close": 1,
    "/encoding/shift_jis": 1,
    "/content-type/application/pdf": 1,
}
TWICE_SENT = ("/reset", "/empty-reply")  # a client may ask again on a new connection, if the old one broke


class Faults(Spider):
    name = "faults"

    def __init__(self, url: str, *paths: str) -> None:
        super().__init__()
        self.url = url
        self.paths = paths
        self.errors: list[Exception] = []

    async def start(self):
        for path in self.paths:
            yield Request(self.url + path, errback=self.failed)

    def parse(self, response: Response):
        yield {"path": response.request.url.removeprefix(self.url)}

    def failed(self, error: Exception):
        self.errors.append(error)


async def test_a_crawl_full_of_faults(tmp_path: Path, site: FaultySite):
    spider = Faults(site.url, *FAULTS, *FINE)
    done = await crawl(spider, root=tmp_path, settings=["max_body=1000000", "per_host=50", *AT_ONCE])
    assert done.result.state == "finished"
    assert done.failed == Counter(why for why, _ in FAULTS.values())  # every failure, by its reason
    assert sorted(item["path"] for item in done.items) == sorted(FINE)
    check_sums(done.result)
    dead = rows(done.result, "SELECT url, why, attempts FROM dead")  # every one of them is kept
    attempts = {path: 1 if "redirect" in path else hits for path, (_, hits) in FAULTS.items()}
    assert sorted(dead) == sorted((site.url + path, why, attempts[path]) for path, (why, _) in FAULTS.items())
    for path, hits in ({path: hits for path, (_, hits) in FAULTS.items()} | FINE).items():
        assert hits <= site.hits(path) <= (2 * hits if path in TWICE_SENT else hits), path
    assert len(spider.errors) == len(FAULTS)  # the errback saw each once, after its last attempt
    assert all(isinstance(error, FetchError) and error.request for error in spider.errors)
    retried = done.counted("retried")
    assert retried.pop("connection lost") in (2 + 2, 2 + 2 + 1)
    assert retried == {
        "status 500": 2,
        "status 503": 2 + 2 + 1,
        "status 429": 2,
        "body truncated": 2,
        "protocol violation": 2 + 2,
    }


async def test_a_crawl_full_of_silence(tmp_path: Path, site: FaultySite):
    class Slow(Faults):
        async def start(self):
            yield Request(self.url + "/never")
            yield Request(self.url + "/stall")
            yield Request(self.url + "/drip?bytes=1000&ms=20", timeout=0.2)

    settings = ["timeouts.read=0.1", "timeouts.connect=0.1", "retry.attempts=2", NO_ROBOTS]
    done = await crawl(Slow(site.url), root=tmp_path, settings=settings)
    assert done.counted("retried") == {"read timeout": 2, "total timeout": 1}
    assert done.failed == {"read timeout": 2, "total timeout": 1}
    check_sums(done.result)


async def test_so_many_failures_are_a_failed_crawl(tmp_path: Path):
    client = a_shop(4, **{f"{SHOP}0": Page(404)})
    for most, code in ((0.2, 0), (0.1, 1)):
        done = await crawl(Titles, client=client, root=tmp_path, settings={"max_failed": most})
        assert (done.result.state, done.result.exit_code) == ("finished", code)


async def test_what_no_crawler_can_fetch_is_dropped_and_counted(tmp_path: Path, site: FaultySite):
    class Odd(Titles):
        allowed_domains = ("127.0.0.1",)
        custom_settings = {"max_depth": 2, "max_url_length": 300}  # noqa: RUF012  # as users write it

        async def start(self):
            yield Request(site.url + "/links?n=2&odd=1&prefix=/links%3Fprefix%3D/ok/%26n%3D")
            yield Request(site.url + "/links?n=2&odd=1&prefix=/links%3Fprefix%3D/ok/%26n%3D#again")
            yield Request("https://elsewhere.example/")
            yield Request(site.url + "/" + "x" * 300)
            yield Request("not a url")

    done = await crawl(Odd, root=tmp_path)
    check_sums(done.result)
    dropped = done.counted("dropped")
    assert dropped["scheme"] == 4
    assert dropped["offsite"] == 1
    assert dropped["length"] == 1
    assert dropped["invalid url"] == 2
    assert dropped["duplicate"] == 1 + 2  # the second seed; the links to the page itself: `#top` and ``
    assert done.failed == {}


# ── retries ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_retry_after_parks_the_whole_host(tmp_path: Path):
    asked: list[tuple[str, float]] = []

    def noting(page: Page):
        def answer(request: Request) -> Page:
            asked.append((request.url, time.time()))
            return page

        return answer

    busy, fine = noting(Page(429, {"Retry-After": "0.2"})), noting(Page(body="<h1>fine</h1>"))
    client = FakeClient({SHOP: [busy, fine], SHOP + "1": fine})

    class Two(Titles):
        start_urls = (SHOP, SHOP + "1")

    done = await crawl(Two, client=client, root=tmp_path, settings=[NO_ROBOTS, "per_host=1"])
    assert [url for url, _ in asked] == [SHOP, SHOP + "1", SHOP]
    assert asked[1][1] - asked[0][1] >= 0.19
    assert found(done) == titles("fine", "fine")


async def test_a_retry_waits_in_the_queue_and_holds_nobody_up(tmp_path: Path):
    client = a_shop(3, **{f"{SHOP}0": [Page(503), "<h1>0</h1>"]})
    settings = [NO_ROBOTS, "concurrency=1", "seats=1", "retry.wait=0.1", "retry.max_wait=1", "retry.jitter=0"]
    done = await crawl(Titles, client=client, root=tmp_path, settings=settings)
    assert client.urls == [SHOP, SHOP + "0", SHOP + "1", SHOP + "2", SHOP + "0"]
    assert found(done) == titles(0, 1, 2)


async def test_a_callback_may_want_its_page_again(tmp_path: Path):
    class Captcha(Titles):
        def parse(self, response: Response):
            yield {"title": response.css("h1::text").get()}
            if response.css(".captcha"):
                raise Retry("captcha", delay=0)

    client = FakeClient({SHOP: ["<h1>one</h1><p class=captcha>", "<h1>two</h1>"]})
    done = await crawl(Captcha, client=client, root=tmp_path, settings=[NO_ROBOTS])
    assert found(done) == titles("two")  # what the first one yielded is thrown away
    assert done.counted("retried") == {"captcha": 1}
    assert done.result.counters["items"] == 1
    check_sums(done.result)


async def test_a_page_that_is_wanted_again_for_ever_fails_with_the_callbacks_words(tmp_path: Path):
    class Captcha(Titles):
        async def start(self):
            yield Request(SHOP, errback="failed")

        def parse(self, response: Response):
            raise Retry("captcha")

        def failed(self, error: Exception):
            yield {"title": str(error)}

    done = await crawl(Captcha, client=FakeClient({SHOP: "captcha"}), root=tmp_path, settings=[NO_ROBOTS])
    assert done.urls == [SHOP] * 3
    assert done.failed == {"captcha": 1}
    assert rows(done.result, "SELECT why, attempts FROM dead") == [("captcha", 3)]
    assert found(done) == titles("captcha")


# ── callbacks ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_callback_of_every_form_and_an_errback_too(tmp_path: Path):
    class Forms(Spider):
        name = "forms"

        async def start(self):
            for form in ("plain", "generator", "coroutine", "async_generator"):
                yield Request(f"{SHOP}{form}", callback=form, errback=form)
                yield Request(f"{SHOP}gone/{form}", callback=form, errback=form)

        def plain(self, given: Any):
            return [{"title": f"plain {type(given).__name__}"}]

        def generator(self, given: Any):
            yield {"title": f"generator {type(given).__name__}"}

        async def coroutine(self, given: Any):
            return {"title": f"coroutine {type(given).__name__}"}

        async def async_generator(self, given: Any):
            yield {"title": f"async_generator {type(given).__name__}"}

    forms = ("plain", "generator", "coroutine", "async_generator")
    client = FakeClient({f"{SHOP}{form}": "here" for form in forms})
    done = await crawl(Forms, client=client, root=tmp_path)
    kinds = ("Response", "StatusError")
    assert found(done) == titles(*(f"{form} {kind}" for form in forms for kind in kinds))


async def test_an_errback_gets_the_error_and_may_go_another_way(tmp_path: Path):
    class Careful(Titles):
        async def start(self):
            yield Request(SHOP, errback=self.failed, data={"try": "the mirror"})

        def failed(self, error: StatusError):
            yield {"title": f"{error.status} {error.request.data['try']}"}
            yield Request("https://mirror.example/")

    client = FakeClient({SHOP: Page(404), "https://mirror.example/": "<h1>mirror</h1>"})
    done = await crawl(Careful, client=client, root=tmp_path)
    assert found(done) == titles("404 the mirror", "mirror")
    assert done.failed == {"status 404": 1}
    check_sums(done.result)


async def test_an_errback_that_raises_changes_nothing(tmp_path: Path):
    class Careless(Titles):
        async def start(self):
            yield Request(SHOP, errback=self.failed)
            yield Request(SHOP + "0")

        def failed(self, error: Exception):
            yield {"title": "half"}
            raise KeyError("oh")

    done = await crawl(Careless, client=a_shop(1, **{SHOP: Page(404)}), root=tmp_path)
    assert found(done) == titles(0)
    assert done.failed == {"status 404": 1}
    assert any(event["event"] == "errback raised" for event in done.log)


async def test_a_callback_that_raises_loses_its_page_only(tmp_path: Path):
    class Buggy(Titles):
        def parse(self, response: Response):
            yield from super().parse(response)
            if response.url.endswith("/1"):
                raise KeyError("price")

    done = await crawl(Buggy, client=a_shop(3), root=tmp_path)
    assert found(done) == titles(0, 2)
    assert done.failed == {"callback parse() raised KeyError": 1}
    assert rows(done.result, "SELECT url FROM dead") == [(SHOP + "1",)]
    assert done.result.counters["items"] == 2
    check_sums(done.result)


@pytest.mark.parametrize("place", ["the request", "the spider"])
async def test_a_status_that_is_called_ok_reaches_the_callback(tmp_path: Path, place: str):
    class Tolerant(Titles):
        ok = {404} if place == "the spider" else ()

        async def start(self):
            yield Request(SHOP + "gone", ok=() if place == "the spider" else {404})
            yield Request(SHOP + "forbidden")

    client = FakeClient({SHOP + "gone": Page(404, body="<h1>gone</h1>"), SHOP + "forbidden": Page(403)})
    done = await crawl(Tolerant, client=client, root=tmp_path)
    assert found(done) == titles("gone")
    assert done.failed == {"status 403": 1}


async def test_a_status_that_is_called_ok_is_not_tried_again(tmp_path: Path):
    class Tolerant(Titles):
        ok = (503,)

    client = FakeClient({SHOP: Page(503, body="<h1>busy</h1>")})
    assert found(await crawl(Tolerant, client=client, root=tmp_path)) == titles("busy")
    assert client.urls.count(SHOP) == 1


async def test_what_a_request_carries_comes_back(tmp_path: Path):
    class Carrying(Titles):
        def parse(self, response: Response):
            for n in range(3):
                yield Request(f"{SHOP}{n}", callback=self.parse_page, data={"n": n, "list": [n]})

        def parse_page(self, response: Response):
            yield {"title": f"{response.data['n']} {response.data['list']} {response.request.depth}"}

    done = await crawl(Carrying, client=a_shop(3), root=tmp_path)
    assert found(done) == titles("0 [0] 1", "1 [1] 1", "2 [2] 1")


async def test_stop_crawl_keeps_what_was_found_and_the_rest_for_later(tmp_path: Path):
    class Enough(Titles):
        def parse(self, response: Response):
            yield from super().parse(response)
            if response.url == SHOP + "1" and not self.state.get("stopped"):
                self.state["stopped"] = True
                raise StopCrawl("enough")

    client = a_shop(6)
    settings = [NO_ROBOTS, "concurrency=1", "seats=1"]
    first = await crawl(Enough, client=client, root=tmp_path, settings=settings)
    assert (first.result.state, first.result.reason, first.result.exit_code) == ("stopped", "enough", 0)
    assert found(first) == titles(0, 1)
    check_sums(first.result, waiting(first.result))
    assert waiting(first.result) == 4
    second = await crawl(
        Enough, client=client, root=tmp_path, settings=settings, resume=the_run(tmp_path, first.result)
    )
    assert second.result.state == "finished"
    assert found(second) == titles(*range(6))
    assert set(Counter(client.urls).values()) <= {
        1,
        2,
    }  # what was in flight is given back, and asked for again


async def test_stop_crawl_may_come_from_start(tmp_path: Path):
    class Never(Titles):
        async def start(self):
            raise StopCrawl("closed today")
            yield

    done = await crawl(Never, client=a_shop(), root=tmp_path)
    assert (done.result.state, done.result.reason, done.urls) == ("stopped", "closed today", [])


# ── self.fetch, self.state, open and close ───────────────────────────────────────────────────────────────


async def test_a_callback_may_fetch_in_between(tmp_path: Path):
    class Prices(Titles):
        async def parse(self, response: Response):
            for n in range(2):
                price = await self.fetch(f"{SHOP}price")
                yield {"title": f"{n} {price.text} {price.status}"}

    client = FakeClient({SHOP: "shop", SHOP + "price": [Page(503), "5 €"]})
    done = await crawl(Prices, client=client, root=tmp_path, settings=[NO_ROBOTS])
    assert found(done) == titles("0 5 € 200", "1 5 € 200")
    assert client.urls == [SHOP, *[SHOP + "price"] * 3]  # tried again, and not deduplicated
    assert done.result.counters["queued"] == done.result.counters["done"] == 1  # nor stored


async def test_callbacks_that_all_fetch_do_not_wait_for_each_other_for_ever(tmp_path: Path):
    class Deep(Titles):
        async def parse(self, response: Response):
            if response.url != SHOP:
                yield {"title": (await self.fetch(response.url + "/price")).text}
            for request in response.follow_all("a"):
                yield request

    client = a_shop(20, **{f"{SHOP}{n}/price": str(n) for n in range(20)})
    done = await crawl(Deep, client=client, root=tmp_path, settings=["concurrency=1", "seats=20"])
    assert found(done) == titles(*range(20))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (SHOP + "gone", "StatusError: The site answered with status 404."),
        (SHOP + "secret", f"FetchError: {SHOP}secret was refused: robots."),
        ("not a url", "InvalidRequest: 'not a url' is not a URL"),
    ],
)
async def test_a_fetch_in_between_that_fails_can_be_caught(tmp_path: Path, url: str, said: str):
    class Careful(Titles):
        async def parse(self, response: Response):
            try:
                await self.fetch(url)
            except FetchError as error:
                yield {"title": f"{type(error).__name__}: {error}"}

    client = FakeClient({SHOP: "shop", SHOP + "robots.txt": "User-agent: *\nDisallow: /secret"})
    done = await crawl(Careful, client=client, root=tmp_path)
    assert done.items[0]["title"].startswith(said)
    assert done.failed == {}


async def test_a_spider_may_fetch_before_it_starts(tmp_path: Path):
    class Login(Titles):
        async def open(self) -> None:
            response = await self.fetch(Request(SHOP + "login", form={"user": "me"}))
            self.state["token"] = response.text

        async def start(self):
            yield Request(SHOP + "0", headers={"X-Token": self.state["token"]})

    client = a_shop(1, **{SHOP + "login": lambda request: f"token of {request.body.decode()}"})
    done = await crawl(Login, client=client, root=tmp_path, settings=[NO_ROBOTS])
    assert done.requests[-1].headers["X-Token"] == "token of user=me"


async def test_a_spider_is_opened_before_and_closed_after(tmp_path: Path):
    class Told(Titles):
        async def open(self) -> None:
            told.append("open")

        async def close(self, reason: str) -> None:
            told.append(reason)

        def parse(self, response: Response):
            told.append("page")

    told: list[str] = []
    await crawl(Told, client=a_shop(), root=tmp_path)
    assert told == ["open", "page", "finished"]


async def test_a_spider_that_can_not_open_is_a_crash(tmp_path: Path):
    class Broken(Titles):
        async def open(self) -> None:
            raise OSError("no database")

    done = await crawl(Broken, client=a_shop(), root=tmp_path)
    assert (done.result.state, done.result.reason, done.result.exit_code) == ("crashed", "no database", 1)
    assert done.urls == []
    assert done.result.resumable


async def test_a_spider_that_can_not_close_has_crawled_all_the_same(tmp_path: Path):
    class Broken(Titles):
        async def close(self, reason: str) -> None:
            raise OSError("no database")

    done = await crawl(Broken, client=a_shop(), root=tmp_path)
    assert (done.result.state, done.result.exit_code) == ("finished", 0)
    assert any(event["event"] == "close() raised" for event in done.log)


async def test_state_is_found_again(tmp_path: Path):
    class Remembering(Titles):
        def parse(self, response: Response):
            self.state[response.url] = True
            yield from super().parse(response)

    client = a_shop(2)
    settings = [NO_ROBOTS, "concurrency=1", "seats=1"]
    first = await crawl(Remembering, client=client, root=tmp_path, settings=settings, max_pages=2)
    spider = Remembering()
    await crawl(
        spider, client=client, root=tmp_path, settings=settings, resume=the_run(tmp_path, first.result)
    )
    assert spider.state == {SHOP: True, SHOP + "0": True, SHOP + "1": True}


async def test_start_that_raises_finishes_the_queue_and_says_so(tmp_path: Path):
    class Broken(Titles):
        async def start(self):
            yield Request(SHOP)
            raise OSError("the list of URLs is gone")

    done = await crawl(Broken, client=a_shop(), root=tmp_path)
    assert found(done) == titles(0, 1, 2)
    assert (done.result.state, done.result.reason, done.result.exit_code) == (
        "finished",
        "start() raised",
        1,
    )


async def test_start_may_go_on_for_ever(tmp_path: Path):
    class Endless(Titles):
        async def start(self):
            n = 0
            while True:
                self.state["n"] = n = n + 1
                yield Request(f"{SHOP}0?{n}")

    spider = Endless()
    settings = [NO_ROBOTS, "frontier.seed_low_water=10"]
    done = await crawl(spider, client=a_shop(1), root=tmp_path, settings=settings, max_pages=50)
    assert done.result.state == "stopped"
    assert len(done.items) == 0  # /0?n is no page of the shop: 50 times 404
    assert 50 <= spider.state["n"] <= 50 + 10 + 2 * 200  # pulled as the queue needs it


# ── redirects, cookies, robots ───────────────────────────────────────────────────────────────────────────


async def test_a_redirect_leads_to_the_callback_of_who_asked(tmp_path: Path, site: FaultySite):
    class Moved(Titles):
        async def start(self):
            yield Request(site.url + "/redirect/3", callback="parse_page", data={"n": 1})

        def parse_page(self, response: Response):
            yield {"title": f"{response.url} {response.request.url} {response.data['n']}"}

    done = await crawl(Moved, root=tmp_path)
    assert found(done) == titles(f"{site.url}/ok/0 {site.url}/redirect/3 1")
    assert [site.hits(path) for path in ("/redirect/3", "/redirect/2", "/redirect/1", "/ok/0")] == [1] * 4


async def test_a_redirect_marks_nothing_as_seen(tmp_path: Path):
    client = a_shop(1, **{SHOP: Page(302, {"Location": "/0"})})

    class Both(Titles):
        start_urls = (SHOP, SHOP + "0")

    assert found(await crawl(Both, client=client, root=tmp_path)) == titles(0, 0)


async def test_a_redirect_off_the_site_is_refused(tmp_path: Path):
    class Here(Titles):
        allowed_domains = ("shop.example",)

    client = FakeClient({SHOP: Page(302, {"Location": "https://elsewhere.example/"})})
    done = await crawl(Here, client=client, root=tmp_path)
    assert done.counted("refused") == {"offsite": 1}
    assert "https://elsewhere.example/" not in done.urls
    assert done.failed == {}
    check_sums(done.result)


async def test_cookies_are_brought_back_by_the_same_session(tmp_path: Path, site: FaultySite):
    class Basket(Titles):
        async def start(self):
            for session in ("a", "b"):
                url = f"{site.url}/cookies/set?name=basket&value={session}"
                yield Request(url, session=session, callback="parse_set", data={"session": session})

        def parse_set(self, response: Response):
            for session in (response.data["session"], "c"):
                yield Request(
                    site.url + "/cookies/show", session=session, callback="parse_show", dont_filter=True
                )

        def parse_show(self, response: Response):
            yield {"title": f"{response.request.session} {response.json().get('basket')}"}

    done = await crawl(Basket, root=tmp_path)
    assert found(done) == titles("a a", "b b", "c None", "c None")


async def test_robots_are_obeyed(tmp_path: Path, site: FaultySite):
    class Curious(Titles):
        async def start(self):
            yield Request(site.url + "/ok/1")
            yield Request(site.url + "/ok/secret")
            yield Request(site.url + "/redirect-to?url=/ok/secret")

    site.robots = "User-agent: *\nDisallow: /ok/secret"
    done = await crawl(Curious, root=tmp_path)
    assert found(done) == titles("Page 1")
    assert done.counted("refused") == {"robots": 2}
    assert (site.hits("/ok/secret"), site.hits("/robots.txt")) == (0, 1)
    check_sums(done.result)


@pytest.mark.parametrize("answer", [503, "/reset"])
async def test_nobody_may_assume_what_robots_would_have_said(tmp_path: Path, site: FaultySite, answer):
    class Curious(Titles):
        async def start(self):
            yield Request(site.url + "/ok/1")

    site.robots = answer
    done = await crawl(Curious, root=tmp_path)
    assert done.failed == {"robots.txt unreachable": 1}
    assert site.hits("/ok/1") == 0


# ── items and pipelines ──────────────────────────────────────────────────────────────────────────────────


class Book(Item):
    title: str
    price: float


class Author(Item):
    name: str


class Books(Titles):
    """A shop where 1 has no price; each page has its author too."""

    def parse(self, response: Response):
        yield from response.follow_all("a", self.parse_book)

    def parse_book(self, response: Response):
        title = response.css("h1::text").get()
        yield Book(title=title, price="none" if title == "1" else title)
        yield Author(name=f"author {title}")


async def test_an_invalid_item_is_kept_apart_with_its_reason(tmp_path: Path):
    done = await crawl(Books, client=a_shop(3), root=tmp_path)
    assert [item for item in done.items if "price" in item] == [
        {"title": "0", "price": 0.0},
        {"title": "2", "price": 2.0},
    ]
    [rejected] = done.rejected
    assert (rejected["url"], rejected["kind"], rejected["item"]) == (
        SHOP + "1",
        "Book",
        {"title": "1", "price": "none"},
    )
    assert rejected["problems"][0]["field"] == "price"
    assert (done.result.counters["items"], done.result.counters["items_rejected"]) == (5, 1)


class Pipes:
    """A pipeline that a test gives something to do."""

    act: Any = staticmethod(lambda item: item)

    async def process_item(self, item: Any, source: Any) -> Any:
        return type(self).act(item)


class BatchPipes(Pipes):
    batches: list[list[Any]] = []  # noqa: RUF012  # a test's notes

    async def process_batch(self, items: Any) -> None:
        self.batches.append([(item["title"], source.url) for item, source in items])


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch):
    def doing(act: Any) -> str:
        monkeypatch.setattr(Pipes, "act", staticmethod(act))
        return f'pipelines=["{__name__}:Pipes"]'

    return doing


def down(item: Any) -> Any:
    raise OSError("the database is down")


async def test_a_dropped_item_is_counted_and_not_kept(tmp_path: Path, pipes):
    def only_even(item: Any) -> Any:
        if int(item["title"]) % 2:
            raise DropItem("odd")
        return item

    done = await crawl(Titles, client=a_shop(5), root=tmp_path, settings=[pipes(only_even)])
    assert found(done) == titles(0, 2, 4)
    assert done.counted("items_dropped") == {"odd": 2}


async def test_a_pipeline_that_raises_fails_its_page_after_some_attempts(tmp_path: Path, pipes):
    def not_two(item: Any) -> Any:
        return down(item) if item["title"] == "2" else item

    client = a_shop(4)
    done = await crawl(Titles, client=client, root=tmp_path, settings=[pipes(not_two)])
    assert found(done) == titles(0, 1, 3)
    assert done.failed == {"pipeline Pipes raised OSError": 1}
    assert client.urls.count(SHOP + "2") == 3
    check_sums(done.result)


async def test_a_database_that_is_down_stops_the_crawl_and_buries_nothing(tmp_path: Path, pipes):
    settings = [NO_ROBOTS, pipes(down), "retry.attempts=100"]
    first = await crawl(Titles, client=a_shop(30), root=tmp_path, settings=settings)
    assert (first.result.state, first.result.exit_code) == ("crashed", 1)
    assert "the database is down" in first.result.reason
    assert (first.failed, first.items, first.result.resumable) == ({}, [], True)
    check_sums(first.result, waiting(first.result))
    pipes(lambda item: item)
    second = await crawl(
        Titles, client=a_shop(30), root=tmp_path, settings=settings, resume=the_run(tmp_path, first.result)
    )
    assert found(second) == titles(*range(30))
    check_sums(second.result)


async def test_pages_without_items_do_not_hide_that_the_database_is_down(tmp_path: Path, pipes):
    pages = a_shop(60, **{f"{SHOP}{n}list": "a list" for n in range(60)})
    settings = [NO_ROBOTS, pipes(down), "concurrency=1", "seats=1", "retry.attempts=1"]

    class Mixed(Titles):
        async def start(self):
            for n in range(60):
                yield Request(f"{SHOP}{n}")
                yield Request(f"{SHOP}{n}list", callback="parse_list")

        def parse_list(self, response: Response):
            return None

    done = await crawl(Mixed, client=pages, root=tmp_path, settings=settings)
    assert done.result.state == "crashed"


async def test_a_pipeline_that_takes_batches_gets_what_is_about_to_be_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(BatchPipes, "batches", [])
    settings = [f'pipelines=["{__name__}:BatchPipes"]']
    done = await crawl(Titles, client=a_shop(5), root=tmp_path, settings=settings)
    assert found(done) == titles(*range(5))
    given = [entry for batch in BatchPipes.batches for entry in batch]
    assert sorted(given) == [(str(n), f"{SHOP}{n}") for n in range(5)]


class BrokenBatches(Pipes):
    tried: asyncio.Event

    async def process_batch(self, items: Any) -> None:
        self.tried.set()
        raise OSError("the database is down")


async def test_a_batch_that_fails_can_be_interrupted_and_comes_again(tmp_path: Path):
    BrokenBatches.tried = asyncio.Event()
    order = an_order(Titles(), tmp_path, f'pipelines=["{__name__}:BrokenBatches"]', client=a_shop(3))
    crawler = Crawler(order)
    running = asyncio.create_task(crawler.run())
    await BrokenBatches.tried.wait()
    crawler.interrupt()
    crawler.interrupt()
    result = await running
    assert (result.state, result.exit_code) == ("interrupted", 130)
    second = await crawl(Titles, client=a_shop(3), root=tmp_path, resume=the_run(tmp_path, result))
    assert found(second) == titles(0, 1, 2)
    check_sums(second.result)


# ── where a crawl ends ───────────────────────────────────────────────────────────────────────────────────


async def test_a_crawl_that_comes_to_its_end_is_finished(tmp_path: Path):
    done = await crawl(Titles, client=a_shop(3), root=tmp_path)
    result = done.result
    assert (result.state, result.reason, result.exit_code, result.resumable) == ("finished", "", 0, False)
    assert the_run(tmp_path, result).info.state == "finished"
    check_sums(result)


@pytest.mark.parametrize("most", [1, 2, 7])
async def test_max_pages_is_exact(tmp_path: Path, most: int):
    done = await crawl(Titles, client=a_shop(20), root=tmp_path, settings=[NO_ROBOTS], max_pages=most)
    assert (done.result.state, done.result.reason, done.result.exit_code) == ("stopped", "max_pages", 0)
    assert done.result.counters["done"] == most
    assert len(done.items) == most - 1
    check_sums(done.result, waiting(done.result))


async def test_max_items_stops_after_the_page_that_brings_them(tmp_path: Path):
    class Two(Titles):
        def parse(self, response: Response):
            yield from super().parse(response)
            yield from super().parse(response)

    done = await crawl(Two, client=a_shop(20), root=tmp_path, max_items=5)
    assert (done.result.reason, len(done.items)) == ("max_items", 6)
    check_sums(done.result, waiting(done.result))


async def test_max_time_stops_a_crawl_that_hangs(tmp_path: Path):
    async def hang(request: Request) -> None:
        await asyncio.Event().wait()

    client = a_shop(3, **{f"{SHOP}1": hang})
    done = await crawl(Titles, client=client, root=tmp_path, max_time=0.2)
    assert (done.result.state, done.result.reason, done.result.exit_code) == ("stopped", "max_time", 0)
    assert found(done) == titles(0, 2)
    assert waiting(done.result) == 1
    check_sums(done.result, 1)


async def test_limits_count_for_each_life_anew(tmp_path: Path):
    client = a_shop(5)
    first = await crawl(Titles, client=client, root=tmp_path, settings=[NO_ROBOTS], max_pages=2)
    second = await crawl(
        Titles,
        client=client,
        root=tmp_path,
        settings=[NO_ROBOTS],
        max_pages=2,
        resume=the_run(tmp_path, first.result),
    )
    assert second.result.counters["done"] == 4
    assert (second.result.before["done"], second.result.state) == (2, "stopped")


async def test_when_only_later_work_is_left_the_crawl_waits_for_its_resume(tmp_path: Path):
    tomorrow = time.time() + 86_400

    class Later(Titles):
        async def start(self):
            yield Request(SHOP + "0")
            yield Request(SHOP + "1", not_before=tomorrow)

    done = await crawl(Later, client=a_shop(2), root=tmp_path)
    result = done.result
    assert (result.state, result.exit_code, result.resumable) == ("waiting", 0, True)
    assert result.waiting_until == pytest.approx(tomorrow)
    assert found(done) == titles(0)
    check_sums(result, 1)


async def test_work_that_is_due_soon_is_waited_for(tmp_path: Path):
    class Soon(Titles):
        async def start(self):
            yield Request(SHOP + "0", delay=0.1)

    done = await crawl(Soon, client=a_shop(1), root=tmp_path)
    assert (done.result.state, found(done)) == ("finished", titles(0))


# ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_feeds_of_every_format_at_once(tmp_path: Path):
    feeds = [tmp_path / name for name in ("all.jsonl", "all.json", "all.csv")]
    done = await crawl(Titles, client=a_shop(5), root=tmp_path, feeds=feeds)
    assert lines(tmp_path / "all.jsonl") == done.items
    assert json.loads((tmp_path / "all.json").read_text()) == done.items
    with (tmp_path / "all.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == done.items
    assert found(done) == titles(*range(5))


async def test_a_feed_may_take_one_class_only(tmp_path: Path):
    books, authors = tmp_path / "books.csv", tmp_path / "authors.jsonl"
    done = await crawl(Books, client=a_shop(3), root=tmp_path, feeds=[f"Book:{books}", f"Author:{authors}"])
    assert sorted(books.read_text().splitlines()) == ["0,0.0", "2,2.0", "title,price"]
    assert sorted(item["name"] for item in lines(authors)) == ["author 0", "author 1", "author 2"]
    assert len(done.items) == 5


async def test_a_table_takes_one_class_and_says_why_not_the_other(tmp_path: Path):
    done = await crawl(Books, client=a_shop(1), root=tmp_path, feeds=[tmp_path / "all.csv"])
    assert (tmp_path / "all.csv").read_text() == "title,price\n0,0.0\n"
    [rejected] = done.rejected
    assert "is a table of Book, and this item is a Author" in rejected["problems"][0]["problem"]
    assert "-o Book:all.csv -o Author:" in rejected["problems"][0]["problem"]


async def test_a_new_crawl_replaces_a_feed_or_appends_to_it(tmp_path: Path):
    feed = tmp_path / "all.jsonl"
    for _ in range(2):
        await crawl(Titles, client=a_shop(2), root=tmp_path, feeds=[feed])
    assert len(lines(feed)) == 2
    await crawl(Titles, client=a_shop(3), root=tmp_path, feeds=[feed], append=True)
    assert Counter(item["title"] for item in lines(feed)) == titles(0, 0, 1, 1, 2)


async def test_a_crawl_without_items_leaves_feeds_that_can_be_read(tmp_path: Path):
    feeds = [tmp_path / name for name in ("all.jsonl", "all.json", "all.csv")]
    await crawl(Titles, client=FakeClient(), root=tmp_path, feeds=feeds)
    assert [feed.read_text() for feed in feeds] == ["", "[\n]\n", ""]


async def test_a_feed_that_another_run_has_written_since_is_not_mixed(tmp_path: Path):
    feed = tmp_path / "all.jsonl"
    client = a_shop(4)
    first = await crawl(Titles, client=client, root=tmp_path, feeds=[feed], max_pages=2)
    other = await crawl(Titles, client=client, root=tmp_path, feeds=[feed])
    with pytest.raises(RunError, match=f"has been written by run {other.result.run_id} since"):
        await crawl(
            Titles, client=client, root=tmp_path, feeds=[feed], resume=the_run(tmp_path, first.result)
        )
    assert len(lines(feed)) == 4


async def test_a_feed_that_was_moved_away_is_written_again(tmp_path: Path):
    feed = tmp_path / "all.jsonl"
    client = a_shop(4)
    first = await crawl(Titles, client=client, root=tmp_path, feeds=[feed], max_pages=3)
    feed.rename(tmp_path / "moved.jsonl")
    run = the_run(tmp_path, first.result)
    second = await crawl(Titles, client=client, root=tmp_path, feeds=[feed], resume=run)
    assert Counter(item["title"] for item in lines(feed)) == found(second) == titles(*range(4))


# ── large pages ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_of_30000_links_is_kept_on_disk(tmp_path: Path):
    class Many(Titles):
        def parse(self, response: Response):
            if response.url == SHOP:
                for n in range(30_000):
                    yield Request(f"{SHOP}{n % 20_000}", callback="parse_page")

        def parse_page(self, response: Response):
            return None

    settings = [NO_ROBOTS, "frontier.page_in_memory=1000", "max_failed=1"]
    done = await crawl(
        Many, client=FakeClient({SHOP: "many"}), root=tmp_path, settings=settings, max_pages=100
    )
    assert done.result.counters["requested"] == 30_001
    assert done.result.counters["failed"] == 99
    second = rows(done.result, "SELECT (SELECT count(*) FROM queue), (SELECT count(*) FROM staged)")
    assert second == [(20_001 - 100, 0)]
    assert done.counted("dropped") == {"duplicate": 10_000}
    check_sums(done.result, waiting(done.result))


class ManyItems(Titles):
    many: int = 5_000

    def parse(self, response: Response):
        for n in range(self.many):
            yield {"title": str(n)}


async def test_a_page_of_many_items_brings_them_all(tmp_path: Path):
    settings = [NO_ROBOTS, "frontier.page_in_memory=1000"]
    feed = tmp_path / "all.csv"
    done = await crawl(ManyItems, client=a_shop(), root=tmp_path, settings=settings, feeds=[feed])
    assert found(done) == titles(*range(5_000))
    assert len(feed.read_text().splitlines()) == 5_001


async def test_a_large_page_that_fails_leaves_nothing(tmp_path: Path):
    class Broken(ManyItems):
        def parse(self, response: Response):
            yield from super().parse(response)
            yield Request(SHOP + "0")
            raise KeyError("price")

    done = await crawl(
        Broken, client=a_shop(), root=tmp_path, settings=[NO_ROBOTS, "frontier.page_in_memory=1000"]
    )
    assert (done.items, done.failed) == ([], {"callback parse() raised KeyError": 1})
    assert rows(done.result, "SELECT count(*) FROM items") == [(0,)]
    check_sums(done.result)


@pytest.mark.parametrize("many", [5_000, 12_000])
async def test_a_large_page_at_the_end_of_a_life_is_gone_on_with(tmp_path: Path, many: int):
    settings = [NO_ROBOTS, "frontier.page_in_memory=1000"]
    more = {"root": tmp_path, "settings": settings, "client": a_shop(), "arguments": {"many": many}}
    first = await crawl(ManyItems, **more, max_pages=1)
    async with asyncio.timeout(3):
        second = await crawl(ManyItems, **more, resume=the_run(tmp_path, first.result))
    assert second.result.state == "finished"
    assert found(second) == titles(*range(many))


async def test_the_frontier_in_memory_brings_the_same(tmp_path: Path):
    brought = []
    for kind in ("sqlite", "memory"):
        client = a_shop(20, **{f"{SHOP}3": [Page(503), "<h1>3</h1>"], f"{SHOP}4": Page(404)})
        settings = [f"frontier.kind={kind}", "frontier.page_in_memory=7"]
        done = await crawl(Titles, client=client, root=tmp_path, settings=settings)
        check_sums(done.result)
        elapsed = {"bytes"}
        counters = {key: n for key, n in done.result.counters.items() if key not in elapsed}
        brought.append((found(done), done.failed, counters, Counter(client.urls)))
    assert brought[0] == brought[1]


# ── interrupted, killed, gone on with ────────────────────────────────────────────────────────────────────


class Interrupting(FakeClient):
    """A shop in which Ctrl-C is pressed at some pages; `presses`: how often."""

    def __init__(self, pages: int, at: set[str], presses: int = 1) -> None:
        shop = a_shop(pages)
        super().__init__({url: self._press(page, url in at) for url, [page] in shop._answers.items()})
        self._presses = presses
        self.crawler: Crawler

    def _press(self, page: Any, here: bool):
        def answer(request: Request) -> Any:
            for _ in range(self._presses if here else 0):
                self.crawler.interrupt()
            return page

        return answer


@pytest.mark.parametrize("presses", [1, 2])
async def test_an_interrupted_crawl_goes_on_and_brings_every_item_once(tmp_path: Path, presses: int):
    client = Interrupting(30, {f"{SHOP}{n}" for n in (3, 11, 19)}, presses)
    feed, settings = tmp_path / "all.jsonl", ["concurrency=2", "per_host=2"]
    resume, states, exits = None, [], []
    while "finished" not in states:
        order = an_order(Titles(), tmp_path, *settings, client=client, feeds=[str(feed)], resume=resume)
        client.crawler = Crawler(order)
        result = await client.crawler.run()
        check_sums(result, waiting(result))
        states.append(result.state)
        exits.append(result.exit_code)
        resume = the_run(tmp_path, result)
        assert len(lines(feed)) == result.counters["items"]
        if presses == 2:
            client._presses = presses if len(states) < 4 else 0
    assert states[0] == "interrupted"
    assert exits == [130] * (len(exits) - 1) + [0]
    assert Counter(item["title"] for item in lines(feed)) == titles(*range(30))
    if presses == 1:
        assert Counter(client.urls) == Counter([SHOP, *(f"{SHOP}{n}" for n in range(30))])


async def test_a_crawl_that_is_interrupted_before_it_begins_does_nothing(tmp_path: Path):
    client = a_shop(3)
    crawler = Crawler(an_order(Titles(), tmp_path, client=client))
    crawler.interrupt()
    result = await crawler.run()
    assert (result.state, result.exit_code, client.urls) == ("interrupted", 130, [])
    second = await crawl(Titles, client=client, root=tmp_path, resume=the_run(tmp_path, result))
    assert found(second) == titles(0, 1, 2)


async def test_two_processes_do_not_work_on_one_run(tmp_path: Path):
    class Twice(Titles):
        async def parse(self, response: Response):
            [run] = Runs(tmp_path).all()
            with pytest.raises(RunError, match="is being worked on by another process"):
                await Crawler(an_order(Titles(), tmp_path, client=a_shop(), resume=run)).run()

    done = await crawl(Twice, client=a_shop(), root=tmp_path)
    assert done.failed == {}
