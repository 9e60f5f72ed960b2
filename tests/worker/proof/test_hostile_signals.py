"""Workers that are frozen, hurried, hung up on and left without a listener; jobs that are cancelled whenever."""

import asyncio
import json
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from scraper.jobs.places import jobs_file
from tests.worker.processes.workshop import Worker, alive, until
from tests.worker.proof.firm import TOKEN, Firm
from tests.worker.proof.gated import Hall

pytestmark = pytest.mark.long

PAGES = 30
ALL = Counter(['{"title":"Links"}', *(f'{{"title":"Page {n}"}}' for n in range(PAGES))])


async def freeze(worker: Worker, firm: Firm) -> None:
    """Not within a transaction: nobody could write to the store until it goes on."""

    def is_free() -> bool:
        worker.send(signal.SIGSTOP)
        with closing(sqlite3.connect(jobs_file(firm.root), timeout=0.1, isolation_level=None)) as base:
            try:
                base.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                worker.send(signal.SIGCONT)
                return False
        return True

    await until(is_free, "it can be frozen")


@pytest.mark.parametrize("with_its_crawl", [False, True], ids=["alone", "with its crawl"])
async def test_a_worker_that_was_frozen_beyond_its_lease_gets_in_nobody_s_way(firm, with_its_crawl):
    async with Hall(closed="/ok/") as site:
        site.gate.allow(5)
        job = firm.add("reader", arguments={"url": f"{site.url}/links?n={PAGES}"})
        frozen = await firm.worker("--no-http", "--grace", "0s")
        first = await firm.process_of(job)
        await until(lambda: site.gate.waiting, "the job is in its middle")
        await freeze(frozen, firm)
        if with_its_crawl:
            os.kill(first, signal.SIGSTOP)
        await firm.worker("--no-http", "--grace", "0s")
        second = await firm.process_of(job)
        await firm.waits_for_another(job)
        assert alive(first)
        site.gate.open()
        if with_its_crawl:
            os.kill(first, signal.SIGCONT)
        frozen.send(signal.SIGCONT)
        await firm.reaches(job, "finished")
        assert firm.lines(job) == ALL
        await until(lambda: not alive(first) and not alive(second), "both have ended")
        frozen.send(signal.SIGTERM)
        assert await frozen.ends() == 0


async def test_a_worker_that_was_frozen_while_its_job_ended_elsewhere_changes_nothing(firm):
    async with Hall() as site:
        job = firm.add("single", arguments={"url": f"{site.url}/ok/held"})
        frozen = await firm.worker("--no-http", "--grace", "0s")
        first = await firm.process_of(job)
        await until(lambda: site.gate.waiting, "the job runs")
        await freeze(frozen, firm)
        site.gate.open()
        await until(lambda: not alive(first), "the crawl ends, and nobody hears")
        await firm.worker("--no-http", "--grace", "0s")
        ended = await firm.reaches(job, "finished")
        frozen.send(signal.SIGCONT)
        await frozen.says("a job is another worker's now")
        frozen.send(signal.SIGTERM)
        assert await frozen.ends() == 0
        assert firm.job(job) == ended
        assert site.times["/ok/held"] == 1


async def test_a_job_can_be_cancelled_in_every_state(firm):
    async with Hall() as site:
        url = {"arguments": {"url": f"{site.url}/ok/held"}}
        queued, later = firm.add("single", **url), firm.add("single", at="2999-01-01T00:00", **url)
        series = firm.add("single", cron="0 0 1 1 *", **url)
        assert json.loads(await firm.type("jobs", "cancel", queued, "--json"))["state"] == "cancelled"
        starting, running = firm.add("single", **url), firm.add("single", **url)
        await firm.worker("--grace", "0s", "--jobs", "1")
        await firm.process_of(starting)
        codes = [
            (await firm.ask("POST", f"/api/jobs/{job}/cancel"))[0]
            for job in (later, series, starting, starting)
        ]
        assert codes == [200, 200, 200, 200]
        await firm.reaches(starting, "cancelled")
        assert [firm.job(job).state for job in (later, series)] == ["cancelled", "cancelled"]
        await until(lambda: site.gate.waiting, "the next one runs")
        assert (await firm.ask("POST", f"/api/jobs/{running}/cancel"))[0] == 200
        await firm.reaches(running, "cancelled")
        assert (await firm.ask("POST", f"/api/jobs/{running}/cancel"))[0] == 409
        assert (await firm.ask("POST", f"/api/jobs/{running}/retry"))[0] == 200
        site.gate.open()
        await firm.reaches(running, "finished")
        assert (await firm.ask("POST", f"/api/jobs/{running}/cancel"))[0] == 409
        assert firm.lines(running) == {'{"title":"Page held"}': 1}
        await firm.type("jobs", "cancel", running, code=2)
        assert firm.store.counts() == {"queued": 0, "running": 0, "finished": 1, "failed": 0, "cancelled": 4}


