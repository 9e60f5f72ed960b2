"""A store with a clock that only a test moves."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scraper.job_spec import JobSpec
from scraper.jobs.store import SqliteJobs

LEASE = 30.0


class Clock:
    """Unix time; it begins on 2027-01-15, a Friday, at 08:00 UTC."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


def spec(spider: str = "books", **told: Any) -> JobSpec:
    return JobSpec.model_validate({"spider": spider, **told})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "shop" / ".scrape" / "jobs.sqlite"


@pytest.fixture
def jobs(path, clock) -> Iterator[SqliteJobs]:
    store = SqliteJobs(path, lease=LEASE, now=clock)
    yield store
    store.close()
