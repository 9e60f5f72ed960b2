"""Schedules: when a job is due, and when the next of its series is."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from scraper.errors import ArgumentError
from tests.jobs.conftest import LEASE, spec

BERLIN = "Europe/Berlin"


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def berlin(unix):
    return f"{datetime.fromtimestamp(unix, ZoneInfo(BERLIN)):%Y-%m-%d %H:%M}"


def run_next(jobs, state="finished"):
    """Lets the job that is due run to its end."""
    job = jobs.claim("w1")
    return jobs.end(job.id, "w1", state, "")


def waiting(jobs):
    (job,) = jobs.list(states=["queued"])
    return job


# ── at ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_waits_for_its_time(jobs, clock):
    assert jobs.add(spec(at="2027-01-15T09:00:00+00:00")).due == utc("2027-01-15T09:00")
    clock.now = utc("2027-01-15T08:59:59")
    assert jobs.claim("w1") is None
    clock.now = utc("2027-01-15T09:00:00")
    assert jobs.claim("w1").id == "1"


def test_a_time_without_an_offset_is_in_the_jobs_time_zone(jobs):
    assert jobs.add(spec(at="2027-01-15 09:00")).due == utc("2027-01-15T09:00")
    assert jobs.add(spec(at="2027-01-15 09:00", timezone=BERLIN)).due == utc("2027-01-15T08:00")
    assert jobs.add(spec(at="2027-07-15 09:00", timezone=BERLIN)).due == utc("2027-07-15T07:00")
    assert jobs.add(spec(at="2027-01-15 09:00+05:00", timezone=BERLIN)).due == utc("2027-01-15T04:00")


def test_a_time_that_has_passed_is_now(jobs):
    jobs.add(spec(at="2020-01-01T00:00:00"))
    assert jobs.claim("w1").id == "1"


@pytest.mark.parametrize("year", ["0001", "1970", "9999"])
def test_a_time_beyond_the_calendar_is_told_so(jobs, year):
    with pytest.raises(ArgumentError, match="in the years 1971 to 9998"):
        jobs.add(spec(at=f"{year}-01-01T00:00:00"))
    assert jobs.list() == []


def test_a_job_with_a_time_runs_once(jobs, clock):
    jobs.add(spec(at="2027-01-15T07:00:00"))
    run_next(jobs)
    assert jobs.list(states=["queued"]) == []


# ── every ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_repeating_job_runs_now_and_then_by_its_beat(jobs, clock):
    start = clock.now
    first = jobs.add(spec(every="10m"))
    assert (first.due, first.series) == (start, "1")
    clock.forward(130)
    run_next(jobs)
    second = waiting(jobs)
    assert (second.id, second.series, second.due, second.spec) == ("2", "1", start + 600, first.spec)
    assert jobs.claim("w1") is None


@pytest.mark.parametrize("state", ["finished", "failed", "cancelled"])
def test_a_series_goes_on_however_one_of_its_jobs_ends(jobs, state):
    jobs.add(spec(every="10m"))
    run_next(jobs, state)
    assert waiting(jobs).series == "1"


def test_a_series_goes_on_when_a_job_has_died_too_often(jobs):
    jobs.add(spec(every="10m", resumes=0))
    jobs.claim("w1")
    jobs.give_back("1", "w1", died="killed")
    assert waiting(jobs).id == "2"


def test_a_tick_that_was_missed_runs_once(jobs, clock):
    start = clock.now
    jobs.add(spec(every="10m"))
    run_next(jobs)
    clock.forward(3_601)  # six ticks, while no worker ran
    assert run_next(jobs).due == start + 600
    assert jobs.claim("w1") is None
    assert waiting(jobs).due == start + 4_200


def test_a_job_that_takes_longer_than_its_beat_never_overlaps_itself(jobs, clock):
    start = clock.now
    jobs.add(spec(every="10m"))
    jobs.claim("w1")
    for _ in range(100):
        clock.forward(20)
        jobs.renew("w1")
        assert jobs.claim("w2") is None
    jobs.end("1", "w1", "finished", "")
    assert waiting(jobs).due == start + 2_400


def test_a_job_that_was_put_off_leaves_the_beat_as_it_was(jobs, clock):
    start = clock.now
    jobs.add(spec(every="10m"))
    jobs.claim("w1")
    jobs.give_back("1", "w1", due=start + 77)
    clock.forward(90)
    run_next(jobs)
    assert waiting(jobs).due == start + 600


@pytest.mark.parametrize("every", [float("inf"), 1e300, 0.5])
def test_a_beat_that_nobody_lives_to_see_is_refused(every):
    with pytest.raises(ValidationError, match="every is 1 second to 100 years"):
        spec(every=every)


# ── cron ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cron_job_is_due_at_its_first_tick(jobs):
    assert jobs.add(spec(cron="0 3 * * *")).due == utc("2027-01-16T03:00")
    assert jobs.add(spec(cron="0 3 * * *", timezone=BERLIN)).due == utc("2027-01-16T02:00")


@pytest.mark.parametrize(
    ("begin", "ticks"),
    [
        ("2027-03-26T12:00", ["2027-03-27 03:30", "2027-03-28 03:30", "2027-03-29 03:30"]),
        ("2027-10-29T12:00", ["2027-10-30 03:30", "2027-10-31 03:30", "2027-11-01 03:30"]),
    ],
)
def test_cron_keeps_the_wall_time_across_a_change_of_the_clocks(jobs, clock, begin, ticks):
    clock.now = utc(begin)
    jobs.add(spec(cron="30 3 * * *", timezone=BERLIN))
    seen = []
    for _ in ticks:
        clock.now = waiting(jobs).due
        seen.append(berlin(run_next(jobs).due))
    assert seen == ticks


@pytest.mark.parametrize("begin", ["2027-03-27T12:00", "2027-10-30T12:00"])
def test_an_hour_that_is_missing_or_comes_twice_has_one_job(jobs, clock, begin):
    clock.now = utc(begin)
    jobs.add(
        spec(cron="30 2 * * *", timezone=BERLIN)
    )  # there is no 02:30 in March, and there are two in October
    days = []
    for _ in range(3):
        clock.now = waiting(jobs).due
        days.append(berlin(run_next(jobs).due)[:10])
    assert len(set(days)) == 3


def test_cron_ticks_that_were_missed_run_once(jobs, clock):
    jobs.add(spec(cron="0 * * * *"))
    clock.now = utc("2027-01-15T15:20")
    run_next(jobs)
    assert waiting(jobs).due == utc("2027-01-15T16:00")


# ── ending a series ──────────────────────────────────────────────────────────────────────────────────────


def test_to_cancel_the_job_that_waits_ends_the_series(jobs, clock):
    jobs.add(spec(every="10m"))
    run_next(jobs)
    jobs.cancel("2")
    clock.forward(10_000)
    assert jobs.claim("w1") is None
    assert jobs.list(states=["queued"]) == []


def test_a_running_job_of_a_series_that_is_cancelled_is_followed_by_the_next(jobs):
    jobs.add(spec(every="10m"))
    jobs.claim("w1")
    jobs.cancel("1")
    jobs.end("1", "w1", "cancelled", "cancelled")
    assert waiting(jobs).id == "2"


def test_a_series_goes_on_when_its_last_job_is_tried_again(jobs, clock):
    start = clock.now
    jobs.add(spec(every="10m"))
    jobs.cancel("1")
    clock.forward(700)
    jobs.retry("1")
    run_next(jobs)
    assert waiting(jobs).due == start + 1_200


def test_an_earlier_job_of_a_series_that_is_tried_again_starts_no_second_series(jobs, clock):
    jobs.add(spec(every="10m"))
    run_next(jobs, "failed")
    jobs.retry("1")
    run_next(jobs)
    assert [job.id for job in jobs.list()] == ["2", "1"]


def test_two_jobs_of_one_series_never_run_at_once(jobs, clock):
    jobs.add(spec(every="10m"))
    run_next(jobs, "failed")
    clock.forward(601)
    jobs.retry("1")
    assert jobs.claim("w1").id == "2"
    assert jobs.claim("w2") is None
    jobs.end("2", "w1", "finished", "")
    assert jobs.claim("w2").id == "1"


def test_the_job_of_a_dead_worker_keeps_its_series_waiting(jobs, clock):
    jobs.add(spec(every="10m"))
    run_next(jobs, "failed")
    jobs.retry("1")
    jobs.claim("w1")
    clock.forward(600 + LEASE)
    assert jobs.claim("w2").id == "1"
    assert jobs.claim("w2") is None
