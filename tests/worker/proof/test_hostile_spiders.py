"""Spiders that do what nobody should, and workers that bear it."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.worker.processes.workshop import alive, until
from tests.worker.proof.gated import Hall

pytestmark = pytest.mark.long

MB = 1_000_000
SLOW = '''
import os
import sys

from scraper import Request, Spider

if sys.argv[0].endswith("crawling.py"):
    os.mkfifo(f"importing-{os.getpid()}")
    os.close(os.open(f"importing-{os.getpid()}", os.O_RDONLY))


class Slow(Spider):
    """Its file takes its time."""

    name = "slow"
    url: str

    async def start(self):
        yield Request(self.url)

    def parse(self, response):
        yield {"title": response.css("h1::text").get()}
'''


async def test_a_job_outlives_a_process_that_its_spider_left_behind(firm):
    async with Hall() as site:
        job = firm.add("deserter", arguments={"url": f"{site.url}/ok/1"})
        await firm.worker("--no-http", "--grace", "0s")
        await until(lambda: site.gate.waiting, "it is in its middle")
        os.kill(await firm.process_of(job), signal.SIGKILL)
        site.gate.open()
        try:
            await firm.reaches(job, "finished", patience=5)
        finally:
            os.kill(int((firm.root / "deserter.pid").read_text("ascii")), signal.SIGKILL)
        assert firm.lines(job) == Counter(['{"title":"Page 1"}', '{"title":"Page held"}'])


async def test_a_spider_that_says_a_hundred_megabytes_harms_nobody(firm):
    async with Hall() as site:
        worker = await firm.worker(SCRAPER_WORKER__LOG_BYTES="1MB", SCRAPER_WORKER__LOGS_KEPT="2")
        before = resident(worker.pid)
        job = firm.add("chatterer", arguments={"url": f"{site.url}/ok/1"})
        answers = 0
        while firm.job(job).state != "finished":
            status, _ = await firm.ask("GET", "/readyz")
            assert status == 200
            answers += 1
        assert answers > 5
        assert firm.job(job).deaths == 0
        assert resident(worker.pid) < before + 60 * MB
        logs = list((firm.root / ".scrape" / "jobs").iterdir())
        assert len(logs) == 3
        assert sum(log.stat().st_size for log in logs) < 3 * 1.3 * MB


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_an_orphan_that_is_still_loading_its_spider_does_not_fail_its_job(firm):
    async with Hall() as site:
        (firm.root / "spiders" / "slow.py").write_text(SLOW, "utf-8")
        job = firm.add("slow", arguments={"url": f"{site.url}/ok/1"})
        first = await firm.worker("--no-http", "--grace", "20s")
        orphan = await firm.process_of(job)
        await until((firm.root / f"importing-{orphan}").exists, "its first process loads the spider")
        first.send(signal.SIGKILL)
        await first.ends()
        await firm.worker("--no-http", "--grace", "20s")
        heir = await firm.process_of(job)
        await until((firm.root / f"importing-{heir}").exists, "its second process loads the spider")
        (firm.root / f"importing-{orphan}").write_bytes(b"")
        await until(lambda: not alive(orphan), "the orphan ends")
        (firm.root / f"importing-{heir}").write_bytes(b"")
        releasing = asyncio.create_task(released(firm, job))
        try:
            await firm.reaches(job, "finished")
        finally:
            releasing.cancel()
        assert firm.lines(job) == Counter(['{"title":"Page 1"}'])


async def released(firm, job: str) -> None:
    """Should there be one more life."""
    fifo = firm.root / f"importing-{await firm.process_of(job, life=2)}"
    await until(fifo.exists)
    fifo.write_bytes(b"")


async def test_what_a_spider_has_started_ends_with_it_when_its_worker_is_killed(firm):
    async with Hall() as site:
        job = firm.add("nester", arguments={"url": f"{site.url}/ok/1"})
        worker = await firm.worker("--no-http", "--grace", "20s")
        await until(lambda: site.gate.waiting, "it is in its middle")
        orphan = await firm.process_of(job)
        worker.send(signal.SIGKILL)
        await worker.ends()
        site.gate.open()
        await until(lambda: not alive(orphan), "the crawl ends with its worker")
        started = int((firm.root / "nester.pid").read_text("ascii"))
        try:
            await until(lambda: not alive(started), "its program ends", patience=3)
        finally:
            with suppress(ProcessLookupError):
                os.kill(started, signal.SIGKILL)
