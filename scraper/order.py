"""Order: what to crawl; and how a crawl stands and ends, for whoever asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scraper.protocols import Client, Counts
from scraper.runs import Run, State
from scraper.settings import Settings
from scraper.spider import Spider
from scraper.stats import Stats


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`max_time`: seconds; 0 = no limit. `resume`: a run to go on with. `client`: instead of the settings' own."""

    spider: Spider
    settings: Settings
    root: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    feeds: Sequence[str] = ()
    append: bool = False
    file: str | None = None
    run_id: str | None = None
    resume: Run | None = None
    max_pages: int = 0
    max_items: int = 0
    max_time: float = 0.0
    client: Client | None = None


@dataclass(frozen=True, slots=True)
class Result:
    run_id: str
    folder: Path
    state: State
    reason: str
    counters: Mapping[str, int]  # of all the run's lives
    before: Mapping[str, int]  # what they were when this life began
    elapsed: float  # seconds, of this life
    waiting_until: float | None  # Unix time
    resumable: bool
    exit_code: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How a crawl stands at this moment."""

    run_id: str
    counts: Counts
    stats: Stats
    in_flight: int
    elapsed: float
    seeding: bool
    stopping: str | None
