"""The store of jobs: what whoever asks for crawls, and whoever makes them, can rely on."""

import pytest

from scraper.errors import JobError, NoSuchJob
from scraper.jobs.store import SqliteJobs
from tests.jobs.conftest import LEASE, spec

MINUTE = 60.0


def claimed(jobs, worker="w1"):
    job = jobs.claim(worker)
    return job.id if job else None


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_is_queued_as_it_was_told_and_due_now(jobs, clock):
    told = spec(
        arguments={"max_price": "20"}, settings=["concurrency=5"], feeds=["Book:b.csv"], max_memory="1GB"
    )
    job = jobs.add(told)
    assert (job.id, job.state, job.due, job.created, job.series) == ("1", "queued", clock.now, clock.now, "")
    assert job.spec == told
    assert jobs.get("1") == job


@pytest.mark.parametrize("told", ["2", "0", "-1", "01", "one", "", "1.0", "9" * 40, "../1", "١"])
def test_an_id_that_is_none_is_told_so(jobs, told):
    jobs.add(spec())
    for ask in (jobs.get, jobs.cancel, jobs.retry):
        with pytest.raises(NoSuchJob, match="There is no job"):
            ask(told)


def test_an_id_never_comes_again_though_its_job_is_forgotten(jobs):
    jobs.add(spec())
    jobs.cancel("1")
    assert jobs.forget("books", keep=0) == ["1"]
    assert jobs.add(spec()).id == "2"


def test_the_list_shows_the_newest_first_page_by_page(jobs):
    for n in range(5):
        jobs.add(spec("books" if n % 2 else "quotes"))
    first = jobs.list(limit=2)
    second = jobs.list(limit=2, before=first[-1].id)
    assert [job.id for job in (*first, *second)] == ["5", "4", "3", "2"]
    assert [job.id for job in jobs.list(limit=2, before="1")] == []
    assert [job.id for job in jobs.list(limit=-1)] == ["5", "4", "3", "2", "1"]


def test_the_list_can_be_of_a_spider_and_of_states(jobs):
    for n in range(4):
        jobs.add(spec("books" if n % 2 else "quotes"))
    jobs.cancel("4")
    jobs.claim("w1")
    assert [job.id for job in jobs.list(spider="books")] == ["4", "2"]
    assert [job.id for job in jobs.list(states=["running", "cancelled"])] == ["4", "1"]
    assert [job.id for job in jobs.list(states=["queued"], spider="quotes")] == ["3"]
    assert jobs.list(spider="books' OR 1=1 --") == []


def test_counts_name_every_state(jobs):
    assert jobs.counts() == {"queued": 0, "running": 0, "finished": 0, "failed": 0, "cancelled": 0}
    for _ in range(5):
        jobs.add(spec())
    for state in ("finished", "failed", "cancelled"):
        jobs.end(claimed(jobs), "w1", state, "")
    jobs.claim("w1")
    assert jobs.counts() == {"queued": 1, "running": 1, "finished": 1, "failed": 1, "cancelled": 1}


# ── taking ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_claimed_job_runs_at_its_worker_and_is_nobody_elses(jobs, clock):
    jobs.add(spec())
    job = jobs.claim("w1")
    assert (job.state, job.worker, job.started) == ("running", "w1", clock.now)
    assert jobs.claim("w2") is None
    assert jobs.claim("w1") is None


def test_higher_priorities_are_taken_first_then_what_is_due_longer_then_the_older(jobs, clock):
    later = "2027-01-15T07:59:00"
    for told in ({}, {"priority": -1}, {"priority": 7}, {"at": later}, {}):
        jobs.add(spec(**told))
    assert [claimed(jobs) for _ in range(5)] == ["3", "4", "1", "5", "2"]


def test_a_job_points_to_its_run_and_keeps_it_when_it_is_given_back(jobs):
    jobs.add(spec())
    jobs.claim("w1")
    jobs.begun("1", "w1", "books-1")
    back = jobs.give_back("1", "w1")
    assert (back.state, back.run, back.worker, back.deaths) == ("queued", "books-1", "", 0)
    assert jobs.claim("w2").run == "books-1"


def test_a_job_given_back_until_later_is_taken_then(jobs, clock):
    jobs.add(spec())
    jobs.claim("w1")
    jobs.give_back("1", "w1", due=clock.now + MINUTE)
    assert jobs.claim("w1") is None
    clock.forward(MINUTE)
    assert claimed(jobs) == "1"


