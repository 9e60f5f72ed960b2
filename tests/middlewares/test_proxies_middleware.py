import pytest
from pydantic import SecretStr

from scraper.errors import (
    ConnectionLost,
    ConnectionRefused,
    ConnectTimeout,
    InvalidRequest,
    NameNotResolved,
    ProxyFailed,
)
from scraper.middlewares.proxies import LONGEST_REST, Proxies
from scraper.request import Request
from scraper.settings import Settings
from tests.middlewares.fakes import Time, Web

PAGE = "http://site.example/"
POOL = {
    "de": "http://user:geheim@de.example:8080",
    "fr": "socks5://fr.example:1080",
    "us": "http://us.example:3128",
}


def proxies(
    pool: dict[str, str] | None = None, *, rotate="round_robin", rest=60.0, now: Time | None = None
) -> Proxies:
    secrets = {name: SecretStr(url) for name, url in (POOL if pool is None else pool).items()}
    return Proxies(pool=secrets, rotate=rotate, rest=rest, now=now or Time())


async def used(layer: Proxies, times: int = 1, **options) -> list[str]:
    """The names of the proxies that so many good fetches went through."""
    return [(await layer(Request(PAGE, **options), Web())).proxy for _ in range(times)]


async def fail(layer: Proxies, proxy: str | None = None, error=ProxyFailed, message: str = "") -> Exception:
    with pytest.raises(error) as raised:
        await layer(Request(PAGE, proxy=proxy), Web({PAGE: error(message)}))
    return raised.value


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
    assert await used(proxies(), 2, proxy="us") == ["us", "us"]


async def test_the_requests_own_proxy_may_be_a_url_without_any_pool():
    layer, site = proxies({}), Web()
    response = await layer(Request(PAGE, proxy="http://me:secret@mine.example:1"), site)
    assert site.last.proxy == "http://me:secret@mine.example:1"
    assert "mine.example" in response.proxy
    assert "secret" not in response.proxy


async def test_a_name_that_is_not_in_the_pool_is_an_error_in_words():
    with pytest.raises(
        InvalidRequest, match=r"No proxy named 'frr'.*Did you mean 'fr'\? The pool is: de, fr, us\."
    ):
        await proxies()(Request(PAGE, proxy="frr"), Web())


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [ProxyFailed, ConnectionRefused, ConnectTimeout])
async def test_a_proxy_that_can_not_be_reached_rests(error):
    now = Time()
    layer = proxies(rest=60, now=now)
    await fail(layer, error=error)
    now.at += 59
    assert "de" not in await used(layer, 6)
    now.at += 1
    assert "de" in await used(layer, 3)


@pytest.mark.parametrize("error", [ConnectionLost, NameNotResolved])
async def test_what_the_site_did_does_not_rest_the_proxy(error):
    layer = proxies()
    await fail(layer, error=error)
    assert await used(layer, 3) == ["fr", "us", "de"]


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
    seconds = (layer.changes() or {})[name]["until"] - now.at
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
    assert layer.changes() == {"us": {"until": now.at + 60, "failures": 1}}


async def test_a_response_makes_up_for_earlier_failures():
    now = Time()
    layer = proxies(rest=60, now=now)
    await failed_again(layer, now)
    await used(layer, proxy="us")
    assert await failed_again(layer, now) == 60


async def test_a_url_outside_the_pool_does_not_rest():
    layer = proxies()
    await fail(layer, "http://mine.example:1")
    assert layer.changes() is None


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        "Can't connect to http://user:geheim@de.example:8080",
        "407 for user 'user', password 'geheim'",
    ],
)
async def test_an_error_never_holds_the_password(message):
    error = await fail(proxies(), message=message)
    assert "geheim" not in str(error)
    assert "de.example" in str(error) or "407" in str(error)


async def test_a_percent_encoded_password_is_hidden_decoded_too():
    layer = proxies({"eu": "http://u:p%40ss@eu.example"})
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
    assert layer.changes() == {"de": {"until": 1060.0, "failures": 1}}
    assert layer.changes() is None
    await used(layer, proxy="de")
    assert layer.changes() == {"de": None}


async def test_a_proxy_that_left_the_pool_is_not_restored():
    layer = proxies({"us": POOL["us"]})
    layer.restore({"de": {"until": 1.0, "failures": 1}})
    assert await used(layer, 2) == ["us", "us"]


async def test_the_pool_comes_from_the_settings():
    layer = Proxies.from_settings(Settings(proxies={"pool": ["http://a.example:1", "http://b.example:2"]}))
    assert await used(layer, 2) == ["proxy1", "proxy2"]
