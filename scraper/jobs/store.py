"""The store: jobs that outlive every process, in one SQLite file that the command line and the workers share."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from scraper.errors import JobError, StorageError
from scraper.job_spec import JobSpec
from scraper.jobs.places import no_such, number_of
from scraper.jobs.rows import first_due, job_of, next_due
from scraper.jobs.schema import PATIENCE, connect, in_words
from scraper.protocols import Job, JobState
from scraper.transactions import Transaction

STATES: tuple[JobState, ...] = get_args(JobState)
ENDED: tuple[JobState, ...] = ("finished", "failed", "cancelled")

# running ones whose worker no longer renews them: the longest without one first
ORPHANED = """SELECT * FROM jobs INDEXED BY jobs_running WHERE state = 'running' AND lease <= :now AND worker != :worker
    ORDER BY lease, number LIMIT 1"""
LONGEST = 900.0  # seconds, which no lease is: worker.lease is 600 at most
# further ahead than any lease lasts: from before the clock was put back
AHEAD = """SELECT * FROM jobs INDEXED BY jobs_running WHERE state = 'running' AND lease > :longest AND worker != :worker
    ORDER BY lease, number LIMIT 1"""
# what is due; of a series only while no other job of it runs
READY = """SELECT * FROM jobs INDEXED BY jobs_queued WHERE state = 'queued' AND due <= :now
    AND (series = '' OR series NOT IN (SELECT series FROM jobs WHERE state = 'running'))
    ORDER BY priority DESC, due, number LIMIT 1"""
RENEW = "UPDATE jobs SET lease = :until WHERE state = 'running' AND worker = :worker"
HELD = "SELECT * FROM jobs WHERE state = 'running' AND worker = :worker ORDER BY number"
LATER = "SELECT 1 FROM jobs WHERE series != '' AND series = ? AND number > ?"
ADD = """INSERT INTO jobs (state, spider, spec, priority, tick, due, created, series)
    VALUES ('queued', ?, ?, ?, ?, ?, ?, ?) RETURNING *"""
FORGET = """DELETE FROM jobs WHERE state IN ('finished', 'failed', 'cancelled') AND spider = :spider AND number <= (
    SELECT number FROM jobs WHERE state IN ('finished', 'failed', 'cancelled') AND spider = :spider
    ORDER BY number DESC LIMIT 1 OFFSET :keep) RETURNING number"""


class SqliteJobs:
    """A JobStore. `lease`: seconds that a claimed job stays its worker's without `renew`. `now`: Unix time.

    A worker's name is its own among all that live and have lived: its jobs are known by it. Every method that changes
    something is one transaction; when it returns, the change is on the disk (synchronous = FULL). Threads take turns.
    """

    def __init__(
        self,
        path: Path,
        *,
        lease: float = 30.0,
        patience: float = PATIENCE,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`patience`: seconds for another process to let go of the file. Raises StorageError."""
        self._path = path
        self._lease = lease
        self._now = now
        self._turn = threading.Lock()
        self._base = connect(path)
        self._base.execute(f"PRAGMA busy_timeout = {round(1_000 * patience)}")
        self._file = _identity(path)

    # ── for whoever asks for jobs ────────────────────────────────────────────────────────────────────

    def add(self, spec: JobSpec) -> Job:
        """Raises ArgumentError where its time is none."""
        now = self._now()
        due = first_due(spec, now)
        with self._changing():
            return self._insert(spec, due, now, "")

    def get(self, job_id: str) -> Job:
        with self._reading():
            return job_of(self._row(job_id))

    def list(
        self, *, states: Collection[JobState] = (), spider: str = "", limit: int = 100, before: str = ""
    ) -> Sequence[Job]:
        """`limit`: at most so many; less than 0 = all."""
        conditions = ["1"]
        values: list[Any] = []
        if states:
            conditions.append(f"state IN ({', '.join('?' * len(states))})")
            values += list(states)
        if spider:
            conditions.append("spider = ?")
            values.append(spider)
        if before:
            conditions.append("number < ?")
            values.append(number_of(before))
        # the conditions are written above, and nowhere else
        sql = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ?"  # noqa: S608
        with self._reading():
            rows = self._base.execute(sql, [*values, limit]).fetchall()
        return [job_of(row) for row in rows]

    def counts(self) -> Mapping[JobState, int]:
        with self._reading():
            found = dict(self._base.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
        return {state: found.get(state, 0) for state in STATES}

    def cancel(self, job_id: str) -> Job:
        """As the contract says. A running one whose worker is gone ends at once; one that has ended raises JobError.

        A running one of a series is followed by the next, which can be cancelled in its turn.
        """
        with self._changing():
            row = self._row(job_id)
            if row["state"] == "queued":
                return self._set(row, state="cancelled", ended=self._now(), reason="")
            if row["state"] != "running":
                raise JobError(f"Job {job_id} is {row['state']}: there is nothing to cancel.")
            if row["lease"] <= self._now():
                return self._end(row, "cancelled", "")
            return self._set(row, cancelling=1)

    def retry(self, job_id: str) -> Job:
        """As the contract says, at once if it is due. Its deaths are forgotten; a series that ended with it goes on."""
        with self._changing():
            row = self._row(job_id)
            if row["state"] not in ("failed", "cancelled"):
                raise JobError(
                    f"Job {job_id} is {row['state']}: only one that failed or was cancelled is retried."
                )
            return self._queue(row, due=max(row["due"], self._now()), started=None, ended=None, deaths=0)

    def forget(self, spider: str, *, keep: int) -> Sequence[str]:
        """Deletes the spider's ended jobs but the `keep` newest; the ids of those it deleted."""
        with self._changing():
            rows = self._base.execute(FORGET, {"spider": spider, "keep": keep}).fetchall()
        return [str(number) for number in sorted(row["number"] for row in rows)]

    # ── for workers ──────────────────────────────────────────────────────────────────────────────────

    def claim(self, worker: str) -> Job | None:
        with self._changing():
            while (row := self._next(worker)) is not None:
                if row["cancelling"]:  # nobody is left to stop it
                    self._end(row, "cancelled", "")
                    continue
                started = self._now() if row["started"] is None else row["started"]
                until = self._now() + self._lease
                return self._set(row, state="running", worker=worker, lease=until, started=started)
        return None

    def renew(self, worker: str) -> Sequence[Job]:
        """A lease that has expired, and that nobody has taken meanwhile, is prolonged too."""
        with self._changing():
            self._base.execute(RENEW, {"until": self._now() + self._lease, "worker": worker})
            rows = self._base.execute(HELD, {"worker": worker}).fetchall()
        return [job_of(row) for row in rows]

    def begun(self, job_id: str, worker: str, run: str) -> None:
        """Raises JobError where another worker has it, as `end` and `give_back` do."""
        with self._changing():
            self._set(self._leased(job_id, worker), run=run)

    def end(self, job_id: str, worker: str, state: JobState, reason: str) -> Job:
        if state not in ENDED:
            raise JobError(f"A job does not end as {state!r}.")
        with self._changing():
            return self._end(self._leased(job_id, worker), state, reason)

    def give_back(self, job_id: str, worker: str, *, due: float = 0.0, died: str = "") -> Job:
        """As the contract says; `due`: Unix time, 0 = its old one. One that is being cancelled is cancelled now."""
        with self._changing():
            row = self._leased(job_id, worker)
            deaths = row["deaths"] + bool(died)
            if row["cancelling"]:
                return self._end(row, "cancelled", "", deaths=deaths)
            if died and deaths > job_of(row).spec.resumes:
                return self._end(row, "failed", _died_for_good(deaths, died), deaths=deaths)
            return self._queue(row, due=due or row["due"], deaths=deaths, reason=died)

    def close(self) -> None:
        with self._turn:
            self._base.close()

    # ── rows ─────────────────────────────────────────────────────────────────────────────────────────

    def _next(self, worker: str) -> sqlite3.Row | None:
        names = {"now": self._now(), "worker": worker, "longest": self._now() + LONGEST}
        for statement in (ORPHANED, AHEAD, READY):
            found: sqlite3.Row | None = self._base.execute(statement, names).fetchone()
            if found is not None:
                return found
        return None

    def _row(self, job_id: str) -> sqlite3.Row:
        found: sqlite3.Row | None = self._base.execute(
            "SELECT * FROM jobs WHERE number = ?", (number_of(job_id),)
        ).fetchone()
        if found is None:
            raise no_such(job_id)
        return found

    def _leased(self, job_id: str, worker: str) -> sqlite3.Row:
        row = self._row(job_id)
        if row["state"] != "running" or row["worker"] != worker:
            holder = (
                f"worker {row['worker']} has it" if row["state"] == "running" else f"it is {row['state']}"
            )
            raise JobError(f"Job {job_id} is no longer worker {worker}'s: {holder}.")
        return row

    def _insert(self, spec: JobSpec, due: float, now: float, series: str) -> Job:
        values = (spec.spider, spec.model_dump_json(), spec.priority, due, due, now, series)
        row = self._base.execute(ADD, values).fetchone()
        return self._set(row, series=str(row["number"])) if spec.repeats and not series else job_of(row)

    def _queue(self, row: sqlite3.Row, *, reason: str = "", **values: Any) -> Job:
        return self._set(row, state="queued", worker="", lease=None, cancelling=0, reason=reason, **values)

    def _end(self, row: sqlite3.Row, state: JobState, reason: str, **values: Any) -> Job:
        now = self._now()
        job = self._set(row, state=state, reason=reason, ended=now, lease=None, cancelling=0, **values)
        if job.series and self._is_newest(row):
            self._insert(job.spec, next_due(job.spec, row["tick"], now), now, job.series)
        return job

    def _is_newest(self, row: sqlite3.Row) -> bool:
        """A job that was retried may have its successor already, or one that was cancelled with the series."""
        return self._base.execute(LATER, (row["series"], row["number"])).fetchone() is None

    def _set(self, row: sqlite3.Row, **values: Any) -> Job:
        """`values`: column → what it is from now on; columns are named in this file only."""
        columns = ", ".join(f"{name} = :{name}" for name in values)
        changed = self._base.execute(
            f"UPDATE jobs SET {columns} WHERE number = :number RETURNING *",  # noqa: S608
            {**values, "number": row["number"]},
        ).fetchone()
        return job_of(changed)

    # ── doors ────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One statement, which sees one moment of the file: it needs no place on the disk and waits for no writer."""
        with self._turn, in_words(self._path):
            self._check_there()
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._turn, in_words(self._path), Transaction(self._base):
            self._check_there()
            yield

    def _check_there(self) -> None:
        """Whoever adds a job now writes into the file that we read. Raises StorageError."""
        if _identity(self._path) != self._file:
            raise StorageError(
                f"The jobs' database {self._path} was moved or deleted while it was in use: restart the worker."
            )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _died_for_good(deaths: int, died: str) -> str:
    times = "once" if deaths == 1 else f"{deaths} times"
    return f"its process died {times}, the last time: {died}"
