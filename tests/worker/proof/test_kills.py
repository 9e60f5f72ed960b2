"""Processes are killed, workers are killed and stopped: every job ends, and brings what a quiet crawl brings, once."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from scraper import stats
from tests.kills.harvest import Harvest
from tests.kills.sizes import Size
from tests.worker.proof.firm import ENDED, Firm, Metrics
from tests.worker.proof.ordeal import Ordeal
from tests.worker.proof.sites import FAULTY, Bookshop, GatedMaze, Site, bookshop, maze

TYPED = ("--jobs", "3", "--grace", "20s")
LARGER = Size(rooms=600, links=3_000, pause=500, seeds=60, page_in_memory=500, attempts=8)
BLOWS = 15


@asynccontextmanager
async def six_sites(size: Size = FAULTY) -> AsyncIterator[list[Site]]:
    """By turns of the bookshop and the faulty one, all shut after a few requests."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(maze(size) if n % 2 else bookshop()) for n in range(6)]


async def quiet_ones(firm: Firm, size: Size = FAULTY) -> dict[type, Harvest]:
    async with bookshop() as shop, maze(size) as faulty:
        found = await asyncio.gather(firm.quiet(shop, "quiet-books"), firm.quiet(faulty, "quiet-maze"))
    assert sum(found[0]["items"].values()) > 100
    assert sum(found[1]["items"].values()) > 100
    return dict(zip((Bookshop, GatedMaze), found, strict=True))


async def asked_for(firm: Firm, sites: list[Site], **more: int) -> dict[str, Site]:
    """Half of them over HTTP, half on the command line."""
    for site in sites:
        site.gate.allow(10)
    over_http = [firm.add_over_http(site, **more) for site in sites[:3]]
    words = [word for name, value in more.items() for word in (f"--{name}", str(value))]
    by_command = [firm.add_by_command(site, *words) for site in sites[3:]]
    jobs = await asyncio.gather(*over_http, *by_command)
    return dict(zip(jobs, sites, strict=True))


@pytest.mark.timeout(180)  # 15 s on a quiet machine
async def test_whatever_is_killed_every_job_brings_what_a_quiet_crawl_brings(firm, chance):
    async with six_sites() as sites:
        quiet, _ = await asyncio.gather(quiet_ones(firm), firm.worker(*TYPED))
        ordeal = Ordeal(firm, await asked_for(firm, sites), chance)
        assert await ordeal.in_the_middle()
        killed = await ordeal.kill_a_process()
        assert await ordeal.in_the_middle()
        await ordeal.kill_the_worker()
        await firm.worker(*TYPED)
        assert await ordeal.in_the_middle()
        await ordeal.terminate_the_worker()
        assert not ordeal.going
        before = {job: firm.counters(job) for job in ordeal.sites}
        await firm.worker(*TYPED)
        await ordeal.ends_well(quiet)
        await adds_up(firm, before)
    assert {job: firm.job(job).deaths for job in ordeal.sites} == {
        job: int(job == killed) for job in ordeal.sites
    }


async def adds_up(firm: Firm, before: Mapping[str, Mapping[str, int]]) -> None:
    """The last worker's metrics, the jobs' list, the runs and the feeds. `before`: what its runs came to it with."""
    told = await firm.metrics()
    listed = json.loads(await firm.type("jobs", "list", "--json"))
    _, body = await firm.ask("GET", "/api/jobs")
    assert json.loads(body)["jobs"] == listed
    states = Counter(job["state"] for job in listed)
    assert states == {"finished": len(before)}
    for state in ("queued", "running", *ENDED):
        assert told.total("scraper_jobs", state=state) == states[state]
    for job in before:
        assert sum(firm.lines(job).values()) == firm.counters(job)[stats.ITEMS]
        assert firm.counters(job) == firm.run_of(job).info.counters
    for spider in ("books", "explorer"):
        jobs = {job: firm.counters(job) for job in before if firm.job(job).spec.spider == spider}
        assert_counted(told, spider, jobs, before)
    assert told.total("scraper_crawls_running") == 0


def assert_counted(
    told: Metrics,
    spider: str,
    after: Mapping[str, Mapping[str, int]],
    before: Mapping[str, Mapping[str, int]],
) -> None:
    """What the spider's runs have come to with the last worker, by job, and no more, is in its metrics."""

    def made(count: Callable[[Mapping[str, int]], int]) -> int:
        return sum(count(after[job]) - count(before[job]) for job in after)

    for name, counter in COUNTED.items():
        expected = made(lambda seen, counter=counter: seen.get(counter, 0))
        assert (spider, name, told.total(name, spider=spider)) == (spider, name, expected)
    statuses = made(lambda seen: stats.add_up(seen, stats.STATUS))
    assert told.total("scraper_responses_total", spider=spider) == statuses
    assert told.total("scraper_pages_total", spider=spider) > 0


COUNTED = {
    "scraper_pages_total": stats.DONE,
    "scraper_items_total": stats.ITEMS,
    "scraper_items_rejected_total": stats.ITEMS_REJECTED,
    "scraper_requests_queued_total": stats.QUEUED,
    "scraper_page_failures_total": stats.FAILED,
    "scraper_retries_total": stats.RETRIED,
}


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_whatever_is_killed_fifteen_times_every_job_brings_what_a_quiet_crawl_brings(firm, chance):
    async with six_sites(LARGER) as sites:
        quiet, _ = await asyncio.gather(quiet_ones(firm, LARGER), firm.worker(*TYPED))
        ordeal = Ordeal(firm, await asked_for(firm, sites, resumes=100), chance)
        blows = [
            ordeal.kill_a_process,
            ordeal.kill_the_worker,
            ordeal.terminate_the_worker,
            ordeal.hurry_the_worker,
        ]
        for number in range(BLOWS):
            if not await ordeal.in_the_middle():
                break
            blow = blows[number] if number < len(blows) else chance.choice(blows)
            await blow()
            if blow != ordeal.kill_a_process:
                await firm.worker(*TYPED)
        print(*ordeal.story, sep="\n")
        assert len(ordeal.story) > len(blows)
        await ordeal.ends_well(quiet)
