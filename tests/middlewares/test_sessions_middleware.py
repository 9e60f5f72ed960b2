import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from scraper.downloader import chain
from scraper.errors import (
    ConnectionLost,
    LoginFailed,
    Retry,
    RetryLater,
    SessionBlocked,
    SettingsError,
    StatusError,
    StopCrawl,
)
from scraper.layers import Layer, load
from scraper.middlewares.retry import Retry as Retries
from scraper.middlewares.robots import RobotsTxt
from scraper.middlewares.sessions import Sessions
from scraper.parts import MIDDLEWARES, build
from scraper.request import Request
from scraper.settings import IdentitySettings
from scraper.spider import Spider
from tests.middlewares.fakes import NotedClock, Time, Web, answer

PAGE = "http://club.example/page"
LOGIN = "http://club.example/login"


class Member(Spider):
    """Logs in with one request; a test may put something else into `steps`, one step a login."""

    name = "member"

    def __init__(self) -> None:
        super().__init__()
        self.logins: list[str] = []
        self.steps: list[Callable[[str], Awaitable[Any]]] = []
        self.layer: Sessions
        self.site: Any

    async def login(self, session: str) -> Any:
        self.logins.append(session)
        if self.steps:
            return await self.steps.pop(0)(session)
        await self.ask(LOGIN)
        return None

    async def ask(self, url: str, **options: Any):
        return await self.layer(Request(url, **options), self.site)


class Club:
    """A layer with its spider and its site. `forgotten`: the sessions that the other layers were told to forget."""

    def __init__(self, site: Any = None, spider: Spider | None = None, **options: Any) -> None:
        self.site = site or Web()
        self.spider = spider or Member()
        self.now = Time()
        self.forgotten: list[str] = []
        self.layer = Sessions(now=self.now, **options)
        self.layer.spider = self.spider
        self.layer.forget_session = self.forgotten.append
        self.spider.layer, self.spider.site = self.layer, self.site

    async def get(self, url: str = PAGE, session: str = "anna", **options: Any):
        """A page's request, in a task of its own as in a crawl."""
        return await asyncio.create_task(self.layer(Request(url, session=session, **options), self.site))

    async def page(self, callback: Callable[[], object], session: str = "anna") -> None:
        """A page that is fetched, and what its callback then does."""

        async def life() -> None:
            await self.layer(Request(PAGE, session=session), self.site)
            callback()

        await asyncio.create_task(life())

    @property
    def logins(self) -> list[str]:
        return self.spider.logins


class SlowSite(Web):
    """Answers nothing before `open` is set."""

    def __init__(self, pages=None) -> None:
        super().__init__(pages)
        self.open = asyncio.Event()

    async def __call__(self, request):
        await self.open.wait()
        return await super().__call__(request)


async def settle() -> None:
    """Lets every task go on until all of them wait."""
    for _ in range(20):
        await asyncio.sleep(0)


def raising(error: Exception) -> Callable[[str], Awaitable[Any]]:
    async def step(session: str) -> None:
        raise error

    return step


def giving(headers: Any) -> Callable[[str], Awaitable[Any]]:
    async def step(session: str) -> Any:
        return headers

    return step


# ── login ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_session_logs_in_before_its_first_page():
    club = Club()
    await club.get()
    await club.get()
    assert (club.site.urls, club.logins) == ([LOGIN, PAGE, PAGE], ["anna"])


async def test_requests_without_a_session_are_of_one_too():
    club = Club()
    await club.get(session="")
    assert club.logins == [""]


async def test_what_login_fetches_is_of_the_session_that_logs_in():
    club = Club()
    await club.get()
    assert [request.session for request in club.site.asked] == ["anna", "anna"]


