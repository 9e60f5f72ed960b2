"""Whatever happens in whatever order, the store does what fifty lines of Python say that it should."""

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scraper.errors import JobError, NoSuchJob
from scraper.jobs.store import SqliteJobs
from tests.jobs.conftest import LEASE, Clock, spec

EVERY = 100.0  # seconds
RESUMES = 1
ENDED = ("finished", "failed", "cancelled")

workers = st.sampled_from(["w1", "w2", "w3"])
holders = st.sampled_from(["", "", "", "w1"])  # "" = whoever has the job
picks = st.integers(0, 30)


@dataclass
class Known:
    """A job as the model keeps it."""

    number: int
    priority: int
    repeats: bool
    series: int
    tick: float
    due: float
    state: str = "queued"
    worker: str = ""
    lease: float = 0.0
    deaths: int = 0
    run: str = ""
    cancelling: bool = False


class Model:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.jobs: list[Known] = []

    def add(self, priority: int, *, repeats: bool, due: float, series: int = 0) -> Known:
        number = len(self.jobs) + 1
        self.jobs.append(Known(number, priority, repeats, series or number, due, due))
        return self.jobs[-1]

    def claim(self, worker: str) -> int | None:
        now = self.clock.now
        gone = [j for j in self.jobs if j.state == "running" and j.lease <= now and j.worker != worker]
        for job in sorted(gone, key=lambda job: (job.lease, job.number)):
            if not job.cancelling:
                return self._take(job, worker)
            self.end(job, "cancelled")
        busy = {job.series for job in self.jobs if job.state == "running"}
        ready = [j for j in self.jobs if j.state == "queued" and j.due <= now and j.series not in busy]
        if not ready:
            return None
        return self._take(min(ready, key=lambda job: (-job.priority, job.due, job.number)), worker)

    def _take(self, job: Known, worker: str) -> int:
        job.state, job.worker, job.lease = "running", worker, self.clock.now + LEASE
        return job.number

    def end(self, job: Known, state: str) -> None:
        job.state, job.cancelling = state, False
        if job.repeats and all(other.series != job.series for other in self.jobs[job.number :]):
            tick = job.tick
            while tick <= self.clock.now:
                tick += EVERY
            self.add(job.priority, repeats=True, due=tick, series=job.series)

    def give_back(self, job: Known, *, died: bool, due: float) -> None:
        job.deaths += died
        if job.cancelling:
            self.end(job, "cancelled")
        elif died and job.deaths > RESUMES:
            self.end(job, "failed")
        else:
            job.state, job.worker, job.due = "queued", "", due or job.due


