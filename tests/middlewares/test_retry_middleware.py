import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from scraper.errors import ConnectionLost, PoolTimeout, RetryLater, TLSFailed
from scraper.middlewares.retry import LONGEST_RETRY_AFTER, Retry, retry_after
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings
from tests.middlewares.fakes import NotedClock, Time, Web, answer

PAGE = "http://site.example/page"
LANE = "site.example:80"


def a_retry(now: Time | None = None, **options) -> Retry:
    options = {"attempts": 3, "statuses": {429, 503}, "wait": 1, "max_wait": 60, "jitter": 0, **options}
    retry = Retry(**options, now=now or Time())
    retry.clock = NotedClock()
    return retry


async def refused(retry: Retry, result, attempt: int = 1) -> RetryLater:
    with pytest.raises(RetryLater) as raised:
        await retry(Request(PAGE).replace(attempt=attempt), Web({PAGE: result}))
    return raised.value


# ── which failures ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_good_response_passes():
    response = await a_retry()(Request(PAGE), Web())
    assert response.status == 200


async def test_a_retryable_error_asks_for_another_attempt_and_says_why():
    error = ConnectionLost()
    later = await refused(a_retry(), error)
    assert (later.reason, later.counted, later.__cause__) == ("connection lost", True, error)


async def test_after_the_last_attempt_the_error_itself_is_raised():
    with pytest.raises(ConnectionLost):
        await a_retry(attempts=3)(Request(PAGE).replace(attempt=3), Web({PAGE: ConnectionLost()}))


async def test_an_error_that_another_attempt_can_not_help_is_raised_at_once():
    with pytest.raises(TLSFailed):
        await a_retry()(Request(PAGE), Web({PAGE: TLSFailed()}))


async def test_a_status_of_the_list_asks_for_another_attempt():
    later = await refused(a_retry(), answer(503))
    assert (later.reason, later.counted) == ("status 503", True)


async def test_a_status_outside_the_list_is_handed_back():
    assert (await a_retry()(Request(PAGE), Web({PAGE: answer(404)}))).status == 404


async def test_a_status_that_the_request_calls_ok_is_handed_back():
    assert (await a_retry()(Request(PAGE, ok={503}), Web({PAGE: answer(503)}))).status == 503


async def test_after_the_last_attempt_the_response_is_handed_back():
    response = await a_retry(attempts=2)(Request(PAGE).replace(attempt=2), Web({PAGE: answer(503)}))
    assert response.status == 503


async def test_no_free_slot_never_uses_up_an_attempt():
    later = await refused(a_retry(attempts=1), PoolTimeout(), attempt=7)
    assert (later.delay, later.reason, later.counted) == (1.0, "pool timeout", False)


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("attempt", "delay"), [(1, 2), (2, 4), (3, 8), (6, 20), (9, 20)])
async def test_waits_double_up_to_the_longest(attempt, delay):
    retry = a_retry(attempts=10, wait=2, max_wait=20)
    assert (await refused(retry, answer(503), attempt)).delay == delay


async def test_jitter_spreads_the_waits_but_never_beyond_the_longest():
    retry = a_retry(attempts=99, wait=1, max_wait=3, jitter=5)
    delays = {(await refused(retry, answer(503), attempt=2)).delay for _ in range(50)}
    assert len(delays) > 1
    assert 2 <= min(delays) <= max(delays) <= 3


def test_a_callback_may_name_its_own_delay():
    later = a_retry().after(Request(PAGE), "captcha", delay=90)
    assert later is not None
    assert (later.delay, later.reason) == (90, "captcha")


def test_a_callback_has_no_more_attempts_than_the_page():
    assert a_retry(attempts=3).after(Request(PAGE).replace(attempt=3), "captcha", delay=90) is None


# ── Retry-After ──────────────────────────────────────────────────────────────────────────────────────────


async def test_retry_after_in_seconds_parks_the_host_and_sets_the_delay():
    retry = a_retry(Time(1000.0))
    later = await refused(retry, answer(429, {"Retry-After": "120"}))
    assert (later.delay, retry.clock.parked) == (120, {LANE: 1120.0})


@pytest.mark.parametrize(
    "date", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
async def test_retry_after_may_be_a_date_in_each_of_the_three_forms(date):
    retry = a_retry(Time(784111777.0 - 30))
    later = await refused(retry, answer(503, {"Retry-After": date}))
    assert (later.delay, retry.clock.parked) == (30, {LANE: 784111777.0})


async def test_the_delay_is_never_shorter_than_the_usual_wait():
    later = await refused(a_retry(wait=8), answer(503, {"Retry-After": "1"}))
    assert later.delay == 8


async def test_the_last_attempt_parks_the_host_too():
    retry = a_retry(Time(1000.0), attempts=1)
    await retry(Request(PAGE), Web({PAGE: answer(503, {"Retry-After": "5"})}))
    assert retry.clock.parked == {LANE: 1005.0}


async def test_a_status_called_ok_parks_the_host_too():
    retry = a_retry(Time(1000.0))
    await retry(Request(PAGE, ok={429}), Web({PAGE: answer(429, {"Retry-After": "5"})}))
    assert retry.clock.parked == {LANE: 1005.0}


@pytest.mark.parametrize(
    "absurd",
    [
        "",
        "-5",
        "0",
        "soon",
        "nan",
        "inf",
        "1e9",
        "²",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
async def test_an_absurd_or_past_retry_after_is_ignored(absurd):
    retry = a_retry()
    later = await refused(retry, answer(503, {"Retry-After": absurd}))
    assert (later.delay, retry.clock.parked) == (1, {})


@settings(database=None, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789 ,:+-.SunNovGMT") | st.characters(), max_size=40))
def test_no_retry_after_breaks_the_layer(text):
    response = Response(PAGE, 503, CIMultiDict({"Retry-After": text}), b"", Request(PAGE))
    seconds = retry_after(response, 1_700_000_000.0)
    assert seconds is None or 0 < seconds <= LONGEST_RETRY_AFTER


async def test_a_retry_after_beyond_a_day_counts_as_a_day():
    retry = a_retry(Time(0.0))
    later = await refused(retry, answer(503, {"Retry-After": "99999999999"}))
    assert (later.delay, retry.clock.parked) == (LONGEST_RETRY_AFTER, {LANE: LONGEST_RETRY_AFTER})


async def test_a_retry_after_on_a_status_outside_the_list_is_ignored():
    retry = a_retry()
    await retry(Request(PAGE), Web({PAGE: answer(200, {"Retry-After": "5"})}))
    assert retry.clock.parked == {}


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────


def test_options_of_the_layer_go_before_the_retry_settings():
    of_the_project = Settings(retry={"attempts": 5})
    assert Retry.from_settings(of_the_project).after(Request(PAGE).replace(attempt=4), "x")
    assert not Retry.from_settings(of_the_project, attempts=2).after(Request(PAGE).replace(attempt=4), "x")


def test_options_of_the_layer_may_be_durations_in_words():
    later = Retry.from_settings(Settings(), wait="2m", max_wait="1h", jitter=0).after(Request(PAGE), "x")
    assert later is not None
    assert later.delay == 120
