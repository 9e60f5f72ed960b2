"""The archive: a run's database read from outside, while it lives or after."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from scraper.errors import RunError, StorageError
from scraper.frontiers.ledger import Ledger
from scraper.frontiers.schema import VERSION, in_words
from scraper.frontiers.stages import _unpacked
from scraper.item import REJECTED, Record
from scraper.protocols import Child
from scraper.request import Request


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A request that failed for good. `at`: Unix seconds."""

    url: str
    reason: str
    status: int | None
    attempts: int
    at: float


@dataclass(frozen=True, slots=True)
class Kind:
    """The items of one class in a run: how many, and the keys of the first."""

    count: int
    fields: list[str]


class Archive:
    """Reads only; a crawl that writes at the same time is not held up.

    Every method raises StorageError where the database can't be read, RunError where it has another format or
    nothing in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def format(self) -> int:
        """The version of the tables; 0 where the run ended before it made them."""
        with opened(self._path) as base:
            return _format(base)

    def ledger(self) -> Ledger:
        """As of the last commit."""
        with reading(self._path) as base:
            row = base.execute("SELECT state FROM ledger").fetchone()
        return Ledger.decode(row[0]) if row else Ledger()

    def counters(self) -> Counter[str]:
        return self.ledger().counters

    # ── dead letters ─────────────────────────────────────────────────────────────────────────────────

    def dead_letters(self, reason: str | None = None) -> Iterator[DeadLetter]:
        """Those that failed for one `reason`, or all, in the order in which they were first queued."""
        with reading(self._path) as base:
            for row in base.execute(
                "SELECT url, why, status, attempts, at FROM dead WHERE :why IS NULL OR why = :why ORDER BY seq",
                {"why": reason},
            ):
                yield DeadLetter(*row)

    def failures(self) -> Counter[str]:
        """How many dead letters there are of each reason."""
        with reading(self._path) as base:
            return Counter(dict(base.execute("SELECT why, count(*) FROM dead GROUP BY why")))

    # ── items ────────────────────────────────────────────────────────────────────────────────────────

    async def items(self, after: int, limit: int) -> Sequence[tuple[int, Record]]:
        """As the frontier's; of a damaged database `salvaged` brings more."""
        with reading(self._path) as base:
            rows = base.execute(
                "SELECT seq, id, kind, json FROM items WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            )
            return [(seq, Record(identity, kind, json)) for seq, identity, kind, json in rows]

    def kinds(self) -> dict[str, Kind]:
        """The classes of the run's items; not those that were rejected."""
        with reading(self._path) as base:
            rows = base.execute(
                "SELECT items.kind, n, json FROM items JOIN (SELECT min(seq) AS first, count(*) AS n FROM items"
                " WHERE kind != ? GROUP BY kind) ON items.seq = first",
                (REJECTED,),
            )
            return {kind: Kind(count, list(orjson.loads(json))) for kind, count, json in rows}

    # ── what waits ───────────────────────────────────────────────────────────────────────────────────

    def waiting_methods(self) -> Counter[str]:
        """Which callbacks and errbacks the queue waits for, and how often."""
        waiting: Counter[str] = Counter()
        with reading(self._path) as base:
            for role in ("callback", "errback"):
                for table in ("queue", "delayed"):
                    named = f"SELECT json_extract(CAST(request AS TEXT), '$.{role}'), count(*) FROM {table} GROUP BY 1"  # noqa: S608  # our own names
                    waiting.update({name: count for name, count in base.execute(named) if name})
            for _, child in staged(base):
                request = Request.decode(child.request)
                waiting.update(str(name) for name in (request.callback, request.errback) if name)
        return waiting

    def memory(self, owner: str) -> Mapping[str, Any]:
        """What a part of the crawl has kept, by its own keys."""
        with reading(self._path) as base:
            rows = base.execute("SELECT key, value FROM memory WHERE owner = ?", (owner,))
            return {key: orjson.loads(value) for key, value in rows}


def staged(base: sqlite3.Connection) -> Iterator[tuple[int, Child]]:
    """The requests of pages that were committed with more outputs than one commit takes; and the page's seq."""
    rows = base.execute(
        "SELECT page, heads, ids, bodies FROM staged JOIN stages USING (page) WHERE state = 'live' ORDER BY part"
    )
    for page, *packed in rows:
        yield from ((page, output) for output in _unpacked(*packed) if isinstance(output, Child))


# ── a connection that only reads ─────────────────────────────────────────────────────────────────────────


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A database with this version's tables. Raises StorageError, RunError."""
    with opened(path) as base:
        found = _format(base)
        if found == 0:
            raise RunError(f"Run {path.parent.name} ended before its first commit: there is nothing in it.")
        if found != VERSION:
            raise RunError(
                f"Run {path.parent.name} was written by another version of the framework"
                f" (format {found}, not {VERSION}): use that version to read it."
            )
        yield base


def check_format(path: Path) -> None:
    """Raises RunError where another version wrote it or nothing is in it; of a damaged one nobody can tell."""
    with suppress(StorageError), reading(path):
        pass


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Whatever is in it. Raises StorageError, in words."""
    with in_words(path):
        base = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        try:
            yield base
        finally:
            base.close()


def _format(base: sqlite3.Connection) -> int:
    version: int = base.execute("PRAGMA user_version").fetchone()[0]
    return version
