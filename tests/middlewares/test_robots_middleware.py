import asyncio
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protego import Protego

from scraper.errors import ConnectionLost, DropRequest, StatusError, TooManyRedirects
from scraper.middlewares import robots
from scraper.middlewares.redirect import Redirect
from scraper.middlewares.retry import Retry
from scraper.middlewares.robots import Robots, RobotsTxt, RobotsUnreachable
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings
from tests.middlewares.fakes import NotedClock, Time, Web, answer

SITE = "http://site.example"
TXT = SITE + "/robots.txt"
NO_ADMIN = b"User-agent: *\nDisallow: /admin\n"


def a_robots(
    site: Web, now: Time | None = None, user_agent: str = "testbot/1.0 (+http://bot.example)"
) -> Robots:
    layer = Robots(user_agent=user_agent, now=now or Time())
    layer.fetch = site
    layer.clock = NotedClock()
    return layer


def a_site(body: bytes = b"", status: int = 200) -> Web:
    return Web({TXT: answer(status, body=body)})


async def allowed(layer: Robots, path: str) -> bool:
    try:
        await layer(Request(SITE + path), Web())
    except DropRequest:
        return False
    return True


# ── obeying ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_robots_txt_disallows_is_dropped_and_not_fetched():
    pages = Web()
    with pytest.raises(DropRequest, match="robots"):
        await a_robots(a_site(NO_ADMIN))(Request(SITE + "/admin/users"), pages)
    assert pages.asked == []


async def test_what_robots_txt_does_not_disallow_is_fetched():
    assert await allowed(a_robots(a_site(NO_ADMIN)), "/shop")


async def test_the_group_of_our_product_token_goes_before_the_one_for_all():
    body = b"User-agent: *\nDisallow: /\n\nUser-agent: TestBot\nDisallow: /secret\n"
    layer = a_robots(a_site(body))
    assert [await allowed(layer, path) for path in ("/", "/secret")] == [True, False]


async def test_a_url_in_our_user_agent_is_not_our_name():
    body = b"User-agent: bot.example\nDisallow: /\n"
    assert await allowed(a_robots(a_site(body)), "/")


async def test_a_byte_order_mark_does_not_hide_the_first_line():
    assert not await allowed(a_robots(a_site(b"\xef\xbb\xbf" + NO_ADMIN)), "/admin")


async def test_only_the_first_512_kib_count_and_only_whole_lines():
    filler = b"# " + b"x" * (robots.LONGEST - len(b"# ") - len(b"\nDisallow: /") - len(NO_ADMIN)) + b"\n"
    body = NO_ADMIN + filler + b"Disallow: /private\nDisallow: /late\n"
    layer = a_robots(a_site(body))
    assert [await allowed(layer, path) for path in ("/", "/admin", "/late")] == [True, False, True]


async def test_each_origin_has_its_own():
    site = Web({TXT: answer(body=NO_ADMIN), "https://site.example/robots.txt": answer(404)})
    layer = a_robots(site)
    await layer(Request("https://site.example/admin"), Web())
    assert not await allowed(layer, "/admin")


async def test_robots_txt_itself_is_not_asked_about():
    site = a_site(b"User-agent: *\nDisallow: /\n")
    layer = a_robots(site)
    await layer(Request(TXT), Web())
    assert site.asked == []


async def test_a_redirect_hop_of_a_robots_txt_is_not_asked_about():
    site = a_site()
    await a_robots(site)(RobotsTxt("http://other.example/static/rules"), Web())
    assert site.asked == []


async def test_a_robots_txt_that_redirects_within_its_site_does_not_wait_for_itself():
    moved = {"Location": "/rules"}
    site = Web({TXT: answer(301, moved), SITE + "/rules": answer(body=NO_ADMIN)})
    layer, redirect = a_robots(site), Redirect(limit=5)
    layer.fetch = partial(redirect, call_next=partial(layer, call_next=site))
    async with asyncio.timeout(5):
        assert not await allowed(layer, "/admin")


async def test_a_page_that_only_looks_like_robots_txt_is_asked_about():
    assert not await allowed(a_robots(a_site(b"User-agent: *\nDisallow: /\n")), "/x?from=/robots.txt")


async def test_it_is_fetched_the_way_the_page_goes():
    site = a_site()
    await a_robots(site)(Request(SITE + "/", client="httpx", proxy="eu"), Web())
    assert (site.last.url, site.last.client, site.last.proxy) == (TXT, "httpx", "eu")


