"""Tidying: what old jobs leave behind goes, so that a worker can run for years on one disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import structlog

from scraper.errors import NoSuchJob, RunError, StorageError
from scraper.jobs.log_files import rotated
from scraper.jobs.places import log_file, logs_folder
from scraper.project import Project
from scraper.protocols import Job, JobState, JobStore
from scraper.pruning import delete, forget_claims, prunable, sweep
from scraper.runs import Run, Runs
from scraper.standing import standing

log = structlog.get_logger()

JOBS_KEPT = 1_000  # ended jobs of a spider that the store remembers
_LOG = re.compile(r"([1-9][0-9]{0,17})\.log(?:\.[0-9]+)?")
UNDER_WAY: tuple[JobState, ...] = ("queued", "running")


def tidy(project: Project, store: JobStore, spider: str, *, keep_runs: int) -> None:
    """After a job of the spider has ended; blocks, so it belongs in a thread, one at a time.

    Deletes the spider's finished runs but the `keep_runs` newest (0 = none is deleted): none that can be resumed, in
    which a process works, or that a job under way points to. Of the jobs that have ended, the store remembers the
    JOBS_KEPT newest of each spider. With a run, or a job, goes its log. Raises StorageError where the store fails; a
    run that can't be deleted is left, with a warning.
    """
    runs = Runs(project.root)
    pruned = [run for run in _old(runs, store, spider, keep_runs) if _pruned(run, runs)] if keep_runs else []
    forgotten = store.forget(spider, keep=JOBS_KEPT)
    if pruned:
        sweep(runs)
        forget_claims(runs)
    if pruned or forgotten:
        _forget_logs(project.root, runs, store)


def _old(runs: Runs, store: JobStore, spider: str, keep: int) -> list[Run]:
    wanted = {job.run for job in store.list(states=UNDER_WAY, spider=spider, limit=-1)}
    over = [run for run in runs.all() if run.info.spider == spider and not run.info.resumable]
    return [run for run in over[keep:] if run.info.id not in wanted]


def _pruned(run: Run, runs: Runs) -> bool:
    try:
        for one in prunable([standing(run)]):  # none, where a process works on it
            delete(one, runs)
            return True
    except (RunError, StorageError) as error:
        log.warning("a run was not pruned", run=run.info.id, problem=str(error))
    return False


def _forget_logs(root: Path, runs: Runs, store: JobStore) -> None:
    for job_id in sorted(set(_logged(logs_folder(root)))):
        if _is_over(job_id, runs, store):
            for file in rotated(log_file(root, job_id)):
                file.unlink(missing_ok=True)


def _logged(folder: Path) -> Iterator[str]:
    """The ids of the jobs that have log files."""
    for file in folder.glob("*.log*"):
        if found := _LOG.fullmatch(file.name):
            yield found[1]


def _is_over(job_id: str, runs: Runs, store: JobStore) -> bool:
    """Whether its job is forgotten, or its run is gone."""
    try:
        job = store.get(job_id)
    except NoSuchJob:
        return True
    return job.state not in UNDER_WAY and bool(job.run) and not _is_there(job, runs)


def _is_there(job: Job, runs: Runs) -> bool:
    return (runs.folder / job.run).is_dir()