async def test_a_cancelled_job_of_a_dead_worker_is_cancelled_by_the_next_one(firm):
    async with Hall() as site:
        job = firm.add("single", arguments={"url": f"{site.url}/ok/held"})
        first = await firm.worker("--no-http", "--grace", "0s")
        await until(lambda: site.gate.waiting, "the job runs")
        first.send(signal.SIGKILL)
        await first.ends()
        firm.store.cancel(job)
        await firm.worker("--no-http")
        await firm.reaches(job, "cancelled")


async def test_a_worker_that_stops_still_answers_and_no_client_holds_it_up(firm):
    async with Hall() as site:
        job = firm.add("single", arguments={"url": f"{site.url}/ok/held"})
        worker = await firm.worker("--grace", "20s")
        await until(lambda: site.gate.waiting, "the job runs")
        watching = asyncio.create_task(firm.ask("GET", f"/api/jobs/{job}/events"))
        host, port = (await worker.says("worker ready"))["listen"].removeprefix("http://").split(":")
        _, slow = await asyncio.open_connection(host, int(port.strip("/")))
        slow.write(
            f"POST /api/jobs HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        await slow.drain()
        worker.send(signal.SIGTERM)
        await worker.says("stopping")
        assert [(await firm.ask("GET", path))[0] for path in ("/healthz", "/readyz", "/metrics")] == [
            200,
            503,
            200,
        ]
        spec = {"spider": "single", "arguments": {"url": f"{site.url}/ok/2"}, "feeds": ["{job}.jsonl"]}
        status, body = await firm.ask("POST", "/api/jobs", json=spec)
        assert status == 201
        site.gate.open()
        async with asyncio.timeout(10):
            assert await worker.ends() == 0
        assert "event: job" in (await watching)[1]
        slow.close()
        assert firm.job(json.loads(body)["id"]).state == "queued"
        assert firm.job(job).state in ("finished", "queued")


@pytest.mark.parametrize(
    "broken", [b"jobs = [", b"\xff\xfe = 1", b"", None], ids=["syntax", "bytes", "empty", "folder"]
)
async def test_a_hangup_with_broken_settings_leaves_a_worker_that_works(firm, broken):
    async with Hall() as site:
        worker = await firm.worker()
        file = firm.root / "settings.toml"
        file.unlink()
        if broken is None:
            file.mkdir()
        else:
            file.write_bytes(broken)
        worker.send(signal.SIGHUP)
        told = ("the settings can't be read again: the old ones stay", "settings read again")
        await until(
            lambda: any(one["event"] in told for one in worker.events), "it says what it made of them"
        )
        assert (await firm.ask("GET", "/readyz"))[0] == 200
        if broken is None:
            file.rmdir()
        file.write_text("", "utf-8")
        job = firm.add("single", arguments={"url": f"{site.url}/ok/1"})
        await firm.reaches(job, "finished")


async def test_a_worker_whose_listener_went_away_goes_on(firm):
    """`scrape worker | something`, which ends."""
    async with Hall() as site:
        reader, writer = os.pipe()
        job = firm.add("chatterer", arguments={"url": f"{site.url}/ok/held", "megabytes": "1"})
        await firm.worker_into(writer, "--no-http")
        await until(lambda: site.gate.waiting, "the job runs")
        os.close(writer)
        os.close(reader)
        site.gate.open()
        await firm.reaches(job, "finished", patience=6)
        assert firm.lines(job) == {'{"title":"Page held"}': 1}
