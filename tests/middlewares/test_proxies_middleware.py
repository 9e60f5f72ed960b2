import asyncio
from collections import Counter

import pytest

from scraper.errors import (
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    InvalidRequest,
    NameNotResolved,
    ProxyFailed,
    ProxyRefused,
    SettingsError,
)
from scraper.middlewares.proxies import sticking
from scraper.middlewares.proxies.health import LONGEST_REST
from scraper.middlewares.proxies.middleware import Proxies
from scraper.request import Request
from scraper.settings import Settings
from tests.middlewares.fakes import Time, Web, answer

PAGE = "http://site.example/"
POOL = {
    "de": "http://user:geheim@de.example:8080",
    "fr": "socks5://fr.example:1080",
    "us": "http://us.example:3128",
}


def proxies(pool: dict[str, str] | None = None, **options) -> Proxies:
    return Proxies(pool=POOL if pool is None else pool, **{"now": Time(), **options})


async def used(layer: Proxies, times: int = 1, url: str = PAGE, **options) -> list[str]:
    """The names of the proxies that so many good fetches went through."""
    return [(await layer(Request(url, **options), Web())).proxy for _ in range(times)]


async def way(layer: Proxies, url: str = PAGE, **options) -> str | None:
    """The proxy's URL that the wire gets; None: directly."""
    site = Web()
    await layer(Request(url, **options), site)
    return site.last.proxy


async def fail(
    layer: Proxies, proxy: str | None = None, error=ProxyFailed, message: str = "", **options
) -> Exception:
    with pytest.raises(error) as raised:
        await layer(Request(PAGE, proxy=proxy, **options), Web({PAGE: error(message)}))
    return raised.value