@pytest.mark.parametrize("state", ["finished", "failed", "cancelled"])
def test_an_ended_job_says_how_and_when(jobs, clock, state):
    jobs.add(spec())
    jobs.claim("w1")
    clock.forward(5)
    ended = jobs.end("1", "w1", state, "why")
    assert (ended.state, ended.reason, ended.ended) == (state, "why", clock.now)
    assert jobs.claim("w1") is None


def test_a_job_does_not_end_as_queued(jobs):
    jobs.add(spec())
    jobs.claim("w1")
    with pytest.raises(JobError, match="does not end as 'queued'"):
        jobs.end("1", "w1", "queued", "")
    assert jobs.get("1").state == "running"


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_whose_worker_is_silent_is_the_next_workers_before_all_others(jobs, clock):
    jobs.add(spec())
    jobs.add(spec(priority=9))
    jobs.cancel("2")
    jobs.claim("w1")
    jobs.begun("1", "w1", "books-1")
    jobs.add(spec(priority=9))
    clock.forward(LEASE - 1)
    assert claimed(jobs, "w2") == "3"
    clock.forward(1)
    taken = jobs.claim("w2")
    assert (taken.id, taken.worker, taken.run, taken.deaths) == ("1", "w2", "books-1", 0)


def test_whoever_renews_in_time_keeps_its_jobs(jobs, clock):
    for _ in range(3):
        jobs.add(spec())
    jobs.claim("w1")
    jobs.claim("w1")
    jobs.claim("w3")
    clock.forward(LEASE - 1)
    assert [job.id for job in jobs.renew("w1")] == ["1", "2"]
    clock.forward(LEASE - 1)
    assert [claimed(jobs, "w2"), claimed(jobs, "w2")] == ["3", None]


def test_a_worker_that_was_late_keeps_what_nobody_has_taken(jobs, clock):
    for _ in range(2):
        jobs.add(spec())
        jobs.claim("w1")
    clock.forward(LEASE + 1)
    assert claimed(jobs, "w2") == "1"
    assert [job.id for job in jobs.renew("w1")] == ["2"]
    assert jobs.claim("w2") is None


def test_a_worker_does_not_take_its_own_job_a_second_time(jobs, clock):
    jobs.add(spec())
    jobs.claim("w1")
    clock.forward(LEASE + 1)
    assert jobs.claim("w1") is None


def test_a_worker_that_has_lost_a_job_can_do_nothing_to_it(jobs, clock):
    jobs.add(spec())
    jobs.claim("w1")
    clock.forward(LEASE)
    jobs.claim("w2")
    before = jobs.get("1")
    for late in (
        lambda: jobs.begun("1", "w1", "books-1"),
        lambda: jobs.end("1", "w1", "finished", ""),
        lambda: jobs.give_back("1", "w1", died="killed"),
    ):
        with pytest.raises(JobError, match="Job 1 is no longer worker w1's: worker w2 has it"):
            late()
    assert jobs.get("1") == before
    jobs.end("1", "w2", "finished", "")
    with pytest.raises(JobError, match="it is finished"):
        jobs.end("1", "w2", "finished", "")


# ── deaths ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_whose_process_dies_is_resumed_so_often_and_then_has_failed(jobs):
    jobs.add(spec(resumes=2))
    for deaths in (1, 2):
        jobs.claim("w1")
        back = jobs.give_back("1", "w1", died="killed by signal 9")
        assert (back.state, back.deaths, back.reason) == ("queued", deaths, "killed by signal 9")
    jobs.claim("w1")
    failed = jobs.give_back("1", "w1", died="exit code 70")
    assert (failed.state, failed.deaths) == ("failed", 3)
    assert failed.reason == "its process died 3 times, the last time: exit code 70"
    assert jobs.claim("w1") is None


def test_with_no_resumes_the_first_death_is_the_end(jobs):
    jobs.add(spec(resumes=0))
    jobs.claim("w1")
    assert jobs.give_back("1", "w1", died="killed").reason == "its process died once, the last time: killed"


def test_the_death_of_a_worker_is_not_the_jobs(jobs, clock):
    jobs.add(spec(resumes=0))
    for worker in ("w1", "w2", "w3"):
        assert jobs.claim(worker).deaths == 0
        clock.forward(LEASE)
    assert jobs.get("1").state == "running"


