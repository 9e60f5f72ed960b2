"""Whole crawls with sessions, over real sockets: who asks for what, as whom, and what becomes of it."""

from collections import Counter
from pathlib import Path
from typing import Any

from scraper import Request, Response, Spider, StopCrawl
from scraper.runs import Runs
from scraper.testing import Crawl, crawl
from tests.clients.servers import HttpProxy, listening
from tests.sessions.club import Club
from tests.sessions.members import Members

BLOCKED = {"sessions": {"blocked_statuses": [403]}}
PATIENT = {"retry": {"wait": 0, "jitter": 0, "attempts": 20}}


async def crawled(
    club: Club, root: Path, *, spider: type[Spider] = Members, settings: Any = (), **arguments: Any
) -> Crawl:
    arguments = {"url": club.url, **arguments}
    return await crawl(spider, root=root, settings=dict(settings), arguments=arguments)


def pages(*members: str, pages: int = 10) -> list[tuple[str, str]]:
    """Every page, seen as the member that it is for."""
    return sorted((f"/members/{name}/{number}", name) for name in members for number in range(pages))


def seen(done: Crawl) -> list[tuple[str, str]]:
    return sorted((item["page"], item["seen"]) for item in done.items)


async def test_each_session_logs_in_once_and_sees_its_own_pages(tmp_path):
    async with Club() as club:
        done = await crawled(club, tmp_path, members=["anna", "bert", "carl"])
    assert seen(done) == pages("anna", "bert", "carl")
    assert club.logins == {"anna": 1, "bert": 1, "carl": 1}
    assert done.failed == {}


async def test_a_blocked_session_goes_on_as_somebody_else(tmp_path):
    async with Club(patience=4) as club:
        done = await crawled(club, tmp_path, settings=BLOCKED | PATIENT)
    assert seen(done) == pages("anna", "bert")
    assert club.logins == {"anna": 3, "bert": 3}  # a key is good for 4 of the 10 pages
    assert club.came_with == [""] * 6  # no login knows the cookies of the one before
    assert done.counted("retried").keys() == {"blocked: status 403"}


async def test_somebody_else_comes_through_another_proxy(tmp_path):
    class Traced(Members):
        def parse(self, response: Response):
            yield {"key": response.css("b::text").get(), "proxy": response.proxy}

    async with Club(patience=4) as club, listening(HttpProxy()) as one, listening(HttpProxy()) as other:
        proxies = {"pool": {"one": f"http://127.0.0.1:{one}", "other": f"http://127.0.0.1:{other}"}}
        settings = BLOCKED | PATIENT | {"proxies": proxies | {"rotate": "sticky"}}
        done = await crawled(club, tmp_path, spider=Traced, settings=settings, members=["anna"])
    ways = {item["key"]: item["proxy"] for item in done.items}
    assert Counter(item["key"] for item in done.items) == {"anna-1": 4, "anna-2": 4, "anna-3": 2}
    assert len({(item["key"], item["proxy"]) for item in done.items}) == 3  # each identity keeps its own
    assert ways["anna-1"] != ways["anna-2"] != ways["anna-3"]


async def test_a_block_costs_an_attempt_and_after_the_last_one_the_page_fails_with_its_status(tmp_path):
    async with Club() as club:
        spider = type("Spider403", (Members,), {"login": Spider.login, "start": asks_for("/always/403")})
        done = await crawled(club, tmp_path, spider=spider, settings=BLOCKED | {"max_failed": 1})
    assert done.failed == {"blocked: status 403": 1}
    assert club.hits("/always/403") == 3
    assert done.counted("status") == {"403": 1}


def asks_for(path: str):
    async def start(self):
        yield Request(self.url + path, session="anna")

    return start


async def test_a_callback_that_is_found_out_rotates_its_session(tmp_path):
    async with Club(patience=4, lapses=True) as club:
        done = await crawled(club, tmp_path, settings=PATIENT, refused="rotate")
    assert seen(done) == pages("anna", "bert")
    assert club.logins == {"anna": 3, "bert": 3}
    assert club.came_with == [""] * 6