class Held:
    """A `call_next` that answers when the test says so."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.reached = asyncio.Event()

    async def __call__(self, request: Request):
        self.reached.set()
        await self.free.wait()
        return await Web()(request)


# ── the choice ───────────────────────────────────────────────────────────────────────────────────────────


async def test_without_a_pool_a_request_goes_on_as_it_is():
    request, site = Request(PAGE), Web()
    await proxies({})(request, site)
    assert site.last is request


async def test_every_attempt_takes_a_fresh_proxy():
    assert await used(proxies(), 4) == ["de", "fr", "us", "de"]


async def test_random_takes_any_of_the_pool():
    assert set(await used(proxies(rotate="random"), 100)) == set(POOL)


async def test_the_wire_gets_the_full_url_and_the_response_only_the_name():
    request, site = Request(PAGE), Web()
    response = await proxies()(request, site)
    assert site.last.proxy == POOL["de"]
    assert response.proxy == "de"
    assert response.request is request


async def test_the_requests_own_proxy_wins():
    layer = proxies(rules={"http://": "fr"}, choose=lambda request: "de")
    assert await used(layer, 2, proxy="us") == ["us", "us"]


async def test_the_requests_own_proxy_may_be_a_url_without_any_pool():
    layer, site = proxies({}), Web()
    response = await layer(Request(PAGE, proxy="http://me:secret@mine.example:1"), site)
    assert site.last.proxy == "http://me:secret@mine.example:1"
    assert response.proxy == "http://mine.example:1"


async def test_a_url_of_the_pool_is_called_by_its_name():
    assert await used(proxies(), proxy=POOL["de"]) == ["de"]


async def test_a_request_may_ask_to_go_directly():
    assert await way(proxies(), proxy="none") is None


async def test_a_request_may_ask_for_the_pool_where_a_rule_says_something_else():
    assert await used(proxies(rules={"http://": "us"}), 2, proxy="pool") == ["de", "fr"]


async def test_a_name_that_is_not_in_the_pool_is_an_error_in_words():
    with pytest.raises(
        InvalidRequest, match=r"No proxy named 'frr'.*Did you mean 'fr'\? The pool is: de, fr, us\."
    ):
        await proxies()(Request(PAGE, proxy="frr"), Web())


async def test_the_pool_is_no_way_to_go_where_there_is_none():
    with pytest.raises(InvalidRequest, match="The pool is: empty"):
        await proxies({})(Request(PAGE, proxy="pool"), Web())


async def test_a_proxy_without_its_scheme_does_not_tell_its_password():
    with pytest.raises(InvalidRequest) as raised:
        await proxies()(Request(PAGE, proxy="user:geheim@de.example:8080"), Web())
    assert "geheim" not in str(raised.value)
    assert "de.example:8080" in str(raised.value)


# ── rules ────────────────────────────────────────────────────────────────────────────────────────────────

RULES = {
    "https://": "fr",
    "all://*.example": "us",
    "all://intern.example": "none",
    "http://intern.example:8080": "socks5://own.example:1",
    "https://*.shop.example": "pool",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://else.test/", "de"),  # no rule: the pool
        ("https://else.test/", "fr"),
        ("http://a.example/", "us"),
        ("https://a.example/", "us"),
        ("https://intern.example/", ""),
        ("https://intern.example:8080/", ""),
        ("http://intern.example:8080/", "socks5://own.example:1"),
        ("https://www.shop.example/", "de"),
    ],
)
async def test_the_most_specific_rule_counts(url, proxy):
    assert await used(proxies(rules=RULES), url=url) == [proxy]


async def test_a_rules_url_may_have_a_password_that_nobody_reads():
    layer, site = proxies({}, rules={"all://": "http://me:secret@mine.example:1"}), Web()
    response = await layer(Request(PAGE), site)
    assert site.last.proxy == "http://me:secret@mine.example:1"
    assert response.proxy == "http://mine.example:1"


async def test_without_a_pool_what_no_rule_is_for_goes_directly():
    assert await way(proxies({}, rules={"https://": "http://p.example:1"})) is None


async def test_rules_go_before_the_environment_and_that_before_the_pool():
    layer = proxies(rules={"https://": "us"}, environment={"all://": "fr"})
    assert await used(layer, url="https://a.example/") == ["us"]
    assert await used(layer, url="http://a.example/") == ["fr"]


# ── a function of one's own ──────────────────────────────────────────────────────────────────────────────


async def test_a_function_chooses_by_the_request():
    layer = proxies(rules={"http://": "us"}, choose=lambda request: request.data.get("country"))
    assert await used(layer, data={"country": "fr"}) == ["fr"]
    assert await used(layer, data={"country": "none"}) == [""]
    assert await used(layer, data={"country": "pool"}) == ["de"]
    assert await used(layer) == ["us"]  # it says nothing


async def test_a_functions_url_is_taken_as_it_is():
    layer = proxies({}, choose=lambda request: "http://me:secret@mine.example:1")
    assert await way(layer) == "http://me:secret@mine.example:1"
    assert await used(layer) == ["http://mine.example:1"]


async def test_a_function_that_says_nonsense_is_an_error_in_words():
    with pytest.raises(InvalidRequest, match=r"choose\(\) returned int: a proxy's name, a URL, 'none'"):
        await proxies(choose=lambda request: 1)(Request(PAGE), Web())


def test_a_function_is_named_in_the_settings(tmp_path, monkeypatch):
    (tmp_path / "ways.py").write_text("def choose(request): return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(Proxies.from_settings(Settings(proxies={"choose": "ways:choose"})), Proxies)
    for path, said in [("ways:other", "module ways has no 'other'"), ("nowhere:choose", "can't be imported")]:
        with pytest.raises(SettingsError, match=f"proxies.choose: .*{said}"):
            Proxies.from_settings(Settings(proxies={"choose": path}))


# ── sticky ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_session_keeps_its_proxy():
    layer = proxies(rotate="sticky")
    assert await used(layer, 3, session="alice") == ["de", "de", "de"]
    assert await used(layer, 3, session="bob", url="http://other.example/") == ["fr", "fr", "fr"]
    assert await used(layer, 1, session="alice", url="http://other.example/") == ["de"]


async def test_without_a_session_a_host_keeps_its_proxy():
    layer = proxies(rotate="sticky")
    assert await used(layer, 2, url="http://a.example/1") == ["de", "de"]
    assert await used(layer, 2, url="https://a.example:8080/2") == ["de", "de"]
    assert await used(layer, 2, url="http://b.example/") == ["fr", "fr"]


async def test_a_session_whose_proxy_rests_gets_another_one_for_good():
    now = Time()
    layer = proxies(rotate="sticky", rest=60, now=now)
    await fail(layer, session="alice")
    assert await used(layer, 2, session="alice") == ["fr", "fr"]
    now.at += 60
    assert await used(layer, 2, session="alice") == ["fr", "fr"]


async def test_a_resumed_crawl_keeps_each_sessions_proxy():
    first, second = proxies(rotate="sticky"), proxies(rotate="sticky")
    await used(first, session="alice")
    await used(first, session="bob")
    second.restore(first.changes() or {})
    assert await used(second, session="bob") == ["fr"]
    assert await used(second, session="alice") == ["de"]


async def test_a_session_whose_proxy_left_the_pool_gets_another_one():
    layer = proxies({"us": POOL["us"]}, rotate="sticky")
    layer.restore({"sticks/session/alice": "de"})
    assert await used(layer, session="alice") == ["us"]


async def test_a_session_that_begins_anew_takes_another_proxy():
    layer = proxies({"de": POOL["de"], "fr": POOL["fr"]}, rotate="sticky")
    assert await used(layer, session="alice") == ["de"]
    await used(layer, session="bob")
    layer.forget("alice")
    assert await used(layer, 2, session="alice") == ["fr", "fr"]
    assert layer.changes()["sticks/session/alice"] == "fr"


async def test_a_session_that_begins_anew_may_be_one_that_nobody_has_seen():
    layer = proxies({"de": POOL["de"]}, rotate="sticky")
    layer.forget("alice")
    await used(layer, session="alice")
    layer.forget("alice")  # with a pool of one there is no other
    assert await used(layer, session="alice") == ["de"]


async def test_of_many_sessions_those_asked_longest_ago_are_forgotten(monkeypatch):
    monkeypatch.setattr(sticking, "KEPT", 2)
    layer = proxies(rotate="sticky")
    for session in ("alice", "bob", "alice", "carol"):
        await used(layer, session=session)
    assert layer.changes() == {
        "sticks/session/alice": "de",
        "sticks/session/bob": None,
        "sticks/session/carol": "us",
    }


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [ProxyFailed, ConnectionRefused])
async def test_a_proxy_that_can_not_be_reached_rests(error):
    now = Time()
    layer = proxies(rest=60, now=now)
    await fail(layer, error=error)
    now.at += 59
    assert "de" not in await used(layer, 6)
    now.at += 1
    assert "de" in await used(layer, 3)


@pytest.mark.parametrize("rotate", ["round_robin", "random", "sticky"])
async def test_whoever_rests_is_passed_over(rotate):
    layer = proxies(rotate=rotate)
    await fail(layer, "de")
    await fail(layer, "fr")
    assert set(await used(layer, 20)) == {"us"}


@pytest.mark.parametrize("error", [ConnectionLost, NameNotResolved])
async def test_what_the_site_did_does_not_rest_the_proxy(error):
    layer = proxies()
    await fail(layer, error=error)
    assert await used(layer, 3) == ["fr", "us", "de"]


@pytest.mark.parametrize("error", [ProxyRefused, ConnectTimeout])
async def test_what_the_site_may_have_done_rests_the_proxy_when_it_comes_three_times_in_a_row(error):
    layer = proxies()
    for _ in range(2):
        await fail(layer, "us", error=error)
    await used(layer, proxy="us")
    for _ in range(2):
        await fail(layer, "us", error=error)
    assert layer.changes() is None
    await fail(layer, "us", error=error)
    assert "rest/us" in layer.changes()


async def test_while_all_rest_the_one_whose_rest_ends_first_is_taken():
    now = Time()
    layer = proxies(now=now)
    for name in ("us", "de", "fr"):
        await fail(layer, name)
        now.at += 1
    assert await used(layer) == ["us"]


async def failed_again(layer: Proxies, now: Time, name: str = "us") -> float:
    """The seconds of rest after one more failure, which comes when the last rest is over."""
    await fail(layer, name)
    seconds = (layer.changes() or {})[f"rest/{name}"]["until"] - now.at
    now.at += seconds
    return seconds


async def test_each_failure_in_a_row_doubles_the_rest_up_to_a_limit():
    now = Time()
    layer = proxies(rest=60, now=now)
    assert [await failed_again(layer, now) for _ in range(6)] == [60, 120, 240, 480, 600, 600]
    assert LONGEST_REST == 10


async def test_requests_that_fail_together_count_as_one_failure():
    now = Time()
    layer = proxies(rest=60, now=now)
    for _ in range(20):
        await fail(layer, "us")
    assert layer.changes() == {"rest/us": {"until": now.at + 60, "failures": 1}}


async def test_a_response_makes_up_for_earlier_failures():
    now = Time()
    layer = proxies(rest=60, now=now)
    await failed_again(layer, now)
    await used(layer, proxy="us")
    assert await failed_again(layer, now) == 60


async def test_a_url_outside_the_pool_does_not_rest():
    layer = proxies()
    for error in (ProxyFailed, ProxyRefused, ProxyRefused, ProxyRefused):
        await fail(layer, "http://mine.example:1", error=error)
    assert layer.changes() is None


async def test_who_watches_is_told_which_proxy_rests_and_when_it_works_again(log):
    layer = proxies(rest=60)
    await fail(layer, "de")
    await used(layer, proxy="de")
    rests, works = log
    assert (rests["event"], rests["proxy"], rests["seconds"], rests["reason"]) == (
        "proxy rests",
        "de",
        60,
        "proxy failed",
    )
    assert (works["event"], works["proxy"]) == ("proxy works again", "de")


# ── the trial ────────────────────────────────────────────────────────────────────────────────────────────


async def rested(layer: Proxies, now: Time, name: str) -> None:
    await fail(layer, name)
    now.at += 60


async def test_a_proxy_that_has_rested_is_tried_once_before_it_is_trusted():
    now, trial = Time(), Held()
    layer = proxies(rest=60, now=now)
    await rested(layer, now, "de")
    trying = asyncio.create_task(layer(Request(PAGE), trial))
    await trial.reached.wait()
    assert set(await used(layer, 6)) == {"fr", "us"}
    trial.free.set()
    assert (await trying).proxy == "de"
    assert set(await used(layer, 6)) == {"de", "fr", "us"}


@pytest.mark.parametrize("error", [ProxyFailed, ProxyRefused, ConnectTimeout])
async def test_a_trial_that_fails_makes_the_rest_longer(error):
    now = Time()
    layer = proxies(rest=60, now=now)
    await rested(layer, now, "us")
    await fail(layer, "us", error=error)
    assert layer.changes()["rest/us"] == {"until": now.at + 120, "failures": 2}


async def test_a_trial_that_the_site_spoiled_is_made_again():
    now = Time()
    layer = proxies(rest=60, now=now)
    await rested(layer, now, "de")
    await fail(layer, error=ConnectionLost)
    assert await used(layer, 3) == ["fr", "us", "de"]


async def test_a_trial_that_is_cancelled_is_made_again():
    now, trial = Time(), Held()
    layer = proxies(rest=60, now=now)
    await rested(layer, now, "de")
    trying = asyncio.create_task(layer(Request(PAGE), trial))
    await trial.reached.wait()
    trying.cancel()
    await asyncio.wait([trying])
    assert await used(layer, 3) == ["fr", "us", "de"]


async def test_the_others_share_what_a_resting_proxy_leaves():
    layer = proxies()
    await fail(layer, "de")
    assert Counter(await used(layer, 10)) == {"fr": 5, "us": 5}


# ── whose answer it is ───────────────────────────────────────────────────────────────────────────────────

SQUID = {"X-Squid-Error": "ERR_ACCESS_DENIED 0"}


async def answered(layer: Proxies, status: int, headers, *, proxy: str, url: str = PAGE):
    return await layer(Request(url, proxy=proxy), Web({url: answer(status, headers)}))


async def test_a_proxys_own_answer_is_no_answer_of_the_site():
    layer = proxies()
    with pytest.raises(ProxyRefused, match=r"status 403 \(X-Squid-Error: ERR_ACCESS_DENIED 0\)") as raised:
        await answered(layer, 403, SQUID, proxy="us")
    assert (raised.value.proxy, raised.value.retryable) == ("us", True)
    assert (await answered(layer, 403, {}, proxy="us")).status == 403


async def test_a_407_is_the_proxys_and_rests_it():
    layer = proxies()
    with pytest.raises(ProxyFailed, match="another user or password"):
        await answered(layer, 407, {}, proxy="us")
    assert "rest/us" in layer.changes()


async def test_through_socks_only_the_site_answers():
    assert (await answered(proxies(), 403, SQUID, proxy="fr")).status == 403


async def test_in_a_tunnel_only_the_site_answers():
    url = "https://site.example/"
    assert (await answered(proxies(), 403, SQUID, proxy="us", url=url)).status == 403


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        "Can't connect to http://user:geheim@de.example:8080",
        "407 for user 'user', password 'geheim'",
        "407 for Basic dXNlcjpnZWhlaW0=",
    ],
)
async def test_an_error_never_holds_the_password(message):
    error = await fail(proxies(), message=message)
    assert "geheim" not in str(error)
    assert "dXNlcjpnZWhlaW0=" not in str(error)
    assert "de.example" in str(error) or "407" in str(error)


async def test_a_percent_encoded_password_is_hidden_decoded_too():
    layer = proxies({"eu": "http://u:p%40ss@eu.example:1"})
    assert "p@ss" not in str(await fail(layer, message="login u/p@ss refused"))


async def test_an_errors_request_is_the_one_without_the_proxys_url():
    request = Request(PAGE)
    with pytest.raises(ProxyFailed) as raised:
        await proxies()(request, Web({PAGE: ProxyFailed()}))
    assert raised.value.request is request


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_resumed_crawl_lets_a_failed_proxy_rest_on():
    now = Time()
    first = proxies(rest=60, now=now)
    await fail(first, "de")
    second = proxies(rest=60, now=now)
    second.restore(first.changes())
    assert await used(second, 2) == ["fr", "us"]
    now.at += 60
    assert await failed_again(second, now, "de") == 120


async def test_changes_are_told_once_and_a_recovery_is_one():
    layer = proxies(now=Time(1000.0))
    await fail(layer, "de")
    assert layer.changes() == {"rest/de": {"until": 1060.0, "failures": 1}}
    assert layer.changes() is None
    await used(layer, proxy="de")
    assert layer.changes() == {"rest/de": None}


async def test_a_proxy_that_left_the_pool_is_not_restored():
    layer = proxies({"us": POOL["us"]})
    layer.restore({"rest/de": {"until": 1.0, "failures": 1}})
    assert await used(layer, 2) == ["us", "us"]


async def test_the_pool_comes_from_the_settings():
    layer = Proxies.from_settings(Settings(proxies={"pool": ["http://a.example:1", "http://b.example:2"]}))
    assert await used(layer, 2) == ["proxy1", "proxy2"]


async def test_the_rules_and_the_rotation_come_from_the_settings():
    told = {"pool": POOL, "rotate": "sticky", "all://*.example": "none", "https://": "us"}
    layer = Proxies.from_settings(Settings(proxies=told))
    assert await used(layer, 2, url="http://a.test/") == ["de", "de"]
    assert await used(layer, url="https://a.test/") == ["us"]
    assert await used(layer, url="http://a.example/") == [""]


async def test_the_environment_counts_only_when_it_is_asked_for(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://env.example:8080")
    monkeypatch.setenv("no_proxy", "intern.example")
    assert await way(Proxies.from_settings(Settings())) is None
    asked = Proxies.from_settings(Settings(proxies={"environment": True}))
    assert await way(asked) == "http://env.example:8080"
    assert await way(asked, "http://intern.example/") is None
