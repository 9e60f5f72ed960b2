"""Which run a job goes on with, and with what words: a job has one run, in as many processes as it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

import structlog

from scraper import stats
from scraper.errors import RunError
from scraper.frontiers.archive import Archive
from scraper.layers import override_layer
from scraper.order import Order
from scraper.ordering import check_fits, new_order, resumed_order
from scraper.project import Project
from scraper.resuming import RESUME_MAY_CHANGE
from scraper.runs import Run, Runs
from scraper.worker.asked import feed_names
from scraper.worker.words import Ended, Task

log = structlog.get_logger()

LOOK = 0.1  # seconds between two looks at another's lock: it rings no bell


def run_of(task: Task, runs: Runs) -> Run | None:
    """The one that the job has begun. The store need not know it: a worker may die just before it is told."""
    if task.run and _is_there(runs, task.run):
        return runs.get(task.run)
    for name in _names(task):
        if not _is_there(runs, name):
            return None
        run = runs.get(name)
        if run.info.started >= task.made:  # an older one is of a job in a store that is no more
            return run
    return None


def free_name(task: Task, runs: Runs) -> str:
    return next(name for name in _names(task) if not (runs.folder / name).exists())


def _names(task: Task) -> Iterator[str]:
    first = f"{task.spec.spider}-job{task.job}"
    yield first
    yield from (f"{first}-{number}" for number in count(2))


def _is_there(runs: Runs, name: str) -> bool:
    return (runs.folder / name / "run.json").is_file()


def freed(run: Run, runs: Runs, *, patience: float, stopped: Callable[[], bool]) -> Run | None:
    """The run as it stands once no other process works on it; None if that takes too long, or `stopped()`."""
    end = time.monotonic() + patience
    if run.alive:
        log.warning("another process still works on the run", run=run.info.id)
    while run.alive:
        if stopped() or time.monotonic() > end:
            return None
        time.sleep(LOOK)
    return runs.get(run.info.id)


def ended(run: Run, task: Task) -> Ended | None:
    """How a run ended that has nothing left to do: its process, or the worker, died before that was written down."""
    info = run.info
    if info.state == "finished":
        return _told("finished", info.reason, info.counters, info.settings.get("max_failed", 0.0))
    counters = counters_of(run)
    if task.spec.max_pages and _pages(counters) >= task.spec.max_pages:
        return _told("stopped", "max_pages", counters, info.settings.get("max_failed", 0.0))
    if task.spec.max_items and counters.get(stats.ITEMS, 0) >= task.spec.max_items:
        return _told("stopped", "max_items", counters, info.settings.get("max_failed", 0.0))
    return None


def _told(state: str, reason: str, counters: Mapping[str, int], max_failed: float) -> Ended:
    tried = counters.get(stats.DONE, 0) + counters.get(stats.FAILED, 0)
    too_many = counters.get(stats.FAILED, 0) > max_failed * tried
    code = 1 if too_many or reason == "start() raised" else 0
    return Ended(state, why(reason, code, counters), code)


def why(reason: str, exit_code: int, counters: Mapping[str, int]) -> str:
    """The reason of an end, with the failed pages where they are it."""
    failed, done = counters.get(stats.FAILED, 0), counters.get(stats.DONE, 0)
    if exit_code == 1 and failed and reason in ("", "max_pages", "max_items", "max_time"):
        return f"{failed:,} of {failed + done:,} pages failed"
    return reason


def counters_of(run: Run) -> Mapping[str, int]:
    """Of all its lives, whether they ended well or not."""
    return Archive(run.database).counters() if run.database.is_file() else {}


# ── the order ────────────────────────────────────────────────────────────────────────────────────────────


def order_of(task: Task, run: Run | None, name: str, project: Project) -> Order:
    """Of the job's next life; `name`: its run's. Limits are those of all its lives. Raises UsageError."""
    spec, grace = task.spec, f"grace={task.grace}"
    if run is None:
        return new_order(
            project,
            project.spider(spec.spider),
            arguments=spec.arguments,
            overrides=[*spec.settings, grace],
            feeds=feed_names(spec, job=task.job, run=name, date=task.day),
            append=spec.append,
            run_id=name,
            max_pages=spec.max_pages,
            max_items=spec.max_items,
            max_time=spec.max_time,
        )
    if run.info.settings.get("frontier", {}).get("kind") == "memory":
        raise RunError(
            f'Run {run.info.id} kept its queue in memory (frontier = "memory"), and its process is gone: it can\'t go'
            " on. Add the job again."
        )
    order = resumed_order(
        project,
        run,
        arguments=spec.arguments,
        overrides=[*_changes(spec.settings), grace],
        max_time=spec.max_time,
    )
    counters = counters_of(run)
    check_fits(order)
    return replace(
        order,
        max_pages=spec.max_pages and spec.max_pages - _pages(counters),
        max_items=spec.max_items and spec.max_items - counters.get(stats.ITEMS, 0),
    )


def _changes(settings: Sequence[str]) -> list[str]:
    """Those that a run does not keep for itself, or that may be others by now."""
    return [pair for pair in settings if override_layer([pair]).values.keys() <= RESUME_MAY_CHANGE]


def _pages(counters: Mapping[str, int]) -> int:
    ended = counters.get(stats.DONE, 0) + counters.get(stats.FAILED, 0)
    return ended + stats.add_up(counters, stats.REFUSED)
