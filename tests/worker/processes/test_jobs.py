"""What becomes of a job, whatever its spider does."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing

import pytest

from scraper.errors import StorageError
from scraper.jobs.places import jobs_file
from scraper.jobs.store import SqliteJobs
from scraper.worker import children
from tests.cli.conftest import environment
from tests.worker.processes.workshop import LEASE, Workshop, alive, until


def started(log) -> list[int]:
    """The processes of crawls, in the order of their starts."""
    return [one["pid"] for one in log if one["event"] == "process started"]


def taken(log) -> list[str]:
    return [one["job"] for one in log if one["event"] == "job taken"]


async def asked(shelf, path: str) -> None:
    await asyncio.to_thread(shelf.wait_for, path)


async def end_of(shop: Workshop, spider: str, state: str, **told) -> str:
    """The reason for which such a job ends."""
    async with shop.worker():
        job = await shop.reaches(shop.add(spider, **told), state)
    return job.reason


# ── to its end ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_job_brings_what_a_quiet_crawl_brings(shop):
    command = [
        sys.executable,
        "-m",
        "scraper",
        "crawl",
        "shelf",
        "-a",
        f"url={shop.url}",
        "-o",
        "quiet.jsonl",
    ]
    await asyncio.to_thread(subprocess.run, command, cwd=shop.root, env=environment(), check=True)
    async with shop.worker():
        job = await shop.reaches(shop.add(), "finished")
    assert shop.items(job.id) == shop.items("quiet") == shop.all_of_it
    assert (job.run, shop.run_of(job.id).info.state) == (f"shelf-job{job.id}", "finished")


@pytest.mark.long
async def test_jobs_run_by_priority(shop, log):
    low, high, middle = shop.add("one", priority=-1), shop.add("one", priority=5), shop.add("one")
    async with shop.worker(jobs=1):
        await shop.reaches(low, "finished")
    assert taken(log) == [high, middle, low]


async def test_two_workers_never_share_a_job(shop, log):
    jobs = [shop.add() for _ in range(4)]
    async with shop.worker(jobs=1), shop.worker(jobs=1):
        for job in jobs:
            await shop.reaches(job, "finished")
    assert sorted(taken(log)) == jobs
    assert len({one.worker for one in shop.store.list()}) == 2
    assert all(shop.items(job) == shop.all_of_it for job in jobs)


async def test_max_time_finishes_a_job(shop):
    assert await end_of(shop, "endless", "finished", max_time=0.3) == "max_time"


@pytest.mark.long
async def test_max_pages_counts_the_pages_of_all_lives(shop, shelf, log):
    shelf.hold("/3")
    job = shop.add("endless", max_pages=6)
    async with shop.worker(jobs=1):
        await asked(shelf, "/3")
        os.kill(started(log)[0], signal.SIGKILL)
        shelf.release.set()
        await shop.reaches(job, "finished")
    assert shop.items(job) == Counter(f'{{"number":{n}}}' for n in range(6))


@pytest.mark.long
async def test_a_job_with_later_work_waits_in_the_queue(shop):
    job = shop.add("patient")
    async with shop.worker():
        await until(lambda: shop.job(job).due > time.time() + 3000)
    left = shop.job(job)
    assert (left.state, left.deaths) == ("queued", 0)


# ── by its own doing ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
async def test_a_job_that_goes_wrong_has_failed_with_its_reason(shop):
    reasons = {
        "crashing": "start() raised",
        "broken": "1 of 1 pages failed",
        "shelff": "No spider named 'shelff'. Did you mean 'shelf'?",
    }
    jobs = {spider: shop.add(spider) for spider in reasons}
    async with shop.worker():
        for spider, reason in reasons.items():
            assert (await shop.reaches(jobs[spider], "failed")).reason.startswith(reason)


async def test_a_job_that_holds_too_much_memory_has_failed_and_can_go_on(shop):
    assert await end_of(shop, "hungry", "failed", max_memory=250_000_000) == "max_memory"
    assert shop.run_of("1").info.resumable


@pytest.mark.long
async def test_a_job_whose_process_dies_again_and_again_has_failed(shop, log):
    reason = await end_of(shop, "vanishing", "failed", resumes=1)
    assert "its process ended with exit code 3 before the crawl did" in reason
    assert (len(started(log)), shop.job("1").deaths) == (2, 2)


@pytest.mark.long
async def test_what_a_spider_has_started_ends_with_it(shop):
    async with shop.worker():
        job = await shop.reaches(shop.add("starter"), "finished")
    [item] = shop.items(job.id)
    pid = int(item.strip("}").rpartition(":")[2])
    await until(lambda: not alive(pid))


# ── by somebody else's ───────────────────────────────────────────────────────────────────────────────────


async def test_a_job_whose_process_is_killed_is_resumed(shop, shelf, log):
    shelf.hold("/7")
    job = shop.add()
    async with shop.worker():
        await asked(shelf, "/7")
        os.kill(started(log)[0], signal.SIGKILL)
        shelf.release.set()
        ended = await shop.reaches(job, "finished")
    assert shop.items(job) == shop.all_of_it
    assert (ended.deaths, len(started(log))) == (1, 2)


async def test_a_cancelled_job_stops_and_keeps_what_it_has(shop, shelf):
    shelf.hold("/7")
    job = shop.add()
    async with shop.worker(grace=0):
        await asked(shelf, "/7")
        shop.store.cancel(job)
        shop.office.wake()
        ended = await shop.reaches(job, "cancelled")
    assert ended.run
    assert shop.run_of(job).info.state == "interrupted"


@pytest.mark.long
async def test_a_spider_that_blocks_is_killed_when_its_job_is_cancelled(shop, log, monkeypatch):
    monkeypatch.setattr(children, "SPARE", 0.1)
    job = shop.add("blocking")
    async with shop.worker(grace=0):
        await until(lambda: "blocks" in shop.out.getvalue())
        shop.store.cancel(job)
        await shop.reaches(job, "cancelled")
    assert not alive(started(log)[0])


@pytest.mark.long
async def test_a_spider_that_blocks_is_killed_after_max_time(shop, monkeypatch):
    monkeypatch.setattr(children, "SPARE", 0.1)
    async with shop.worker(grace=0):
        job = await shop.reaches(shop.add("blocking", max_time=0.1, resumes=0), "failed")
    assert "its process went on after max_time" in job.reason


@pytest.mark.long
async def test_a_worker_that_stops_gives_its_jobs_back(shop, shelf):
    shelf.hold("/7")
    job = shop.add()
    async with shop.worker(grace=0) as supervisor:
        await asked(shelf, "/7")
        supervisor.stop()
        left = await shop.reaches(job, "queued")
    assert (left.deaths, shop.run_of(job).info.state) == (0, "interrupted")
    shelf.release.set()
    async with shop.worker():
        await shop.reaches(job, "finished")
    assert shop.items(job) == shop.all_of_it


@pytest.mark.long
async def test_a_worker_that_lost_a_job_leaves_it_alone(shop, shelf, log):
    shelf.hold("/7")
    job = shop.add()
    async with shop.worker() as first:
        await asked(shelf, "/7")
        other = SqliteJobs(jobs_file(shop.root), lease=600, now=lambda: time.time() + LEASE * 2)
        assert other.claim("another") is not None
        await until(lambda: not alive(started(log)[0]))
        await until(lambda: not first._children)
        left = shop.job(job)
        other.close()
    assert (left.state, left.worker, left.deaths) == ("running", "another", 0)


@pytest.mark.long
async def test_a_job_waits_for_a_process_that_still_writes_its_run(shop, shelf, log):
    shelf.hold("/7")
    job = shop.add()
    async with shop.worker(grace=0):
        await asked(shelf, "/7")
    shelf.release.set()
    async with shop.worker():
        with shop.run_of(job).locked():
            await until(lambda: "another process still works on the run" in shop.out.getvalue())
            shop.out.truncate(0)
        ended = await shop.reaches(job, "finished")
    assert shop.items(job) == shop.all_of_it
    assert (ended.deaths, len(started(log))) == (0, 2)


@pytest.mark.long
async def test_a_run_that_an_older_store_knew_is_not_gone_on_with(shop):
    async with shop.worker():
        await shop.reaches(shop.add(), "finished")
    shop.store.close()
    for file in shop.root.glob(".scrape/jobs.sqlite*"):
        file.unlink()
    shop.store = SqliteJobs(jobs_file(shop.root), lease=LEASE)
    async with shop.worker():
        job = await shop.reaches(shop.add(), "finished")
    assert job.run == "shelf-job1-2"


@pytest.mark.long
async def test_an_end_that_was_not_written_down_is_found_in_the_run(shop):
    """The worker died between the last word of the crawl and the store."""
    ends = {shop.add("one"): ("finished", ""), shop.add("crashing"): ("failed", "start() raised")}
    async with shop.worker():
        for job, (state, _) in ends.items():
            await shop.reaches(job, state)
    before = [shop.run_of(job).info for job in ends]
    with closing(sqlite3.connect(jobs_file(shop.root), isolation_level=None)) as base:
        base.execute("UPDATE jobs SET state = 'queued', run = '', reason = '', ended = NULL")
    async with shop.worker():
        for job, (state, reason) in ends.items():
            assert (await shop.reaches(job, state)).reason == reason
    assert [shop.run_of(job).info for job in ends] == before
    assert all(sum(shop.items(job).values()) == 1 for job in ends)


@pytest.mark.long
async def test_a_job_resumes_with_its_secrets_and_its_settings(shop, shelf, log):
    """A run stores neither; what it stores it keeps."""
    shelf.hold("/1")
    told = {
        "arguments": {"password": "letmeinnow"},
        "settings": ["max_depth=3", "per_host=1", "proxies.rest=1"],
    }
    job = shop.add("member", **told)
    async with shop.worker():
        await asked(shelf, "/1")
        os.kill(started(log)[0], signal.SIGKILL)
        shelf.release.set()
        await shop.reaches(job, "finished")
    assert shop.items(job) == {'{"knows":true}': 2}
    assert shop.run_of(job).info.settings["max_depth"] == 3
    assert "letmeinnow" not in (shop.run_of(job).folder / "run.json").read_text("utf-8")


@pytest.mark.long
async def test_a_run_that_can_not_go_on_fails_its_job_with_the_reason(shop, shelf, log):
    shelf.hold("/7")
    job = shop.add(settings=["frontier=memory"])
    async with shop.worker():
        await asked(shelf, "/7")
        os.kill(started(log)[0], signal.SIGKILL)
        ended = await shop.reaches(job, "failed")
    assert ended.reason.startswith(f"Run shelf-job{job} kept its queue in memory")


@pytest.mark.long
async def test_a_job_goes_on_where_the_store_was_away(shop, shelf, log, monkeypatch):
    """Longer than the lease: the process must end, as the job may be another's; then the worker takes it again."""
    shelf.hold("/7")
    job = shop.add()
    async with shop.worker():
        await asked(shelf, "/7")
        with monkeypatch.context() as away:
            for method in ("claim", "renew", "list", "begun", "end", "give_back"):
                away.setattr(shop.office.store, method, _full)
            await until(lambda: not shop.office.ready)
            await until(lambda: not alive(started(log)[0]))
        shelf.release.set()
        await shop.reaches(job, "finished")
        assert shop.office.ready
    assert shop.items(job) == shop.all_of_it