async def test_the_others_of_the_session_wait_and_those_of_another_do_not_wait_for_it():
    site = SlowSite()
    club = Club(site)
    first = [asyncio.create_task(club.get()) for _ in range(5)]
    await settle()
    second = asyncio.create_task(club.get(session="bert"))
    await settle()
    assert club.logins == ["anna", "bert"]
    site.open.set()
    await asyncio.gather(*first, second)
    assert sorted(club.logins) == ["anna", "bert"]
    assert site.urls.count(PAGE) == 6


async def test_a_login_that_is_cancelled_is_taken_up_by_the_next_one_that_waits():
    site = SlowSite()
    club = Club(site)
    first = asyncio.create_task(club.get())
    await settle()
    second = asyncio.create_task(club.get())
    await settle()
    first.cancel()
    await settle()
    site.open.set()
    assert (await second).status == 200
    assert club.logins == ["anna", "anna"]


async def test_inside_a_login_nobody_waits_for_a_login():
    club = Club()

    async def with_help(session: str) -> None:
        await club.spider.ask(LOGIN, session="bert")

    club.spider.steps = [with_help]
    await club.get()
    assert club.logins == ["anna"]


async def test_robots_txt_waits_for_no_login():
    club = Club()
    await club.layer(RobotsTxt("http://club.example/robots.txt"), club.site)
    assert club.logins == []


async def test_a_spider_without_a_login_has_none():
    club = Club(spider=Spider())
    await club.get()
    assert club.site.urls == [PAGE]


# ── what login gives back ────────────────────────────────────────────────────────────────────────────────


async def test_headers_that_a_login_gives_back_go_to_their_origin_alone():
    club = Club()
    club.spider.steps = [giving({"http://api.example": {"Authorization": "Bearer x", "X-Token": 5}})]
    for url in ("http://api.example/a", "https://api.example/a", "http://api.example:8080/", PAGE):
        await club.get(url)
    assert [dict(request.headers) for request in club.site.asked] == [
        {"Authorization": "Bearer x", "X-Token": "5"},
        {},
        {},
        {},
    ]


async def test_what_the_request_says_itself_goes_before_them():
    club = Club()
    club.spider.steps = [giving({"http://club.example": {"Authorization": "Bearer x"}})]
    await club.get(headers={"authorization": "mine"})
    await club.get(auth=("me", "mine"))
    assert [dict(request.headers) for request in club.site.asked] == [{"authorization": "mine"}, {}]


@pytest.mark.parametrize(
    "given", ["token", ["x"], {"http://club.example": "token"}, {"club.example": {"X": "y"}}]
)
async def test_what_is_no_headers_by_origin_is_said_in_words(given, log):
    club = Club(attempts=1)
    club.spider.steps = [giving(given)]
    with pytest.raises(LoginFailed, match="login\\(\\) gives back None, or headers by origin"):
        await club.get()


# ── a login that fails ───────────────────────────────────────────────────────────────────────────────────


async def test_pages_of_a_session_whose_login_failed_come_again_when_it_may_be_tried_again(log):
    club = Club(wait=10.0)
    club.spider.steps = [raising(ConnectionLost("connection lost"))]
    with pytest.raises(RetryLater) as first:
        await club.get()
    club.now.at += 4
    with pytest.raises(RetryLater) as second:
        await club.get()
    assert [(one.value.delay, one.value.reason, one.value.counted) for one in (first, second)] == [
        (10.0, "login failed", False),
        (6.0, "login failed", False),
    ]
    club.now.at += 6
    assert (await club.get()).status == 200
    assert club.logins == ["anna", "anna"]


async def test_all_that_wait_for_a_login_that_fails_come_again_and_nobody_hangs():
    club = Club()
    gate = asyncio.Event()

    async def step(session: str) -> None:
        await gate.wait()
        raise ConnectionLost("connection lost")

    club.spider.steps = [step]
    waiting = [asyncio.create_task(club.get()) for _ in range(5)]
    await settle()
    gate.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [RetryLater] * 5
    assert club.logins == ["anna"]


