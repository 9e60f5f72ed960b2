"""The supervisor: takes jobs, has a process for each, and says what became of them."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TextIO

import structlog

from scraper.bell import Bell
from scraper.errors import JobError, StorageError
from scraper.protocols import Job
from scraper.settings import WorkerSettings
from scraper.worker.asked import date_of
from scraper.worker.children import Child
from scraper.worker.job_logs import JobLog
from scraper.worker.office import Office
from scraper.worker.verdict import Again, Ending, Over, verdict
from scraper.worker.words import Task

LOOK = 1.0  # seconds between two looks at the store: another process rings no bell
RENEWALS = 3  # within one lease
AGAIN = 1.0  # seconds until the store is asked once more that did not answer
PATIENCE = 10  # times, once the worker stops: then the lease runs out, and another worker goes on
LATER = 30.0  # seconds until a job is tried again whose process could not be started

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for new jobs. `jobs`: at once; `grace`: seconds."""

    jobs: int
    grace: float
    worker: WorkerSettings


def own_name() -> str:
    """No other worker has or had it."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


class Supervisor:
    """`on_beat()`: as long as the loop turns and the store answers. `tidy(spider, keep_runs)`: after each job."""

    def __init__(
        self,
        office: Office,
        terms: Terms,
        bell: Bell,
        *,
        out: TextIO,
        look: float = LOOK,
        on_beat: Callable[[], None] = lambda: None,
        tidy: Callable[[str, int], Awaitable[None]],
    ) -> None:
        self.name = own_name()
        self.terms = terms
        self._office = office
        self._store = office.store
        self._bell = bell
        self._out = out
        self._look = min(look, terms.worker.lease / RENEWALS)
        self._lease = terms.worker.lease
        self._on_beat = on_beat
        self._tidy = tidy
        self._children: dict[str, Child] = {}
        self._cancelled: set[str] = set()
        self._lost: set[str] = set()
        self._level = 0
        self._renewed = time.monotonic()

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def stopping(self) -> bool:
        return self._level > 0

    def stop(self) -> None:
        """Once: no new job, and those that run have their grace. Twice: they end at once."""
        self._level = min(self._level + 1, 2)
        self._office.ready = False
        for child in self._children.values():
            child.stop(self._level)
        self._bell.ring()

    async def run(self) -> None:
        """Until it is stopped and every process has ended."""
        async with asyncio.TaskGroup() as lives:
            while not self._level or self._children:
                heard = self._bell.rung
                self._beat(lives)
                await self._bell.wait(heard, self._look)

    # ── the store ────────────────────────────────────────────────────────────────────────────────────────

    def _beat(self, lives: asyncio.TaskGroup) -> None:
        try:
            self._look_after_ours()
            while not self._level and len(self._children) < self.terms.jobs:
                job = self._store.claim(self.name)
                if job is None:
                    break
                if job.id in self._children:  # it was lost, and comes back before its process has ended
                    self._store.give_back(job.id, self.name, due=time.time() + LATER)
                    continue
                self._begin(job, lives)
        except StorageError as error:
            self._unanswered(error)
        else:
            self._office.ready = not self._level
            self._on_beat()

    def _look_after_ours(self) -> None:
        now = time.monotonic()
        if not self._children:
            self._renewed = now
        if now - self._renewed >= self._lease / RENEWALS:
            ours: Sequence[Job] = self._store.renew(self.name)
            self._renewed = now
        else:
            ours = [job for job in self._store.list(states=["running"], limit=-1) if job.worker == self.name]
        self._lose(self._children.keys() - {job.id for job in ours})
        for job in ours:
            if job.cancelling and job.id in self._children:
                self._cancelled.add(job.id)
                self._children[job.id].stop(1)
            if job.id not in self._children:  # it ended while the store did not answer
                with suppress(JobError):  # another has it by now
                    self._store.give_back(job.id, self.name)

    def _unanswered(self, error: StorageError) -> None:
        """A worker that can't renew its leases must take them for another's once they have run out."""
        log.error("the jobs can't be looked at", problem=str(error))
        self._office.ready = False
        if time.monotonic() - self._renewed >= self._lease:
            self._lose(set(self._children))

    def _lose(self, jobs: set[str]) -> None:
        for job_id in jobs - self._lost:
            log.error(
                "a job is another worker's now", job=job_id, spider=self._children[job_id].task.spec.spider
            )
            self._lost.add(job_id)
            self._children[job_id].stop(2)

    async def _tell(self, change: Callable[[], object], job: Job) -> None:
        """Until the store has taken it, or the job is no longer ours."""
        tries = 0
        while job.id not in self._lost:
            try:
                change()
                return
            except JobError as error:
                self._lost.add(job.id)
                log.error("a job is another worker's now", job=job.id, problem=str(error))
            except StorageError as error:
                tries += 1
                log.error("what became of a job can't be written down", job=job.id, problem=str(error))
                if self._level == 2 or (self._level and tries > PATIENCE):
                    return
                await asyncio.sleep(AGAIN)

    # ── a job ────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, job: Job, lives: asyncio.TaskGroup) -> None:
        """A child for the job, which is in our hands from now on."""
        told = self.terms.worker
        lines = JobLog(
            self._office.log_file(job.id),
            most=told.log_bytes,
            kept=told.logs_kept,
            out=self._out,
            job=job.id,
            spider=job.spec.spider,
            run=job.run,
        )
        task = Task(
            job=job.id, spec=job.spec, made=job.created, day=date_of(job), run=job.run, grace=self.terms.grace
        )
        child = Child(
            task,
            self._office.project.root,
            board=self._office.board,
            lines=lines,
            on_begun=lambda run: self._begun(job, run),
        )
        self._children[job.id] = child
        lives.create_task(self._live(job, child))

    def _begun(self, job: Job, run: str) -> None:
        """Should the store not answer: the next life finds the run by its name."""
        try:
            self._store.begun(job.id, self.name, run)
        except StorageError as error:
            log.error("a job's run can't be written down", job=job.id, run=run, problem=str(error))
        except JobError:
            self._lose({job.id})

    async def _live(self, job: Job, child: Child) -> None:
        log.info("job taken", job=job.id, run=job.run, spider=job.spec.spider, deaths=job.deaths)
        try:
            ending = await child.live()
        except OSError as error:
            log.error("the process of a job can't be started", job=job.id, problem=str(error))
            await self._tell(lambda: self._store.give_back(job.id, self.name, due=time.time() + LATER), job)
        else:
            await self._tell(lambda: self._conclude(job, ending), job)
        del self._children[job.id]  # before anything waits: from now on the job may be claimed again
        self._cancelled.discard(job.id)
        self._lost.discard(job.id)
        self._bell.ring()
        await self._tidy(job.spec.spider, self.terms.worker.keep_runs)

    def _conclude(self, job: Job, ending: Ending) -> None:
        """Raises JobError, StorageError."""
        decided = verdict(
            ending, now=time.time(), cancelled=job.id in self._cancelled, stopped=self._level > 0
        )
        match decided:
            case Over(state, reason):
                left = self._store.end(job.id, self.name, state, reason)
            case Again(due, died):
                left = self._store.give_back(job.id, self.name, due=due, died=died)
        said = {"job": job.id, "run": left.run, "spider": job.spec.spider, "reason": left.reason}
        if left.state == "queued":
            log.info("job given back", deaths=left.deaths, due=left.due, **said)
        elif left.state == "failed":
            log.error("job failed", deaths=left.deaths, **said)
        else:
            log.info("job ended", state=left.state, **said)
