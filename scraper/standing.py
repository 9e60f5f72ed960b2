"""Standing: how a run stands, seen from outside while it lives or after."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scraper.errors import RunError, StorageError
from scraper.frontiers.archive import Archive
from scraper.frontiers.ledger import Ledger
from scraper.runs import Run, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`waiting`: requests in the queue, None where it can't be known. `ended`: Unix seconds, of a crash the last
    sign of life; None while the run lives. `seconds`: from its first start to its end, pauses included. `size`:
    bytes on the disk. `problem`: why its database can't be read.
    """

    run: Run
    state: State
    counters: Mapping[str, int]
    waiting: int | None
    ended: float | None
    size: int
    problem: str = ""

    @property
    def reason(self) -> str:
        """Why it ended; what run.json says of a life before the last is no news."""
        return self.run.info.reason if self.state == self.run.info.state != "running" else ""

    @property
    def resumable(self) -> bool:
        """Whether there is something to go on with, and nobody at it."""
        return self.run.info.resumable and self.state != "running"

    @property
    def seconds(self) -> float:
        return max(0.0, (self.ended or time.time()) - self.run.info.started)


def standing(run: Run) -> Standing:
    """Never raises for what is in the run's folder."""
    info = run.info
    ledger, problem = _ledger(run)
    alive = info.state == "running" and run.alive
    crashed = info.state == "running" and not alive
    return Standing(
        run=run,
        state="crashed" if crashed else info.state,
        counters=info.counters if ledger is None else ledger.counters,
        waiting=None if ledger is None else ledger.queued + ledger.staged,
        ended=None if alive else _last_sign(run) if crashed else info.ended or _last_sign(run),
        size=size_of(run.folder),
        problem=problem,
    )


def _ledger(run: Run) -> tuple[Ledger | None, str]:
    """None where the run has none, and what is wrong with it."""
    if not run.database.is_file():
        return None, ""
    try:
        return Archive(run.database).ledger(), ""
    except (StorageError, RunError) as error:
        return None, str(error)


def _last_sign(run: Run) -> float:
    """When it last committed (Unix seconds)."""
    written = (run.database.with_name(f"{run.database.name}{ending}") for ending in ("", "-wal"))
    return max((file.stat().st_mtime for file in written if file.is_file()), default=run.info.started)


def size_of(folder: Path) -> int:
    """Bytes in the files of a folder; what vanishes meanwhile counts nothing."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    for file in folder.rglob("*"):
        try:
            yield file.stat().st_size if file.is_file() else 0
        except FileNotFoundError:
            continue
