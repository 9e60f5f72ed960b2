"""The archive: a run's database read from outside, while it lives or after."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from scraper.frontiers.ledger import Ledger
from scraper.frontiers.schema import in_words
from scraper.item import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A request that failed for good. `at`: Unix seconds."""

    url: str
    reason: str
    status: int | None
    attempts: int
    at: float


class Archive:
    """Reads only; a crawl that writes at the same time is not held up."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def dead_letters(self) -> Iterator[DeadLetter]:
        with self._open() as base:
            for row in base.execute("SELECT url, why, status, attempts, at FROM dead ORDER BY seq"):
                yield DeadLetter(*row)

    def counters(self) -> Counter[str]:
        """As of the last commit."""
        with self._open() as base:
            row = base.execute("SELECT state FROM ledger").fetchone()
        return Ledger.decode(row[0]).counters if row else Counter()

    async def items(self, after: int, limit: int) -> Sequence[tuple[int, Record]]:
        """As the frontier's: so that a feed can be written from a run that nobody works on."""
        with self._open() as base:
            rows = base.execute(
                "SELECT seq, id, kind, json FROM items WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            )
            return [(seq, Record(identity, kind, json)) for seq, identity, kind, json in rows]

    def waiting_methods(self) -> Counter[str]:
        """Which callbacks and errbacks the queue waits for, and how often."""
        waiting: Counter[str] = Counter()
        with self._open() as base:
            for table in ("queue", "delayed", "staged"):
                column = "body" if table == "staged" else "request"
                where = "WHERE kind IS NULL" if table == "staged" else ""
                for role in ("callback", "errback"):
                    query = f"SELECT json_extract(CAST({column} AS TEXT), '$.{role}'), count(*) FROM {table} {where} GROUP BY 1"  # noqa: S608, E501  # our own names
                    waiting.update({name: count for name, count in base.execute(query) if name})
        return waiting

    def item_fields(self) -> dict[str, list[str]]:
        """For each kind of item in the run, the keys of its first one."""
        with self._open() as base:
            rows = base.execute(
                "SELECT kind, json FROM items WHERE seq IN (SELECT min(seq) FROM items GROUP BY kind)"
            )
            return {kind: list(orjson.loads(json)) for kind, json in rows}

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with in_words(self._path):
            base = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
            try:
                yield base
            finally:
                base.close()
