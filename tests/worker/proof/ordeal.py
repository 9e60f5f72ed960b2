"""An ordeal: jobs whose processes and workers are killed and stopped, while they stand before gates."""

import asyncio
import os
import signal
from random import Random

from tests.kills.harvest import Harvest, check_same
from tests.worker.processes.workshop import alive, until
from tests.worker.proof.firm import ENDED, Firm
from tests.worker.proof.sites import Site

FEW = (5, 12)  # requests that a gate lets through between two blows


class Ordeal:
    """`story`: what was done, for whoever reads why it has failed."""

    def __init__(self, firm: Firm, sites: dict[str, Site], chance: Random) -> None:
        self.firm = firm
        self.sites = sites
        self.story: list[str] = []
        self._chance = chance

    @property
    def going(self) -> list[str]:
        """With the newest worker."""
        name = self.firm.workers[-1].events[0]["worker"]
        jobs = [self.firm.job(job) for job in self.sites]
        return [job.id for job in jobs if (job.state, job.worker) == ("running", name)]

    @property
    def over(self) -> bool:
        return all(self.firm.job(job).state in ENDED for job in self.sites)

    async def in_the_middle(self) -> bool:
        """Every job that the worker runs stands before its gate; false where none is left."""

        def reached() -> bool:
            return bool(self.going) and all(self.sites[job].gate.waiting for job in self.going)

        await until(lambda: self.over or reached(), "all that run stand before their gates")
        return not self.over

    def a_little_further(self, *jobs: str) -> None:
        for job in jobs or self.sites:
            self.sites[job].gate.allow(self._chance.randint(*FEW))

    # ── blows ────────────────────────────────────────────────────────────────────────────────────────────

    async def kill_a_process(self) -> str:
        job = self._chance.choice(self.going)
        deaths = self.firm.job(job).deaths
        told = self.firm.workers[-1].events
        [*_, pid] = [e["pid"] for e in told if e["event"] == "process started" and e["job"] == job]
        os.kill(pid, signal.SIGKILL)
        self.story.append(f"the process of job {job} is killed")
        await until(lambda: self.firm.job(job).deaths > deaths, "its death is counted")
        self.a_little_further(job)
        return job

    async def kill_the_worker(self) -> None:
        """Its crawls stop with grace: what is in flight is finished."""
        worker = self.firm.workers[-1]
        worker.send(signal.SIGKILL)
        assert await worker.ends() == -signal.SIGKILL
        self.story.append("the worker is killed")
        orphans = [e["pid"] for e in worker.events if e["event"] == "process started"]
        for site in self.sites.values():
            site.gate.open()
        await until(lambda: not any(map(alive, orphans)), "crawls end with their worker")
        self.a_little_further()

    async def terminate_the_worker(self) -> None:
        worker = self.firm.workers[-1]
        worker.send(signal.SIGTERM)
        await worker.says("stopping")
        self.story.append("the worker is terminated")
        for site in self.sites.values():
            site.gate.open()
        assert await worker.ends() == 0
        self.a_little_further()

    async def hurry_the_worker(self) -> None:
        """Two signals: it stops at once."""
        worker = self.firm.workers[-1]
        worker.send(signal.SIGTERM)
        await worker.says("stopping")
        worker.send(signal.SIGTERM)
        self.story.append("the worker is terminated twice")
        assert await worker.ends() == 0
        self.a_little_further()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────

    async def ends_well(self, quiet: dict[type, Harvest]) -> None:
        """Whatever was done to it."""
        for site in self.sites.values():
            site.gate.open()
        await asyncio.gather(*(self.firm.reaches(job, "finished", patience=90) for job in self.sites))
        for job, site in self.sites.items():
            check_same(quiet[type(site)], self.firm.harvest(job, site))
