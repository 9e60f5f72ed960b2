"""A crawl that outlives its worker for a while: nobody else writes to its run until it is gone."""

import signal
from collections import Counter

import pytest

from scraper.runs import Runs
from tests.worker.processes.workshop import alive, until
from tests.worker.proof.firm import Firm
from tests.worker.proof.gated import Hall

PAGES = 12


async def test_an_orphan_that_does_not_hear_is_waited_for_and_its_job_ends_whole(firm):
    async with Hall() as site:
        job, orphan = await orphaned(firm, site, grace="20s")
        heir = await firm.process_of(job)
        await firm.waits_for_another(job)
        seen = dict(site.times)
        assert (alive(orphan), alive(heir)) == (True, True)
        assert Runs(firm.root).get(f"blocker-job{job}").alive
        site.gate.open()
        ended = await firm.reaches(job, "finished")
        assert not alive(orphan)
        assert firm.lines(job) == titles(PAGES)
        assert (ended.deaths, seen["/links"], site.times["/links"]) == (0, 1, 1)


@pytest.mark.long
async def test_an_orphan_that_never_hears_ends_of_itself_and_its_job_goes_on(firm):
    """The callback blocks for longer than its grace: what it fetched is fetched again."""
    async with Hall() as site:
        job, orphan = await orphaned(firm, site, grace="0s")
        await until(lambda: not alive(orphan), "the orphan ends of itself")
        site.gate.open()
        await firm.reaches(job, "finished")
        assert firm.lines(job) == titles(PAGES)


async def orphaned(firm: Firm, site: Hall, *, grace: str) -> tuple[str, int]:
    """A job and its process, whose callback blocks: its worker has been killed, and another one works."""
    job = firm.add("blocker", arguments={"url": f"{site.url}/links?n={PAGES}"})
    first = await firm.worker("--no-http", "--grace", grace)
    orphan = await firm.process_of(job)
    await until(lambda: site.gate.waiting, "the callback blocks")
    first.send(signal.SIGKILL)
    await first.ends()
    await firm.worker("--no-http", "--grace", grace)
    return job, orphan


def titles(pages: int) -> Counter[str]:
    return Counter(['{"title":"Links"}', *(f'{{"title":"Page {n}"}}' for n in range(pages))])