# ── statuses and failures ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
async def test_a_client_error_allows_everything(status):
    assert await allowed(a_robots(a_site(NO_ADMIN, status)), "/admin")


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_status_that_says_not_now_is_not_asked_to_come_back_as_a_response(status):
    site = a_site()
    await allowed(a_robots(site), "/")
    assert status not in site.last.ok
    assert 404 in site.last.ok


@pytest.mark.parametrize("cause", [ConnectionLost(), StatusError(503), StatusError(429)])
async def test_an_unreachable_robots_txt_allows_nothing(cause):
    with pytest.raises(RobotsUnreachable, match="txt could not be fetched") as raised:
        await allowed(a_robots(Web({TXT: cause})), "/")
    assert raised.value.__cause__ is cause
    assert (raised.value.retryable, raised.value.reason) == (True, "robots.txt unreachable")


async def test_a_server_error_that_is_handed_back_as_a_response_allows_nothing():
    with pytest.raises(RobotsUnreachable):
        await allowed(a_robots(a_site(status=503)), "/")


@pytest.mark.parametrize("cause", [TooManyRedirects(), StatusError(302)])
async def test_redirects_that_lead_nowhere_count_as_no_robots_txt(cause):
    assert await allowed(a_robots(Web({TXT: cause})), "/admin")


async def test_a_failure_is_remembered_for_a_while_then_asked_again():
    now = Time()
    site = Web({TXT: [ConnectionLost(), answer(404)]})
    layer = a_robots(site, now)
    for _ in range(3):
        with pytest.raises(RobotsUnreachable):
            await allowed(layer, "/")
    assert len(site.asked) == 1
    now.at += robots.FAILED
    assert await allowed(layer, "/")


# ── one fetch per origin ─────────────────────────────────────────────────────────────────────────────────


async def test_it_is_asked_once_a_day():
    now = Time()
    site = a_site(NO_ADMIN)
    layer = a_robots(site, now)
    for _ in range(3):
        await allowed(layer, "/")
    assert len(site.asked) == 1
    now.at += robots.VALID
    await allowed(layer, "/")
    assert len(site.asked) == 2


async def test_an_old_one_counts_while_a_new_one_can_not_be_had():
    now = Time()
    layer = a_robots(Web({TXT: [answer(body=NO_ADMIN), ConnectionLost()]}), now)
    await allowed(layer, "/")
    now.at += robots.VALID
    assert [await allowed(layer, path) for path in ("/", "/admin")] == [True, False]


class SlowSite:
    """A `fetch` that answers when the test says so."""

    def __init__(self, body: bytes = NO_ADMIN) -> None:
        self.asked = 0
        self.ready = asyncio.Event()
        self._site = a_site(body)

    async def __call__(self, request: Request) -> Response:
        self.asked += 1
        await self.ready.wait()
        return await self._site(request)


async def test_many_pages_of_one_origin_wait_for_one_fetch():
    site = SlowSite()
    layer = a_robots(site)
    pages = [asyncio.ensure_future(allowed(layer, path)) for path in ("/", "/admin", "/x")]
    await asyncio.sleep(0)
    site.ready.set()
    assert await asyncio.gather(*pages) == [True, False, True]
    assert site.asked == 1


async def test_when_the_page_that_asks_is_cancelled_the_next_one_asks():
    site = SlowSite()
    layer = a_robots(site)
    first, second, third = (asyncio.ensure_future(allowed(layer, "/")) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    site.ready.set()
    assert await asyncio.gather(second, third) == [True, True]
    assert site.asked == 2


async def test_a_cancelled_waiter_disturbs_nobody():
    site = SlowSite()
    layer = a_robots(site)
    first, second = (asyncio.ensure_future(allowed(layer, "/")) for _ in range(2))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    site.ready.set()
    assert await first
    assert site.asked == 1


# ── crawl delay ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("asked", "given"), [(b"5", 5.0), (b"0.5", 0.5), (b"86400", robots.LONGEST_DELAY)])
async def test_a_crawl_delay_slows_the_host_down_up_to_a_limit(asked, given):
    layer = a_robots(a_site(b"User-agent: *\nCrawl-delay: " + asked + b"\n"))
    await allowed(layer, "/")
    assert layer.clock.slowed == {"site.example:80": given}


@pytest.mark.parametrize("asked", [b"0", b"-5", b"soon", b"nan", b"inf", b""])
async def test_an_absurd_crawl_delay_is_ignored(asked):
    layer = a_robots(a_site(b"User-agent: *\nCrawl-delay: " + asked + b"\nDisallow: /x\n"))
    await allowed(layer, "/")
    assert layer.clock.slowed == {}


async def test_a_crawl_delay_for_others_does_not_bind_us():
    layer = a_robots(a_site(b"User-agent: otherbot\nCrawl-delay: 5\n"))
    await allowed(layer, "/")
    assert layer.clock.slowed == {}


# ── cost and memory ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body", [b"", b"User-agent: *\nDisallow:\n", b"Sitemap: /s.xml\n", b"<html>", b"Disallow: # none\n"]
)
def test_a_robots_txt_that_forbids_nothing_needs_no_parser(body):
    assert not robots.restricts(body.decode())


