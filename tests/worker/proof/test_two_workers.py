"""Two workers in one project: each job is run once, whichever of them has it."""

import signal
from collections import Counter

import pytest

from tests.worker.processes.workshop import until
from tests.worker.proof.gated import Hall

JOBS = 12


@pytest.mark.long
async def test_each_of_twelve_jobs_is_run_once_by_one_of_two_workers_one_of_which_is_killed(firm):
    """What a crawl of the killed one has in flight it still finishes: no page is asked for twice."""
    async with Hall(closed="/ok/") as site:
        site.gate.allow(4)
        jobs = [firm.add("single", arguments={"url": f"{site.url}/ok/{n}"}) for n in range(JOBS)]
        workers = [await firm.worker("--no-http", "--jobs", "2", "--grace", "20s") for _ in range(2)]
        await until(lambda: site.gate.waiting == 4, "both have their hands full")
        holders = {one.events[0]["worker"]: one for one in workers}
        running = firm.store.list(states=["running"])
        assert Counter(job.worker for job in running) == dict.fromkeys(holders, 2)
        victim = workers[0]
        victim.send(signal.SIGKILL)
        await victim.ends()
        site.gate.open()
        for job in jobs:
            await firm.reaches(job, "finished")
    assert [firm.lines(job) for job in jobs] == [{f'{{"title":"Page {n}"}}': 1} for n in range(JOBS)]
    assert {path: n for path, n in site.times.items() if path != "/robots.txt"} == {
        f"/ok/{n}": 1 for n in range(JOBS)
    }
    assert all(firm.job(job).deaths == 0 for job in jobs)
    assert {firm.run_of(job).info.id for job in jobs} == {f"single-job{job}" for job in jobs}
    runs = [run for run in (firm.root / ".scrape" / "runs").iterdir() if not run.name.startswith(".")]
    assert len(runs) == JOBS