# ── changing one's mind ──────────────────────────────────────────────────────────────────────────────────


def test_a_queued_job_is_cancelled_at_once(jobs, clock):
    jobs.add(spec())
    job = jobs.cancel("1")
    assert (job.state, job.ended) == ("cancelled", clock.now)
    assert jobs.claim("w1") is None


def test_a_running_job_is_asked_to_stop_and_its_worker_sees_it(jobs):
    jobs.add(spec())
    jobs.claim("w1")
    assert jobs.cancel("1").state == "running"
    assert jobs.cancel("1").cancelling
    assert [job.cancelling for job in jobs.renew("w1")] == [True]
    ended = jobs.end("1", "w1", "cancelled", "cancelled")
    assert (ended.state, ended.cancelling) == ("cancelled", False)


def test_a_job_that_is_given_back_while_it_is_cancelled_does_not_run_again(jobs):
    jobs.add(spec())
    jobs.claim("w1")
    jobs.cancel("1")
    assert jobs.give_back("1", "w1", died="killed").state == "cancelled"
    assert jobs.claim("w1") is None


def test_a_job_whose_worker_died_while_it_was_cancelled_does_not_run_again(jobs, clock):
    jobs.add(spec())
    jobs.add(spec())
    jobs.claim("w1")
    jobs.cancel("1")
    clock.forward(LEASE)
    assert claimed(jobs, "w2") == "2"
    assert jobs.get("1").state == "cancelled"


def test_a_running_job_of_a_dead_worker_is_cancelled_at_once(jobs, clock):
    jobs.add(spec())
    jobs.claim("w1")
    clock.forward(LEASE)
    assert jobs.cancel("1").state == "cancelled"


def test_what_has_ended_is_not_cancelled(jobs):
    jobs.add(spec())
    jobs.claim("w1")
    jobs.end("1", "w1", "finished", "")
    with pytest.raises(JobError, match="Job 1 is finished: there is nothing to cancel"):
        jobs.cancel("1")


def test_a_failed_job_is_tried_again_with_its_run_and_a_clean_record(jobs, clock):
    jobs.add(spec(resumes=0))
    jobs.claim("w1")
    jobs.begun("1", "w1", "books-1")
    jobs.give_back("1", "w1", died="killed")
    clock.forward(MINUTE)
    job = jobs.retry("1")
    assert (job.state, job.run, job.deaths, job.due) == ("queued", "books-1", 0, clock.now)
    assert (job.reason, job.started, job.ended) == ("", None, None)
    assert claimed(jobs) == "1"


def test_a_job_that_was_cancelled_before_its_time_still_waits_for_it_when_tried_again(jobs, clock):
    due = jobs.add(spec(at="2027-01-15T09:00:00")).due
    jobs.cancel("1")
    assert jobs.retry("1").due == due > clock.now


@pytest.mark.parametrize("state", ["queued", "running", "finished"])
def test_only_what_failed_or_was_cancelled_is_tried_again(jobs, state):
    jobs.add(spec())
    if state != "queued":
        jobs.claim("w1")
    if state == "finished":
        jobs.end("1", "w1", "finished", "")
    with pytest.raises(JobError, match=f"Job 1 is {state}: only one that failed or was cancelled"):
        jobs.retry("1")


# ── forgetting ───────────────────────────────────────────────────────────────────────────────────────────


def test_old_jobs_that_have_ended_are_forgotten_but_none_that_waits_or_runs(jobs):
    for spider in ("books", "books", "quotes", "books", "books"):
        jobs.add(spec(spider))
    for _ in range(4):
        jobs.end(claimed(jobs), "w1", "finished", "")
    jobs.retry(jobs.cancel(jobs.add(spec()).id).id)
    assert jobs.forget("books", keep=1) == ["1", "2"]
    assert jobs.forget("books", keep=1) == []
    assert [job.id for job in jobs.list()] == ["6", "5", "4", "3"]


# ── a second store on the same file ──────────────────────────────────────────────────────────────────────


def test_jobs_outlive_the_store_that_took_them(jobs, path, clock):
    job = jobs.add(spec(every="10m", feeds=["{job}.jsonl"]))
    jobs.close()
    again = SqliteJobs(path, now=clock)
    assert again.get(job.id) == job
    again.close()