@contextmanager
def refused_if(wrong: bool):
    if wrong:
        with pytest.raises(JobError):
            yield
    else:
        yield


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.model = Model(self.clock)
        self.store = self._opened()

    def _opened(self) -> SqliteJobs:
        return SqliteJobs(self.folder / "jobs.sqlite", lease=LEASE, now=self.clock)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def _pick(self, pick: int, *states: str) -> Known:
        """A job in one of these states, if there is one."""
        wanted = [job for job in self.model.jobs if job.state in states] or self.model.jobs
        return wanted[pick % len(wanted)]

    some = precondition(lambda self: self.model.jobs)

    @rule(priority=st.integers(-1, 1), repeats=st.sampled_from([True, True, False]))
    def add(self, priority, repeats):
        job = self.store.add(spec(priority=priority, every=EVERY if repeats else 0, resumes=RESUMES))
        assert job.id == str(self.model.add(priority, repeats=repeats, due=self.clock.now).number)

    @rule(seconds=st.sampled_from([10.0, LEASE, EVERY, 350.0]))
    def time_passes(self, seconds):
        self.clock.forward(seconds)

    @rule(worker=workers, most=st.integers(1, 3))
    def claim(self, worker, most):
        for _ in range(most):
            job, number = self.store.claim(worker), self.model.claim(worker)
            assert (job and job.id) == (number and str(number))

    @rule(worker=workers)
    def renew(self, worker):
        held = [job for job in self.model.jobs if job.state == "running" and job.worker == worker]
        for job in held:
            job.lease = self.clock.now + LEASE
        assert [job.id for job in self.store.renew(worker)] == [str(job.number) for job in held]

    @rule(worker=workers, ends=st.lists(st.sampled_from([*ENDED, "died"]), min_size=1, max_size=4))
    def work(self, worker, ends):
        """Lives one after the other, with nothing in between."""
        for end in ends:
            self.claim(worker, 1)
            held = [
                n for n, job in enumerate(self.model.jobs) if (job.state, job.worker) == ("running", worker)
            ]
            if held and end == "died":
                self._give_back(self.model.jobs[held[-1]], worker, died=True, due=0.0)
            elif held:
                self._end(self.model.jobs[held[-1]], worker, end)

    @some
    @rule(pick=picks, worker=holders, state=st.sampled_from(ENDED))
    def end(self, pick, worker, state):
        job = self._pick(pick, "running")
        self._end(job, worker or job.worker, state)

    def _end(self, job, worker, state):
        lost = (job.state, job.worker) != ("running", worker)
        with refused_if(lost):
            self.store.end(str(job.number), worker, state, "")
        if not lost:
            self.model.end(job, state)

    @some
    @rule(pick=picks, worker=holders)
    def begin(self, pick, worker):
        job = self._pick(pick, "running")
        worker = worker or job.worker
        lost = (job.state, job.worker) != ("running", worker)
        with refused_if(lost):
            self.store.begun(str(job.number), worker, f"run-{worker}")
        if not lost:
            job.run = f"run-{worker}"

    @some
    @rule(pick=picks, worker=holders, died=st.sampled_from([True, True, False]), later=st.booleans())
    def give_back(self, pick, worker, died, later):
        job = self._pick(pick, "running")
        due = self.clock.now + 50 if later else 0.0
        self._give_back(job, worker or job.worker, died=died, due=due)

    def _give_back(self, job, worker, *, died, due):
        lost = (job.state, job.worker) != ("running", worker)
        with refused_if(lost):
            self.store.give_back(str(job.number), worker, due=due, died="killed" if died else "")
        if not lost:
            self.model.give_back(job, died=died, due=due)

    @some
    @rule(pick=picks)
    def cancel(self, pick):
        job = self._pick(pick, "running", "queued")
        with refused_if(job.state in ENDED):
            self.store.cancel(str(job.number))
        if job.state == "queued":
            job.state = "cancelled"
        elif job.state == "running" and job.lease <= self.clock.now:
            self.model.end(job, "cancelled")
        elif job.state == "running":
            job.cancelling = True

    @some
    @rule(pick=picks)
    def retry(self, pick):
        job = self._pick(pick, "failed", "cancelled")
        possible = job.state in ("failed", "cancelled")
        with refused_if(not possible):
            self.store.retry(str(job.number))
        if possible:
            job.state, job.worker, job.deaths, job.due = "queued", "", 0, max(job.due, self.clock.now)

    @rule()
    def everybody_starts_anew(self):
        self.store.close()
        self.store = self._opened()

    @invariant()
    def they_agree(self):
        seen = [
            (int(j.id), j.state, j.due, j.deaths, j.run, j.cancelling, bool(j.series))
            for j in reversed(self.store.list(limit=-1))
        ]
        assert seen == [
            (j.number, j.state, j.due, j.deaths, j.run, j.cancelling, j.repeats) for j in self.model.jobs
        ]
        running = [j.series for j in self.model.jobs if j.state == "running"]
        assert len(running) == len(set(running))
        with pytest.raises(NoSuchJob):
            self.store.get(str(len(self.model.jobs) + 1))


def test_the_store_does_what_its_model_does():
    limits = settings(max_examples=30, stateful_step_count=40, deadline=None, database=None)
    run_state_machine_as_test(Machine, settings=limits)


@pytest.mark.long
@pytest.mark.timeout(1_200)
def test_the_store_does_what_its_model_does_for_long():
    limits = settings(max_examples=1_500, stateful_step_count=80, deadline=None, database=None)
    run_state_machine_as_test(Machine, settings=limits)
