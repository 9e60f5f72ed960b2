"""Rows: a job as its table has it."""

from __future__ import annotations

import sqlite3
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from scraper.errors import ArgumentError, StorageError
from scraper.job_spec import JobSpec
from scraper.protocols import Job
from scraper.schedules import following

FIRST_YEAR, LAST_YEAR = 1971, 9998  # whatever the time zone in which the time is shown


def job_of(row: sqlite3.Row) -> Job:
    """Raises StorageError for a row that no version of the framework has written."""
    try:
        spec = JobSpec.model_validate_json(row["spec"])
    except ValidationError as error:
        raise StorageError(
            f"Job {row['number']} can't be read from the jobs' database: {error.errors()[0]['msg']}."
        ) from error
    return Job(
        id=str(row["number"]),
        spec=spec,
        state=row["state"],
        created=row["created"],
        due=row["due"],
        series=row["series"],
        run=row["run"],
        reason=row["reason"],
        started=row["started"],
        ended=row["ended"],
        deaths=row["deaths"],
        worker=row["worker"],
        cancelling=bool(row["cancelling"]),
    )


def first_due(spec: JobSpec, now: float) -> float:
    """When a new job is due (Unix time); an `at` without an offset is in the spec's time zone. Raises ArgumentError."""
    if spec.cron:
        return next_due(spec, now, now)
    if spec.at is None:
        return now
    if not FIRST_YEAR <= spec.at.year <= LAST_YEAR:
        raise ArgumentError(f"A job's time is in the years {FIRST_YEAR} to {LAST_YEAR}, not {spec.at.year}.")
    return (spec.at if spec.at.tzinfo else spec.at.replace(tzinfo=ZoneInfo(spec.timezone))).timestamp()


def next_due(spec: JobSpec, tick: float, now: float) -> float:
    return following(tick, now, every=spec.every, cron=spec.cron, timezone=spec.timezone)