async def test_pauses_grow_up_to_the_longest():
    club = Club(wait=1.0, max_wait=5.0, attempts=9)
    club.spider.steps = [raising(ConnectionLost("lost"))] * 4
    delays = []
    for _ in range(4):
        with pytest.raises(RetryLater) as raised:
            await club.get()
        delays.append(raised.value.delay)
        club.now.at += raised.value.delay
    assert delays == [1.0, 2.0, 4.0, 5.0]


async def test_after_the_last_attempt_the_sessions_pages_fail_with_what_the_login_said(log):
    club = Club(attempts=2, wait=0.0)
    club.spider.steps = [raising(KeyError("anna"))] * 2
    with pytest.raises(
        LoginFailed, match=r"login\('anna'\) has failed 2 times: KeyError\('anna'\)"
    ) as raised:
        await club.get()
    assert raised.value.retryable is False
    with pytest.raises(LoginFailed):
        await club.get()
    assert club.logins == ["anna", "anna"]
    assert [(line["event"], line["attempts"]) for line in log] == [("login failed", 1), ("login failed", 2)]
    assert all(
        isinstance(line["exc_info"], KeyError) for line in log
    )  # a mistake of the spider's: where is it?


async def test_the_other_sessions_go_on():
    club = Club(attempts=1)
    club.spider.steps = [raising(ConnectionLost("lost"))]
    with pytest.raises(LoginFailed):
        await club.get()
    assert (await club.get(session="bert")).status == 200


async def test_a_login_may_say_when_it_wants_to_be_tried_again():
    club = Club()
    club.spider.steps = [raising(Retry("captcha", delay=90, rotate_session=True))]
    with pytest.raises(RetryLater) as raised:
        await club.get()
    assert (raised.value.delay, club.forgotten) == (90, ["anna"])


async def test_a_login_may_stop_the_crawl_for_all_of_its_session():
    club = Club()
    club.spider.steps = [raising(StopCrawl("wrong password"))]
    for _ in range(2):
        with pytest.raises(StopCrawl, match="wrong password"):
            await club.get()
    assert club.logins == ["anna"]


# ── rotation and expiry ──────────────────────────────────────────────────────────────────────────────────


async def test_a_rotated_session_is_forgotten_and_logs_in_anew():
    club = Club()
    await club.page(lambda: club.layer.rotate("anna", "captcha"))
    await club.get()
    assert (club.logins, club.forgotten) == (["anna", "anna"], ["anna"])


async def test_an_expired_session_logs_in_anew_and_stays_who_it_is():
    club = Club()
    club.spider.steps = [giving({"http://club.example": {"X-Token": "1"}}), giving(None)]
    await club.page(lambda: club.layer.expire("anna"))
    await club.get()
    assert (club.logins, club.forgotten) == (["anna", "anna"], [])
    assert [dict(request.headers) for request in club.site.asked] == [{"X-Token": "1"}, {}]


@pytest.mark.parametrize("end", [lambda layer: layer.rotate("anna", "x"), lambda layer: layer.expire("anna")])
async def test_of_many_pages_that_find_out_one_ends_the_session(end):
    club, seen = Club(), asyncio.Event()

    async def life() -> None:
        await club.layer(Request(PAGE, session="anna"), club.site)
        await seen.wait()
        end(club.layer)
        await club.layer(Request(PAGE, session="anna"), club.site)

    pages = [asyncio.create_task(life()) for _ in range(10)]
    await settle()
    seen.set()
    await asyncio.gather(*pages)
    assert club.logins == ["anna", "anna"]


async def test_what_a_new_login_can_not_help_ends_the_session_again():
    club = Club()
    for _ in range(3):
        await club.page(lambda: club.layer.rotate("anna", "captcha"))
    assert club.logins == ["anna"] * 3


async def test_a_session_that_nobody_has_asked_as_can_be_expired():
    club = Club()
    club.layer.restore({"anna": {"headers": {}}})
    club.layer.expire("anna")
    await club.get()
    assert club.logins == ["anna"]


# ── block signals ────────────────────────────────────────────────────────────────────────────────────────


