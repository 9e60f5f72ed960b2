"""The harvest of a crawl: everything that it has brought, whatever the order, and how two differ."""

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scraper.frontiers.archive import Archive
from scraper.runs import Run
from scraper.sinks.choose import FORMATS
from tests.kills.evidence import Evidence
from tests.kills.maze import Maze

Harvest = Mapping[str, Counter[Any]]  # a part of it → each thing, and how often it is there

COUNTED = ("queued", "done", "failed", "refused/robots", "dropped/offsite", "items", "items_rejected")
SHOWN = 40  # differences in a failure's message
WORK = ("queue", "delayed", "delivered", "stages", "staged")  # tables that are empty when all is done


def json_lines(file: Path) -> Counter[Any]:
    return Counter(file.read_text("utf-8").splitlines())


def json_array(file: Path) -> Counter[Any]:
    return Counter(json.dumps(item) for item in json.loads(file.read_bytes()))


def csv_rows(file: Path) -> Counter[Any]:
    with file.open(encoding="utf-8", newline="") as text:
        return Counter(tuple(row) for row in csv.reader(text))


def sqlite_rows(file: Path) -> Counter[Any]:
    found: Counter[Any] = Counter()
    with closing(sqlite3.connect(file)) as base:
        for (table,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            found.update((table, *row) for row in base.execute(f'SELECT * FROM "{table}"'))
    return found


READERS: dict[str, Callable[[Path], Counter[Any]]] = {
    ".jsonl": json_lines,
    ".json": json_array,
    ".csv": csv_rows,
    ".sqlite": sqlite_rows,
}
ENDINGS = list({sink: ending for ending, sink in reversed(FORMATS.items())}.values())  # one for each format


def harvest(run: Run, feeds: Sequence[Path], site: Maze) -> Harvest:
    archive, evidence = Archive(run.database), Evidence(run.database)
    counters = archive.counters()
    dead = ((path_of(one.url), one.reason, one.status, one.attempts) for one in archive.dead_letters())
    return {
        **{feed.name: READERS[feed.suffix](feed) for feed in feeds},
        "rejected": Counter(rejected(run.rejected)),
        "dead letters": Counter(dead),
        "state": Counter(state(evidence)),
        "counters": Counter({name: counters[name] for name in COUNTED}),
        "asked for": Counter(site.asked),
        "left to do": Counter(
            {table: evidence.rows(f"SELECT count(*) FROM {table}")[0][0] for table in WORK}
        ),
    }


def rejected(file: Path) -> Iterator[str]:
    for line in file.read_text("utf-8").splitlines():
        told = json.loads(line)
        yield json.dumps(told | {"url": path_of(told["url"])})


def path_of(url: str) -> str:
    """Each site has a port of its own, and which of a room's doors is taken first is a matter of luck."""
    return urlsplit(url).path


def state(evidence: Evidence) -> Iterator[str]:
    """What the spider's `state` holds, key by key."""
    for (stored,) in evidence.rows("SELECT value FROM memory WHERE owner = 'state'"):
        for key, value in json.loads(stored).items():
            yield f"{key} = {json.dumps(value, sort_keys=True)}"


def check_same(expected: Harvest, found: Harvest) -> None:
    """Says what is missing (-) and what is too much (+)."""
    lines = []
    for part in expected:
        for sign, more in (("-", expected[part] - found[part]), ("+", found[part] - expected[part])):
            lines += [f"{sign} {part}: {times} × {thing}" for thing, times in more.items()]
    assert not lines, "\n".join([f"{len(lines)} differences", *lines[:SHOWN]])
