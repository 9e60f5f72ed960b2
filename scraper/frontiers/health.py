"""Health: whether a run's database is whole, whether it is true, and what can be read of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scraper import stats
from scraper.frontiers.invariants import Claim, Invariants, marks_of, on_stages
from scraper.frontiers.ledger import Ledger
from scraper.frontiers.mending import mend, opens
from scraper.frontiers.salvage import salvaged
from scraper.item import REJECTED
from scraper.transactions import is_damage

MOST_PROBLEMS = 5  # of the database that are told
UNREADABLE = (sqlite3.DatabaseError, ValueError, TypeError, KeyError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `about` what, whether it is `right`, and what there is to say."""

    about: str
    right: bool
    says: str


@dataclass(frozen=True, slots=True)
class Items:
    """`readable`: those that can be written to a feed; `expected`: those there should be, None: nobody knows."""

    readable: int
    expected: int | None


@dataclass(frozen=True, slots=True)
class Examined:
    """`damaged`: whether the file is, as far as it was read. `marks`: feed → mark, those that can be read."""

    findings: Sequence[Finding]
    items: Items
    marks: Mapping[str, Any]
    damaged: bool


def examine(copy: Path, *, keep_items: bool) -> Examined:
    """Looks through a database that nobody else uses, mended where it does not open.

    `keep_items`: whether the run keeps what every feed has.
    """
    closed = opens(copy)
    if closed:
        mend(copy)
    with closing(sqlite3.connect(copy)) as base:
        health = Health(base, keep_items=keep_items, closed=closed)
        findings = list(health.findings())
        return Examined(findings, health.items(), health.marks(), health.damaged)


class Health:
    """Each finding is a few claims that are true or not; one thing that is wrong hides no other.

    `closed`: why the database could not be opened before it was mended.
    """

    def __init__(self, base: sqlite3.Connection, *, keep_items: bool, closed: str) -> None:
        self._base = base
        self._keep_items = keep_items
        self._closed = closed
        self._ledger: Ledger | None = None
        self._readable = Counter(record.kind == REJECTED for _, record in salvaged(base))
        self.damaged = bool(closed)

    def findings(self) -> Iterator[Finding]:
        yield self._look("database", self._integrity)
        yield self._look("ledger", self._read_ledger)
        if self._ledger is None:
            return  # there is nothing to compare the rest with
        told = Invariants(
            self._base, self._ledger, keep_items=self._keep_items, readable=self._readable.total()
        )
        for look in (told.counters, told.queue, told.duplicates, told.pages, told.items, told.marks):
            yield self._look(look.__name__, look)

    def items(self) -> Items:
        """Without those that were rejected: what `scrape export` writes."""
        return Items(self._readable[False], self._expected() if self._keep_items else None)

    def _expected(self) -> int | None:
        """As the ledger says; what still is on a stage comes later."""
        if self._ledger is None:
            return None
        try:
            on_stage = on_stages(self._base)[1]
        except UNREADABLE:
            on_stage = 0  # a finding says so
        return self._ledger.counters[stats.ITEMS] - on_stage

    def marks(self) -> Mapping[str, Any]:
        try:
            return marks_of(self._base)
        except UNREADABLE:
            return {}  # a finding says so

    def _look(self, about: str, look: Callable[[], Iterator[Claim]]) -> Finding:
        try:
            claims = list(look())
        except sqlite3.DatabaseError as error:
            self.damaged |= is_damage(error)
            return Finding(about, False, f"can't be read: {error}")
        except (ValueError, TypeError, KeyError) as error:
            return Finding(about, False, f"can't be understood: {error}")
        wrong = [words for words, true in claims if not true]
        return Finding(about, not wrong, "; ".join(wrong or [words for words, _ in claims]))

    # ── the file ─────────────────────────────────────────────────────────────────────────────────────

    def _integrity(self) -> Iterator[Claim]:
        if self._closed:
            yield f"can't be opened: {self._closed}", False
            return
        found = self._base.execute(f"PRAGMA integrity_check({MOST_PROBLEMS})")
        lines = [
            line.strip() for (told,) in found for line in told.splitlines() if not line.startswith("***")
        ]
        if lines != ["ok"]:
            self.damaged = True
            yield f"is damaged: {'; '.join(lines[:MOST_PROBLEMS])}", False
            return
        pages, octets = (
            self._base.execute(f"PRAGMA page_{what}").fetchone()[0] for what in ("count", "size")
        )
        yield f"no damage in {pages:,} pages of {octets:,} bytes", True

    def _read_ledger(self) -> Iterator[Claim]:
        row = self._base.execute("SELECT state FROM ledger").fetchone()
        if row is None:
            yield "is empty", False
            return
        self._ledger = Ledger.decode(row[0])
        yield f"{self._ledger.seq:,} requests and {self._ledger.item_seq:,} items were committed", True