async def test_without_settings_nothing_is_a_signal():
    club = Club(Web({PAGE: answer(403, body=b"captcha")}))
    assert (await club.get()).status == 403
    assert club.forgotten == []


async def test_a_status_that_says_blocked_rotates_and_is_tried_again():
    club = Club(Web({PAGE: [answer(403, {"Retry-After": "7"}), answer()]}), blocked_statuses=[403])
    with pytest.raises(SessionBlocked, match="The site has blocked the session: status 403") as raised:
        await club.get()
    error = raised.value
    assert isinstance(error, StatusError)
    assert (error.status, error.reason, error.retryable, error.retry_after) == (
        403,
        "blocked: status 403",
        True,
        7,
    )
    assert (await club.get()).status == 200
    assert (club.logins, club.forgotten) == (["anna", "anna"], ["anna"])


async def test_a_status_that_the_request_calls_ok_says_nothing():
    club = Club(Web({PAGE: answer(403)}), blocked_statuses=[403])
    assert (await club.get(ok={403})).status == 403


@pytest.mark.parametrize(
    ("body", "blocked"),
    [
        (b"<h1>Are you a robot?</h1>", True),
        ("<h1>ARE YOU a r\u00f6b\u00f6t?</h1>".encode(), True),
        (b"<h1>Welcome</h1>", False),
        (b"x" * 64 * 1024 + b"Are you a robot?", False),
    ],
)
async def test_a_text_that_says_blocked_rotates_whatever_the_status(body, blocked):
    site = Web({PAGE: answer(200, {"Content-Type": "text/html; charset=utf-8"}, body)})
    club = Club(site, blocked_body="(?i)are you a r[o\u00f6]b[o\u00f6]t")
    if blocked:
        with pytest.raises(SessionBlocked, match="blocked the session: body"):
            await club.get()
    else:
        await club.get()
    assert club.forgotten == ["anna"] * blocked


async def test_ten_pages_that_are_blocked_together_rotate_once():
    site = SlowSite({PAGE: [answer(403)] * 10 + [answer()]})
    club = Club(site, blocked_statuses=[403], spider=Spider())
    pages = [asyncio.create_task(club.get()) for _ in range(10)]
    await settle()
    site.open.set()
    ends = await asyncio.gather(*pages, return_exceptions=True)
    assert [type(end) for end in ends] == [SessionBlocked] * 10
    assert club.forgotten == ["anna"]


async def test_a_login_that_is_blocked_goes_on_as_somebody_else():
    club = Club(Web({LOGIN: [answer(403), answer()]}), blocked_statuses=[403])

    async def twice(session: str) -> None:
        with pytest.raises(SessionBlocked):
            await club.spider.ask(LOGIN)
        await club.spider.ask(LOGIN)

    club.spider.steps = [twice]
    assert (await club.get()).status == 200
    assert (club.logins, club.forgotten) == (["anna"], ["anna"])


async def test_a_block_that_says_when_to_come_back_parks_the_host():
    club = Club(Web({PAGE: answer(429, {"Retry-After": "7"})}), blocked_statuses=[429], spider=Spider())
    retry = Retries(attempts=3, statuses=[429], wait=1, max_wait=60, jitter=0, now=club.now)
    retry.clock = NotedClock()
    with pytest.raises(RetryLater) as raised:
        await retry(Request(PAGE, session="anna"), chain([club.layer], club.site))
    later = raised.value
    assert (later.delay, later.reason, later.status) == (7.0, "blocked: status 429", 429)
    assert retry.clock.parked == {"club.example:80": club.now.at + 7}
    assert club.forgotten == ["anna"]


# ── what a session has of its own ────────────────────────────────────────────────────────────────────────


