"""Results: what a crawl of the market has brought, in a form that can be compared."""

import csv
import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scraper.runs import Runs
from tests.faults.life import FEEDS, RUN

COUNTED = ("queued", "done", "failed", "items", "items_rejected", "refused/robots")


@dataclass(frozen=True)
class Results:
    feeds: dict[str, Counter[str]]  # by file, whatever the order
    rejected: Counter[str]
    dead: list[tuple[Any, ...]]
    state: dict[str, Any]
    counters: dict[str, int]


def results(root: Path) -> Results:
    run = Runs(root).get(RUN)
    with closing(sqlite3.connect(run.database)) as base:
        dead = base.execute("SELECT url, why, status, attempts FROM dead").fetchall()
        [state] = base.execute("SELECT value FROM memory WHERE owner = 'state'").fetchone()
    return Results(
        {feed: _lines(root / feed.rpartition(":")[2]) for feed in FEEDS},
        Counter(_without_host(line) for line in run.rejected.read_text().splitlines()),
        sorted((_without_host(url), *rest) for url, *rest in dead),
        json.loads(state),
        {name: run.info.counters.get(name, 0) for name in COUNTED},
    )


def _lines(file: Path) -> Counter[str]:
    text = "" if file.suffix == ".sqlite" else file.read_text("utf-8")
    match file.suffix:
        case ".jsonl":
            return Counter(map(_again, text.splitlines()))
        case ".json":
            return Counter(json.dumps(item) for item in json.loads(text))
        case ".csv":
            return Counter(json.dumps(row) for row in csv.reader(text.splitlines()))
        case _:
            return _rows(file)


def _again(line: str) -> str:
    """Parsed, so that half a line is no line."""
    return json.dumps(json.loads(line))


def _rows(file: Path) -> Counter[str]:
    with closing(sqlite3.connect(file)) as base:
        tables = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return Counter(
            repr((name, sorted(map(repr, row))))
            for (name,) in tables
            for row in base.execute(f'SELECT * FROM "{name}"')
        )


def _without_host(text: str) -> str:
    """URLs begin with the market's port and the crawl's name."""
    if text.startswith("http"):
        return "/" + urlsplit(text).path.split("/", 2)[2]
    told = json.loads(text)
    return json.dumps({**told, "url": _without_host(told["url"])}) if "url" in told else text
