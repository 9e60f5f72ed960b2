"""scraper.testing: pages without a network, for spider authors and for these tests."""

import asyncio
from pathlib import Path

import pytest

from scraper import Item, Request, Response, Spider
from scraper.errors import ArgumentError, ConnectionLost, SettingsError
from scraper.runs import Runs
from scraper.testing import FakeClient, Page, crawl, saved_page
from tests.faulty import FaultySite

HOME = "https://shop.example/"
NO_ROBOTS = {"obey_robots": False}


class Book(Item):
    title: str


class Books(Spider):
    name = "books"
    start_urls = (HOME,)
    shelf: str = "all"

    def parse(self, response: Response):
        yield from response.follow_all("a", self.parse_book)

    def parse_book(self, response: Response):
        yield Book(title=response.css("h1::text").get())


async def body_of(client: FakeClient, request: Request | str) -> bytes:
    incoming = await client.open(Request(request) if isinstance(request, str) else request)
    return b"".join([chunk async for chunk in incoming.chunks()])


# ── FakeClient ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_body_is_a_page():
    client = FakeClient({HOME: "<h1>é</h1>", HOME + "raw": b"\xff"})
    incoming = await client.open(Request(HOME))
    assert (incoming.status, incoming.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert await body_of(client, HOME) == "<h1>é</h1>".encode()
    assert await body_of(client, HOME + "raw") == b"\xff"


async def test_a_page_has_a_status_and_headers_that_may_come_twice():
    client = FakeClient({HOME: Page(418, [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], "tea")})
    incoming = await client.open(Request(HOME))
    assert (incoming.status, incoming.headers.getall("Set-Cookie")) == (418, ["a=1", "b=2"])


async def test_an_unknown_url_is_not_found():
    assert (await FakeClient().open(Request(HOME))).status == 404


@pytest.mark.parametrize("asked", ["https://shop.example", "https://SHOP.example:443/", HOME + "#top"])
async def test_a_url_is_known_by_every_spelling(asked: str):
    assert await body_of(FakeClient({asked: "home"}), HOME) == b"home"
    assert await body_of(FakeClient({HOME: "home"}), "https://shop.example/#end") == b"home"


async def test_answers_of_a_list_come_in_turn_and_the_last_one_stays():
    client = FakeClient({HOME: [Page(503), "fine"]})
    assert [(await client.open(Request(HOME))).status for _ in range(3)] == [503, 200, 200]


async def test_two_clients_do_not_share_their_lists():
    pages = {HOME: [Page(503), "fine"]}
    statuses = [(await FakeClient(pages).open(Request(HOME))).status for _ in range(2)]
    assert statuses == [503, 503]


def test_an_empty_list_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        FakeClient({HOME: []})


async def test_an_error_is_raised_with_its_request_each_time():
    client = FakeClient({HOME: ConnectionLost("gone")})
    for number in range(2):
        with pytest.raises(ConnectionLost, match="gone") as caught:
            await client.open(Request(HOME, priority=number))
        assert caught.value.request.priority == number


async def test_a_function_answers_from_the_request():
    client = FakeClient({HOME: lambda request: Page(201, body=request.body)})
    assert await body_of(client, Request(HOME, method="POST", body="hello")) == b"hello"


async def test_a_function_may_be_async_and_may_give_back_an_error():
    async def late(request: Request):
        await asyncio.sleep(0)
        return ConnectionLost()

    with pytest.raises(ConnectionLost):
        await FakeClient({HOME: late}).open(Request(HOME))


async def test_head_has_no_body():
    client = FakeClient({HOME: "home"})
    assert await body_of(client, Request(HOME, method="HEAD")) == b""


async def test_requests_are_kept_in_order():
    client = FakeClient()
    for path in "ab":
        await client.open(Request(HOME + path, headers={"X": path}))
    assert client.urls == [HOME + "a", HOME + "b"]
    assert [request.headers["X"] for request in client.requests] == ["a", "b"]


# ── saved_page ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_callback_is_tried_on_a_saved_page():
    page = saved_page("<h1>Emma</h1>", HOME + "1")
    assert list(Books().parse_book(page)) == [Book(title="Emma")]


def test_a_saved_page_is_read_from_its_file(tmp_path: Path):
    file = tmp_path / "page.html"
    file.write_bytes("<meta charset=windows-1252><h1>Café</h1>".encode("cp1252"))
    assert saved_page(file, HOME).css("h1::text").get() == "Café"


def test_a_saved_page_has_what_a_response_has():
    request = Request(HOME, data={"n": 1})
    page = saved_page(b"{}", "https://shop.example", status=404, headers={"X-A": "b"}, request=request)
    assert (page.url, page.status, page.headers["x-a"], page.data, page.json()) == (
        HOME,
        404,
        "b",
        {"n": 1},
        {},
    )


def test_links_of_a_saved_page_are_joined_to_its_url():
    page = saved_page('<a href="../b">', HOME + "x/y")
    assert [request.url for request in page.follow_all("a")] == [HOME + "b"]


# ── crawl ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_crawl_without_a_network(tmp_path: Path):
    client = FakeClient(
        {
            HOME: '<a href="/1"></a><a href="/2"></a><a href="/3"></a>',
            HOME + "1": "<h1>Emma</h1>",
            HOME + "2": Page(410),
            HOME + "3": "nothing",
        }
    )
    done = await crawl(Books, client=client, root=tmp_path)
    assert (done.result.state, done.items) == ("finished", [{"title": "Emma"}])
    assert done.failed == {"status 410": 1}
    assert [rejected["problems"][0]["field"] for rejected in done.rejected] == ["title"]
    assert sorted(done.urls) == [HOME, HOME + "1", HOME + "2", HOME + "3", HOME + "robots.txt"]
    assert done.requests == client.requests
    assert done.counted("status") == {"200": 3, "410": 1}


async def test_a_spider_is_given_its_arguments(tmp_path: Path):
    class Shelf(Books):
        async def start(self):
            yield Request(HOME + self.shelf)

    done = await crawl(Shelf, client=FakeClient(), root=tmp_path, arguments={"shelf": "a"})
    assert HOME + "a" in done.urls
    with pytest.raises(ArgumentError, match="shelf: str"):
        await crawl(Shelf, client=FakeClient(), root=tmp_path, arguments={"self": "a"})


async def test_a_spider_may_come_made(tmp_path: Path):
    spider = Books()
    spider.start_urls = (HOME + "other",)
    done = await crawl(spider, client=FakeClient(), root=tmp_path, settings=NO_ROBOTS)
    assert done.urls == [HOME + "other"]


@pytest.mark.parametrize("settings", [{"retry": {"attempts": 2}}, ["retry.attempts=2"]])
async def test_settings_are_a_dict_or_lines(tmp_path: Path, settings):
    client = FakeClient({HOME: ConnectionLost()})
    done = await crawl(Books, client=client, root=tmp_path, settings=settings)
    assert client.urls.count(HOME) == 2
    assert done.failed == {"connection lost": 1}


async def test_settings_go_before_the_spiders_own(tmp_path: Path):
    class Patient(Books):
        custom_settings = {"retry": {"attempts": 5, "wait": "1h"}, **NO_ROBOTS}  # noqa: RUF012  # as users write it

    client = FakeClient({HOME: ConnectionLost()})
    await crawl(Patient, client=client, root=tmp_path, settings=["retry.attempts=4"])
    assert client.urls == [HOME] * 4  # and nobody waited an hour


async def test_a_wrong_setting_is_an_error_in_words(tmp_path: Path):
    with pytest.raises(SettingsError, match="settings: there is no setting 'concurency'"):
        await crawl(Books, client=FakeClient(), root=tmp_path, settings={"concurency": 1})


async def test_feeds_are_written_too(tmp_path: Path):
    client = FakeClient({HOME: '<a href="/1">', HOME + "1": "<h1>Emma</h1>"})
    done = await crawl(Books, client=client, root=tmp_path, feeds=[tmp_path / "books.csv"])
    assert (tmp_path / "books.csv").read_text() == "title\nEmma\n"
    assert done.items == [{"title": "Emma"}]


async def test_a_crawl_may_be_limited_and_gone_on_with(tmp_path: Path):
    client = FakeClient({HOME: '<a href="/1"></a><a href="/2"></a>'})
    first = await crawl(Books, client=client, root=tmp_path, settings=NO_ROBOTS, max_pages=1)
    run = Runs(tmp_path).get(first.result.run_id)
    second = await crawl(Books, client=client, root=tmp_path, settings=NO_ROBOTS, resume=run)
    assert (first.result.state, second.result.state) == ("stopped", "finished")
    assert sorted(client.urls) == [HOME, HOME + "1", HOME + "2"]


async def test_the_items_are_the_whole_runs(tmp_path: Path):
    client = FakeClient(
        {HOME: '<a href="/1"></a><a href="/2"></a>', HOME + "1": "<h1>A</h1>", HOME + "2": "<h1>B</h1>"}
    )
    settings = NO_ROBOTS | {"concurrency": 1}
    first = await crawl(Books, client=client, root=tmp_path, settings=settings, max_items=1)
    assert first.items == [{"title": "A"}]
    run = Runs(tmp_path).get(first.result.run_id)
    second = await crawl(Books, client=client, root=tmp_path, settings=settings, resume=run)
    assert second.items == [{"title": "A"}, {"title": "B"}]


async def test_a_crawl_in_memory_has_its_items_too(tmp_path: Path):
    client = FakeClient({HOME: '<a href="/1">', HOME + "1": "<h1>Emma</h1>"})
    done = await crawl(Books, client=client, root=tmp_path, settings=["frontier=memory"])
    assert done.items == [{"title": "Emma"}]


async def test_the_log_is_kept_and_not_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    client = FakeClient({HOME: Page(410)})
    done = await crawl(Books, client=client, root=tmp_path)
    assert [event["reason"] for event in done.log if event["event"] == "page failed"] == ["status 410"]
    assert capsys.readouterr() == ("", "")


async def test_the_log_is_shown_to_who_asks(tmp_path: Path, log):
    done = await crawl(Books, client=FakeClient({HOME: Page(410)}), root=tmp_path, show_log=True)
    assert done.log == []
    assert any(event["event"] == "page failed" for event in log)  # where it would have gone


async def test_without_a_client_it_uses_sockets(tmp_path: Path, site: FaultySite):
    class OverSockets(Spider):
        name = "over-sockets"

        async def start(self):
            yield Request(site.url + "/ok/1")

        def parse(self, response: Response):
            yield {"title": response.css("h1::text").get()}

    done = await crawl(OverSockets, root=tmp_path)
    assert (done.items, done.requests) == ([{"title": "Page 1"}], [])
    assert site.hits("/ok/1") == 1
