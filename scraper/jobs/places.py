"""Places: where the jobs of a project are kept, and what each of them has logged."""

from __future__ import annotations

import re
from pathlib import Path

from scraper.errors import NoSuchJob

_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def jobs_file(root: Path) -> Path:
    return root / ".scrape" / "jobs.sqlite"


def logs_folder(root: Path) -> Path:
    return root / ".scrape" / "jobs"


def log_file(root: Path, job_id: str) -> Path:
    """What the job logs; older ones beside it as `.log.1` (the newest of them), `.log.2` … Raises NoSuchJob."""
    return logs_folder(root) / f"{number_of(job_id)}.log"


def number_of(job_id: str) -> int:
    """Raises NoSuchJob for what can't be an id: nothing else ever becomes a file's name."""
    if not _ID.fullmatch(job_id):
        raise no_such(job_id)
    return int(job_id)


def no_such(job_id: str) -> NoSuchJob:
    shown = job_id if len(job_id) <= 40 else f"{job_id[:40]}…"
    return NoSuchJob(f"There is no job {shown!r} in this project. `scrape jobs list` shows those there are.")