async def test_a_session_has_headers_a_proxy_and_a_client_of_its_own():
    own = IdentitySettings(headers={"Accept-Language": "de", "X-Mine": "1"}, proxy="de", client="httpx")
    club = Club(named={"anna": own}, spider=Spider())
    await club.get(headers={"x-mine": "2"})
    await club.get(proxy="fr", client="wreq", impersonate="firefox")
    await club.get(session="bert")
    first, second, other = club.site.asked
    assert (dict(first.headers), first.proxy, first.client) == (
        {"Accept-Language": "de", "x-mine": "2"},
        "de",
        "httpx",
    )
    assert (second.proxy, second.client, second.impersonate) == ("fr", "wreq", "firefox")
    assert (dict(other.headers), other.proxy, other.client) == ({}, None, None)


@pytest.mark.parametrize("session", [None, 5, ("anna",)])
def test_a_session_that_is_no_name_is_refused_where_it_is_written(session):
    with pytest.raises(TypeError, match="session= is a name"):
        Request(PAGE, session=session)


async def test_login_goes_the_sessions_way_too():
    club = Club(named={"anna": IdentitySettings(proxy="de", impersonate="chrome")})
    await club.get()
    assert [(one.proxy, one.impersonate) for one in club.site.asked] == [("de", "chrome")] * 2


def test_the_settings_name_sessions_and_signals():
    text = {
        "blocked_statuses": [403, 429],
        "blocked_body": "captcha",
        "anna": {"headers": {"Accept-Language": "de"}, "proxy": "de", "client": "httpx"},
    }
    settings = load([Layer("settings.toml", {"sessions": text})]).settings
    assert settings.sessions.named["anna"].proxy == "de"
    assert isinstance(build("sessions", settings, MIDDLEWARES, "middlewares"), Sessions)


@pytest.mark.parametrize(
    ("sessions", "words"),
    [
        ({"blocked_status": [403]}, "blocked_status"),
        ({"blocked_body": "("}, "it is no regular expression"),
        ({"anna": {"cookies": {}}}, "there is no setting 'sessions.anna.cookies'"),
        ({"anna": {"proxy": "http://me:letmein@proxy.example:8080"}}, "name the proxy there"),
    ],
)
def test_settings_that_can_not_be_right_are_said_in_words(sessions, words):
    with pytest.raises(SettingsError) as raised:
        load([Layer("settings.toml", {"sessions": sessions})])
    assert words in str(raised.value)
    assert "letmein" not in str(raised.value)


@pytest.mark.parametrize("name", ["Authorization", "Cookie", "proxy-authorization"])
def test_a_sessions_headers_hold_no_secret(name):
    settings = load([Layer("settings.toml", {"sessions": {"anna": {"headers": {name: "letmein"}}}})]).settings
    with pytest.raises(SettingsError, match=f"sessions.anna.headers has {name}") as raised:
        build("sessions", settings, MIDDLEWARES, "middlewares")
    assert "letmein" not in str(raised.value)


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_resumed_crawl_does_not_log_in_again():
    first = Club()
    first.spider.steps = [giving({"http://club.example": {"X-Token": "1"}})]
    await first.get()
    second = Club()
    second.layer.restore(first.layer.changes())
    await second.get()
    assert (second.logins, dict(second.site.last.headers)) == ([], {"X-Token": "1"})


async def test_changes_name_only_what_changed_since_they_were_last_told():
    club = Club()
    assert club.layer.changes() is None
    await club.get()
    await club.get(session="bert")
    assert club.layer.changes() == {"anna": {"headers": {}}, "bert": {"headers": {}}}
    await club.get()
    assert club.layer.changes() is None


async def test_a_session_that_has_ended_is_forgotten_on_disk_too():
    club = Club()
    await club.page(lambda: club.layer.rotate("anna", "captcha"))
    assert club.layer.changes() == {"anna": None}


async def test_while_a_login_runs_nothing_says_that_it_is_over():
    site = SlowSite()
    club = Club(site)
    page = asyncio.create_task(club.get())
    await settle()
    assert club.layer.changes() is None
    site.open.set()
    await page
    assert club.layer.changes() == {"anna": {"headers": {}}}