async def test_a_session_that_has_expired_logs_in_anew_as_who_it_is(tmp_path):
    async with Club(patience=4, lapses=True) as club:
        done = await crawled(club, tmp_path, settings=PATIENT, refused="expire")
    assert seen(done) == pages("anna", "bert")
    assert club.logins == {"anna": 3, "bert": 3}
    assert sorted(club.came_with) == ["", "", "key=anna-1", "key=anna-2", "key=bert-1", "key=bert-2"]


async def test_a_session_that_can_not_log_in_fails_and_the_others_do_not(tmp_path):
    class OneForgot(Members):
        async def login(self, session: str) -> None:
            self.password = "wrong" if session == "anna" else "right"
            await super().login(session)

    async with Club() as club:
        done = await crawled(club, tmp_path, spider=OneForgot, settings={"max_failed": 1})
    assert seen(done) == pages("bert")
    assert done.failed == {"login failed": 10}
    assert len(club.came_with) == 3 + 1  # as often as `retry.attempts` says, however many pages wait
    failed = [line for line in done.log if line["event"] == "login failed"]
    assert {(line["session"], line["error"]) for line in failed} == {("anna", "the password was refused")}
    said = {line["error"] for line in done.log if line["event"] == "page failed"}
    assert said == {"login('anna') has failed 3 times: the password was refused"}


async def test_a_login_that_stops_the_crawl_loses_no_page(tmp_path):
    class Careful(Members):
        async def login(self, session: str) -> None:
            if self.password == "wrong":
                raise StopCrawl("the password is wrong")
            await super().login(session)

    async with Club() as club:
        first = await crawled(club, tmp_path, spider=Careful, password="wrong")
        assert (first.result.state, first.result.reason) == ("stopped", "the password is wrong")
        assert first.result.counters.get("done", 0) == 0
        second = await crawl(
            Careful,
            root=tmp_path,
            arguments={"url": club.url},
            resume=Runs(tmp_path).get(first.result.run_id),
        )
    assert seen(second) == pages("anna", "bert")


async def test_a_token_that_a_login_gives_back_goes_to_its_origin(tmp_path):
    class Tokens(Spider):
        name = "tokens"
        url: str

        async def start(self):
            yield Request(f"{self.url}/headers")
            yield Request(f"{self.url.replace('127.0.0.1', 'localhost')}/headers")

        async def login(self, session: str):
            return {self.url: {"Authorization": "Bearer abc"}}

        def parse(self, response: Response):
            yield {"at": response.url.split(":")[1], "token": response.json().get("authorization")}

    async with Club() as club:
        done = await crawled(club, tmp_path, spider=Tokens)
    assert sorted(done.items, key=str) == [
        {"at": "//127.0.0.1", "token": "Bearer abc"},
        {"at": "//localhost", "token": None},
    ]


async def test_a_callback_may_fetch_as_somebody_else(tmp_path):
    class Curious(Members):
        async def parse(self, response: Response):
            page = await self.fetch(Request(f"{self.url}/members/bert/0", session="bert"))
            yield {"page": "", "seen": page.css("h1::text").get()}

    async with Club() as club:
        done = await crawled(club, tmp_path, spider=Curious, members=["anna"], pages=3)
    assert [item["seen"] for item in done.items] == ["bert"] * 3
    assert club.logins == {"anna": 1, "bert": 1}


async def test_without_its_layer_a_session_that_should_rotate_says_what_is_missing(tmp_path):
    settings = {"middlewares": ["redirect", "retry", "cookies", "headers"], "max_failed": 1}
    async with Club() as club:
        done = await crawled(club, tmp_path, settings=settings, refused="rotate", pages=1)
    [line] = {line["error"] for line in done.log if line["event"] == "page failed"}
    assert line == (
        'Callback parse() asks for rotate_session=True, but "sessions" is not among the middlewares in the settings'
    )
