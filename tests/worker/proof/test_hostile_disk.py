"""The jobs' database fills up, is damaged, is deleted, or finds itself in another hour, under a worker that runs."""

import asyncio
import resource
import shutil
import signal
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime

import pytest

from scraper.jobs.places import jobs_file
from tests.worker.processes.workshop import LEASE, alive, until
from tests.worker.proof.gated import Hall

pytestmark = pytest.mark.long

HOUR = 3600
NEVER = datetime(2999, 1, 1, tzinfo=UTC)


async def status(firm, path: str) -> int:
    return (await firm.ask("GET", path))[0]


def no_file_larger_than(size: int, pid: int) -> None:
    """A write beyond it fails, as on a disk that is full."""
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))


async def test_a_full_disk_under_the_store_stops_no_worker_and_loses_no_job(firm):
    async with Hall() as site:
        worker = await firm.worker("--grace", "0s")
        for _ in range(50):
            firm.add("single", at=NEVER)  # the store's log has more than worker.log
        job = firm.add("single", arguments={"url": f"{site.url}/ok/held"})
        await until(lambda: site.gate.waiting, "the job runs")
        no_file_larger_than(100_000, worker.pid)
        await firm.answers("/readyz", 503)
        assert await status(firm, "/healthz") == 200
        code, body = await firm.ask(
            "POST", "/api/jobs", json={"spider": "single", "arguments": {"url": site.url}}
        )
        assert (code, "can't be used" in body) == (503, True)
        no_file_larger_than(resource.RLIM_INFINITY, worker.pid)
        await firm.answers("/readyz")
        site.gate.open()
        ended = await firm.reaches(job, "finished")
        assert firm.lines(job) == {'{"title":"Page held"}': 1}
        assert ended.deaths == 0


async def test_a_worker_whose_log_can_not_be_written_goes_on(firm):
    async with Hall() as site:
        worker = await firm.worker("--grace", "0s")
        await firm.answers("/readyz")
        no_file_larger_than(0, worker.pid)
        job = firm.add("single", arguments={"url": f"{site.url}/ok/1"})
        try:
            await firm.answers("/readyz", 503)
        finally:
            no_file_larger_than(resource.RLIM_INFINITY, worker.pid)
        await firm.reaches(job, "finished")


async def test_a_store_that_is_damaged_and_put_back_loses_no_job(firm):
    async with Hall() as site:
        worker = await firm.worker("--grace", "0s")
        job = firm.add("single", arguments={"url": f"{site.url}/ok/held"})
        await until(lambda: site.gate.waiting, "the job runs")
        file = jobs_file(firm.root)
        with closing(sqlite3.connect(file)) as base, closing(sqlite3.connect(firm.root / "backup")) as backup:
            base.backup(backup)
        with file.open("r+b") as damaged:
            damaged.write(b"garbage " * 2000)
        file.with_name("jobs.sqlite-wal").write_bytes(b"")
        site.gate.open()
        await until(lambda: (firm.root / f"{job}.jsonl").stat().st_size, "the crawl goes on")
        assert await status(firm, "/healthz") == 200
        worker.send(signal.SIGTERM)
        assert await worker.ends() == 0
        for one in file.parent.glob("jobs.sqlite*"):
            one.unlink()
        shutil.copy(firm.root / "backup", file)
        await firm.worker()
        await firm.answers(f"/api/jobs/{job}", body='"state":"finished"')
        assert firm.lines(job) == {'{"title":"Page held"}': 1}


async def test_a_worker_whose_store_was_deleted_says_so_or_takes_jobs_from_the_new_one(firm):
    async with Hall() as site:
        await firm.worker()
        await firm.answers("/readyz")
        firm.store.close()
        for one in jobs_file(firm.root).parent.glob("jobs.sqlite*"):
            one.unlink()
        await firm.type("jobs", "add", "single", "-a", f"url={site.url}/ok/1", "-o", "new.jsonl")

        with suppress(AssertionError):
            await firm.answers("/readyz", 503, patience=4)
            return
        assert (firm.root / "new.jsonl").exists()


async def test_a_clock_that_is_put_back_does_not_keep_the_jobs_of_a_dead_worker(firm):
    async with Hall() as site:
        first = await firm.worker("--no-http", "--grace", "0s")
        job = firm.add("single", arguments={"url": f"{site.url}/ok/held"})
        await until(lambda: site.gate.waiting, "the job runs")
        first.send(signal.SIGKILL)
        await first.ends()
        site.gate.open()
        with closing(sqlite3.connect(jobs_file(firm.root), isolation_level=None)) as base:
            base.execute("UPDATE jobs SET lease = lease + ?", (HOUR,))
        await firm.worker("--no-http")
        await firm.reaches(job, "finished", patience=5 * LEASE)


async def test_a_clock_that_is_put_forward_gives_no_job_two_processes(firm):
    """To the other worker the first one's lease is over; its own clock has jumped as well."""
    async with Hall() as site:
        first = await firm.worker("--no-http", "--grace", "0s")
        job = firm.add("single", arguments={"url": f"{site.url}/ok/held"})
        await until(lambda: site.gate.waiting, "the job runs")
        pid = await firm.process_of(job)
        with closing(sqlite3.connect(jobs_file(firm.root), isolation_level=None)) as base:
            base.execute("UPDATE jobs SET lease = 0")
        await firm.worker("--no-http", "--grace", "0s")
        site.gate.open()
        await firm.reaches(job, "finished")
        assert firm.lines(job) == {'{"title":"Page held"}': 1}
        await until(lambda: not alive(pid))
        assert first.events


async def test_a_worker_answers_while_another_process_holds_its_store(firm):
    """A backup, a shell that somebody has left open; or a disk that is slow."""
    async with Hall():
        await firm.worker()
        await firm.answers("/readyz")
        with closing(sqlite3.connect(jobs_file(firm.root), isolation_level=None)) as base:
            base.execute("BEGIN IMMEDIATE")
            async with asyncio.timeout(4):
                await firm.answers("/readyz", 503)
                assert await status(firm, "/healthz") == 200
