"""Pruning: runs that nobody will go on with are deleted, each whole or not at all."""

from __future__ import annotations

import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scraper.errors import RunError, StorageError
from scraper.frontiers.copying import PREFIX as COPY
from scraper.runs import Runs
from scraper.sinks.choose import parse_feed
from scraper.standing import Standing

PRUNED = ".pruned-"  # of a run's folder on its way out
UNNAMED = ".new-"  # of one on its way in
STALE = 86_400.0  # seconds after which a copy or a new folder is nobody's work any more


def prunable(
    runs: Sequence[Standing],
    *,
    keep: int = 0,
    older_than: float = 0.0,
    unfinished: bool = False,
    now: Callable[[], float] = time.time,
) -> list[Standing]:
    """Of the runs, newest first, those to delete: none that a process works on, none that can be resumed unless
    `unfinished`. Of the others the `keep` newest of each spider stay, and those that ended less than `older_than`
    seconds ago.
    """
    rank: Counter[str] = Counter()
    chosen = []
    for one in runs:
        info = one.run.info
        if one.run.alive or (info.resumable and not unfinished):
            continue
        rank[info.spider] += 1
        if rank[info.spider] > keep and now() - (one.ended or info.started) >= older_than:
            chosen.append(one)
    return chosen


def delete(one: Standing, runs: Runs) -> None:
    """Out of the runs in one step, then from the disk; what a kill leaves in between, the next `sweep` removes.

    Raises RunError where a process works on the run or has worked on it since it was looked at, StorageError where
    it can't be deleted.
    """
    folder = one.run.folder
    aside = folder.with_name(f"{PRUNED}{folder.name}-{secrets.token_hex(4)}")
    try:
        with one.run.locked():
            if runs.get(folder.name).info != one.run.info:
                raise RunError(f"Run {folder.name} has changed meanwhile.")
            folder.rename(aside)
        shutil.rmtree(aside)
    except OSError as error:
        raise StorageError(f"{folder} can't be deleted: {error.strerror}.") from error


def sweep(runs: Runs, *, now: Callable[[], float] = time.time) -> None:
    """Removes what killed processes left beside the runs. Raises StorageError."""
    try:
        for folder in _left_behind(runs.folder, now()):
            shutil.rmtree(folder)
    except FileNotFoundError:
        return  # another prune removes the same
    except OSError as error:
        raise StorageError(f"{error.filename} can't be deleted: {error.strerror}.") from error


def _left_behind(folder: Path, now: float) -> Iterator[Path]:
    if folder.is_dir():
        yield from folder.glob(f"{PRUNED}*")
        for prefix in (COPY, UNNAMED):
            yield from (found for found in folder.glob(f"{prefix}*") if now - found.stat().st_mtime > STALE)


def forget_claims(runs: Runs) -> int:
    """Drops the notes about feeds that runs wrote which are gone; how many.

    A note stays while some run would go on with the file: it says that its content is another's.
    """
    notes = runs.claims._folder
    if not notes.is_dir():
        return 0
    writers = {note: note.read_text("utf-8") for note in notes.iterdir()}
    # after the notes: a run has its folder before it has a note
    there = {folder.name for folder in runs.folder.iterdir()}
    wanted = {runs.claims._note(path) for run in runs.all() for path in _files(run.info.feeds)}
    gone = [note for note, writer in writers.items() if writer not in there and note not in wanted]
    for note in gone:
        note.unlink(missing_ok=True)
    return len(gone)


def _files(feeds: Sequence[str]) -> Iterator[Path]:
    paths = (parse_feed(text).path for text in feeds)
    return (path for path in paths if path is not None)