def _full(*_: object, **__: object) -> None:
    raise StorageError("The disk is full.")


# ── what it says ─────────────────────────────────────────────────────────────────────────────────────────


async def test_whatever_a_spider_says_is_a_line_of_its_log_without_its_secrets(shop):
    job = shop.add("talker", arguments={"password": "letmeinnow"}, settings=["log_level=debug"])
    async with shop.worker():
        await shop.reaches(job, "finished")
    lines = shop.lines(job)
    assert {(one["job"], one["run"], one["spider"]) for one in lines} == {(job, f"talker-job{job}", "talker")}
    said = [one["text"] for one in lines if one["event"] in ("printed", "said")]
    assert Counter(said) == Counter(
        [
            "a sentence, and its end",
            '{"word": "Ended", "state": "crashed"}',
            "no end of a linewith *** and http://anna:***@x.test/",
            "said by C, at http://anna:***@x.test/",
            "said by another program",
            "standard error",
        ]
    )
    assert "***" in [one["password"] for one in lines if one["event"] == "logged in"]
    kept = shop.root / ".scrape" / "jobs" / f"{job}.log"
    assert shop.out.getvalue() == kept.read_text("utf-8")
    assert "letmein" not in shop.out.getvalue()


@pytest.mark.long
async def test_the_board_shows_a_crawl_while_it_runs_and_sums_it_up(shop, shelf):
    shelf.hold("/7")
    job = shop.add()
    async with shop.worker():
        await asked(shelf, "/7")
        shown = await until(lambda: shop.office.board.running.get(job))
        shelf.release.set()
        await shop.reaches(job, "finished")
        totals = shop.office.board.totals()["shelf"]
    assert (shown.job, shown.run, shown.spider) == (job, f"shelf-job{job}", "shelf")
    assert shown.memory > 10_000_000
    assert (totals.counters["done"], totals.counters["items"], sum(totals.latency)) == (21, 21, 21)
