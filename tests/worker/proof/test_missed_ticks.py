"""A machine that was off, and a crawl that takes longer than its interval."""

import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from scraper.job_spec import JobSpec
from scraper.jobs.places import jobs_file
from scraper.jobs.store import SqliteJobs
from tests.worker.processes.workshop import until
from tests.worker.proof.gated import Hall

HOUR = 3600.0
OFF = 5 * HOUR  # how long the machine was off
HALF_AN_HOUR_AGO = f"{datetime.fromtimestamp(time.time() - HOUR / 2, UTC):%M} * * * *"


@pytest.mark.long
async def test_a_tick_that_was_missed_runs_once_after_the_start(firm):
    schedules = {"/ok/1": {"every": HOUR}, "/ok/2": {"cron": HALF_AN_HOUR_AGO}}
    asked = time.time() - OFF - HOUR / 4
    async with Hall() as site:
        with closing(SqliteJobs(jobs_file(firm.root), now=lambda: asked)) as earlier:
            firsts = [earlier.add(single(site, path, **schedule)) for path, schedule in schedules.items()]
        await firm.worker("--no-http", "--jobs", "4")
        for first in firsts:
            await firm.reaches(first.id, "finished")
        last = firm.store.add(single(site, "/ok/3", priority=-1)).id
        await firm.reaches(last, "finished")  # whatever else was due has been taken before it
        for first in firsts:
            [following, ended] = [job for job in firm.store.list() if job.series == first.id]
            assert (ended.id, ended.state, following.state) == (first.id, "finished", "queued")
            assert time.time() < following.due <= time.time() + HOUR
            assert (following.due - first.due) / HOUR == pytest.approx(
                round((following.due - first.due) / HOUR)
            )
        assert [site.times[path] for path in schedules] == [1, 1]


@pytest.mark.long
async def test_a_schedule_never_overlaps_itself(firm):
    async with Hall() as site:
        job = firm.store.add(single(site, "/ok/held", every=1)).id
        await firm.worker("--no-http", "--jobs", "4")
        await until(lambda: site.times["/ok/held"], "the site is asked")
        behind = firm.job(job).due + 3
        await until(lambda: time.time() > behind, "three ticks are over")
        assert [one.state for one in firm.store.list()] == ["running"]
        assert site.times["/ok/held"] == 1
        site.gate.allow(0)
        await until(lambda: site.times["/ok/held"] == 2, "the series goes on")
        [second, first] = firm.store.list()
        assert (second.due - first.due) == pytest.approx(round(second.due - first.due), abs=1e-3)
        assert second.due > behind
        assert site.most == 1


def single(site: Hall, path: str, **more: Any) -> JobSpec:
    return JobSpec(spider="single", feeds=["{job}.jsonl"], arguments={"url": site.url + path}, **more)