@pytest.mark.parametrize(
    "line",
    [
        "Disallow: /",
        " disallow:/x",
        "DISALLOW /x",
        "Dissalow: /",
        "Crawl-delay: 5",
        "crawl delay 5",
        "Disallow: / # x",
    ],
)
def test_a_line_that_may_forbid_or_slow_down_needs_one(line):
    assert robots.restricts("User-agent: *\n" + line)


WORDS = st.sampled_from(
    ["User-agent", "*", "Disallow", "dissalow", "crawl-delay", "5", "/", ":", " ", "#", "\n", "\r", "\x0b"]
)


@settings(database=None, deadline=None)
@given(st.lists(WORDS | st.characters(), max_size=20).map("".join))
def test_what_needs_no_parser_really_forbids_nothing(text):
    text = "User-agent: *\n" + text
    parser = Protego.parse(text)
    assert robots.restricts(text) or (
        parser.can_fetch(SITE + "/x", "testbot") and not parser.crawl_delay("testbot")
    )


async def test_a_resumed_crawl_does_not_ask_again():
    first = a_robots(a_site(NO_ADMIN + b"Crawl-delay: 2\n"))
    await allowed(first, "/")
    site = Web()
    second = a_robots(site)
    second.restore(first.changes())
    assert [await allowed(second, path) for path in ("/", "/admin")] == [True, False]
    assert (site.asked, second.clock.slowed) == ([], {"site.example:80": 2.0})


async def test_what_was_remembered_too_long_ago_is_asked_again():
    now = Time()
    first = a_robots(a_site(NO_ADMIN), now)
    await allowed(first, "/")
    now.at += robots.VALID
    second = a_robots(a_site(), now)
    second.restore(first.changes())
    assert await allowed(second, "/admin")


async def test_changes_are_told_once():
    layer = a_robots(a_site(NO_ADMIN))
    await allowed(layer, "/")
    assert set(layer.changes() or {}) == {SITE}
    assert layer.changes() is None


async def test_a_failure_is_not_kept_across_a_resume():
    layer = a_robots(Web({TXT: ConnectionLost()}))
    with pytest.raises(RobotsUnreachable):
        await allowed(layer, "/")
    assert layer.changes() is None


async def test_the_origin_asked_longest_ago_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(robots, "KEPT", 2)
    layer = a_robots(Web())
    for name in ("a", "b", "c"):
        await layer(Request(f"http://{name}.example/"), Web())
    changes = layer.changes() or {}
    assert {origin: kept is not None for origin, kept in changes.items()} == {
        "http://a.example": False,
        "http://b.example": True,
        "http://c.example": True,
    }


def test_settings_that_do_not_obey_robots_leave_the_layer_out():
    assert Robots.from_settings(Settings(obey_robots=False)) is None


async def test_settings_that_obey_robots_give_it_their_user_agent():
    layer = Robots.from_settings(Settings(user_agent="mybot/2 (+https://mine.example)"))
    assert layer is not None
    layer.fetch = a_site(b"User-agent: mybot\nDisallow: /\n")
    assert not await allowed(layer, "/")


async def test_a_page_of_a_site_without_an_answer_comes_back_when_the_site_is_asked_again():
    """Else its attempts were used up while one failure still counts."""
    now = Time()
    layer = a_robots(Web({TXT: ConnectionLost()}), now)
    with pytest.raises(RobotsUnreachable) as first:
        await layer(Request(SITE + "/a"), layer.fetch)
    now.at += 10
    with pytest.raises(RobotsUnreachable) as second:
        await layer(Request(SITE + "/b"), layer.fetch)
    assert (first.value.again_in, second.value.again_in) == (30.0, 20.0)
    retry = Retry(attempts=3, statuses=(), wait=1, max_wait=25, jitter=0)
    retry.clock = NotedClock()
    later = retry._later(Request(SITE + "/a"), first.value)
    assert later.delay == 25  # no longer than pauses may be
