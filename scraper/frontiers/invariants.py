"""Invariants: what must be true of a run's tables after every commit, each as a claim in words."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from scraper import stats
from scraper.frontiers.archive import staged
from scraper.frontiers.ledger import Ledger
from scraper.frontiers.seen import SIZE
from scraper.request import Request
from scraper.stats import add_up
from scraper.urls import lane

# ruff: noqa: S608  # our own words only
Claim = tuple[str, bool]  # in words, and whether it is true

KNOWN = "EXISTS (SELECT 1 FROM {known} WHERE {known}.id = {table}.id AND {known}.seq = {table}.seq)"


class Invariants:
    """`keep_items`: whether the run keeps what every feed has. `readable`: items that can be read, rejected ones too.

    Every method raises sqlite3.DatabaseError, or ValueError for what can't be understood.
    """

    def __init__(self, base: sqlite3.Connection, ledger: Ledger, *, keep_items: bool, readable: int) -> None:
        self._base = base
        self._ledger = ledger
        self._counters = ledger.counters
        self._keep_items = keep_items
        self._readable = readable

    def counters(self) -> Iterator[Claim]:
        """stats.py: requested = queued + dropped/*   ·   queued = done + failed + refused/* + waiting."""
        counted, waiting, on_stage = self._counters, self._ledger.queued, on_stages(self._base)[0]
        requested, queued = counted[stats.REQUESTED], counted[stats.QUEUED]
        dropped, refused = add_up(counted, stats.DROPPED), add_up(counted, stats.REFUSED)
        done, failed = counted[stats.DONE], counted[stats.FAILED]
        yield _equal(
            f"{requested:,} requested",
            f"{queued:,} queued + {dropped:,} dropped{f' + {on_stage:,} on a stage' if on_stage else ''}",
            requested - queued - dropped - on_stage,
        )
        yield _equal(
            f"{queued:,} queued",
            f"{done:,} done + {failed:,} failed + {refused:,} refused + {waiting:,} waiting",
            queued - done - failed - refused - waiting,
        )
        for name in (stats.FAILED, stats.RETRIED):
            by_reason = add_up(counted, name)
            if counted[name] != by_reason:
                yield f"{counted[name]:,} {name} ≠ {by_reason:,} by their reasons", False

    def queue(self) -> Iterator[Claim]:
        delayed = self._count("delayed")
        waiting, told = self._count("queue") + delayed, self._ledger.queued
        yield f"{waiting:,} requests wait, {delayed:,} of them for their time", waiting == told
        if waiting != told:
            yield f"the ledger says {told:,}", False
        if unreadable := sum(self._unreadable(table) for table in ("queue", "delayed", "dead")):
            yield f"{unreadable:,} requests can't be understood", False
        on_stage = sum(on_stages(self._base))
        if on_stage != self._ledger.staged:
            yield f"{on_stage:,} outputs are on a stage, the ledger says {self._ledger.staged:,}", False
        lost = self._one(
            "SELECT count(*) FROM delivered d LEFT JOIN queue q ON (q.lane, q.rank, q.seq) = (d.lane, d.rank, d.seq)"
            " WHERE q.seq IS NULL"
        )
        if lost:
            yield f"{lost:,} that were on the wire are not in the queue", False

    def duplicates(self) -> Iterator[Claim]:
        self._unpack_recent()
        unmoved = "SELECT count(*) FROM fresh WHERE NOT EXISTS (SELECT 1 FROM seen WHERE seen.id = fresh.id)"
        known = self._count("seen") + self._one(unmoved)
        yield (
            f"{known:,} identities are known, one for each request ever queued",
            known == self._counters[stats.QUEUED],
        )
        for table in ("queue", "delayed", "pages", "dead"):
            neither = " AND ".join(
                f"NOT {KNOWN.format(known=known, table=table)}" for known in ("seen", "fresh")
            )
            if strange := self._one(f"SELECT count(*) FROM {table} WHERE {neither}"):
                yield f"{strange:,} of {table} are unknown: they could be queued again", False

    def _unpack_recent(self) -> None:
        """A row for each identity that is on its way into `seen`: some hundred thousand at most."""
        self._base.execute("CREATE TEMP TABLE fresh (id BLOB PRIMARY KEY, seq INTEGER) WITHOUT ROWID")
        for first, ids in self._base.execute("SELECT first, ids FROM recent").fetchall():
            named = ((ids[at : at + SIZE], first + at // SIZE) for at in range(0, len(ids), SIZE))
            self._base.executemany("INSERT OR IGNORE INTO fresh VALUES (?, ?)", named)

    def pages(self) -> Iterator[Claim]:
        ended = Counter(dict(self._base.execute("SELECT outcome, count(*) FROM pages GROUP BY outcome")))
        yield f"{ended.total():,} ended, {ended['failed']:,} of them failed", True
        refused = add_up(self._counters, stats.REFUSED)
        for name, told in (
            ("done", self._counters[stats.DONE]),
            ("failed", self._counters[stats.FAILED]),
            ("refused", refused),
        ):
            if ended[name] != told:
                yield f"{ended[name]:,} pages are {name}, the counters say {told:,}", False
        failed, dead = "SELECT seq FROM pages WHERE outcome = 'failed'", "SELECT seq FROM dead"
        if unburied := self._one(f"SELECT count(*) FROM ({failed} EXCEPT {dead})"):
            yield f"{unburied:,} failed pages have no dead letter", False
        if undead := self._one(f"SELECT count(*) FROM ({dead} EXCEPT {failed})"):
            yield f"{undead:,} dead letters have no failed page", False
        waiting = "SELECT seq FROM queue UNION ALL SELECT seq FROM delayed"
        if both := self._one(f"SELECT count(*) FROM ({waiting}) JOIN pages USING (seq)"):
            yield f"{both:,} requests wait that have ended already", False

    def items(self) -> Iterator[Claim]:
        """Their places in the run's order have no gap: what is not there is lost."""
        count, last = self._base.execute("SELECT count(*), coalesce(max(seq), 0) FROM items").fetchone()
        ended = self._ledger.item_seq
        yield f"{self._readable:,} can be read", True
        if last > ended:
            yield f"there are items after the last that was committed ({last:,}, not {ended:,})", False
        missing = max(ended, last) - self._forgotten() - count
        if missing:
            yield f"{missing:,} of {ended:,} are missing", False
        if unreadable := count - self._readable:
            yield f"{unreadable:,} can't be understood", False
        told = self._counters[stats.ITEMS] + self._counters[stats.ITEMS_REJECTED]
        found = max(ended, last) + on_stages(self._base)[1]
        if found != told:
            yield f"{found:,} were kept, the counters say {told:,}", False

    def _forgotten(self) -> int:
        """Items that every feed has, where those are not kept."""
        covered = (mark["seq"] for mark in marks_of(self._base).values())
        return 0 if self._keep_items else min(covered, default=0)

    def marks(self) -> Iterator[Claim]:
        marks = marks_of(self._base)
        yield f"{len(marks):,} feeds have one", True
        ended = self._ledger.item_seq
        for feed, mark in marks.items():
            if mark["seq"] > ended:
                yield f"that of {feed} is {mark['seq']:,}, after the last item ({ended:,})", False

    # ── counting ─────────────────────────────────────────────────────────────────────────────────────

    def _one(self, query: str) -> int:
        number: int = self._base.execute(query).fetchone()[0]
        return number

    def _count(self, table: str) -> int:
        return self._one(f"SELECT count(*) FROM {table}")

    def _unreadable(self, table: str) -> int:
        place = "NULL" if table == "dead" else "lane"
        rows = self._base.execute(f"SELECT id, request, {place} FROM {table}")
        return sum(not _is_request(*row) for row in rows)


def marks_of(base: sqlite3.Connection) -> dict[str, Any]:
    """By feed."""
    return {feed: orjson.loads(mark) for feed, mark in base.execute("SELECT feed, mark FROM marks")}


def on_stages(base: sqlite3.Connection) -> tuple[int, int]:
    """Requests and items of live stages."""
    requests = sum(1 for _ in staged(base))
    octets: int = base.execute(
        "SELECT coalesce(sum(length(ids)), 0) FROM staged JOIN stages USING (page) WHERE state = 'live'"
    ).fetchone()[0]
    return requests, octets // SIZE - requests


def _equal(one: str, other: str, difference: int) -> Claim:
    return f"{one} {'≠' if difference else '='} {other}", not difference


def _is_request(identity: bytes, stored: bytes, place: str | None) -> bool:
    """`place`: the lane that it waits in."""
    try:
        host = lane(Request.decode(stored, id=identity).url)
        return len(identity) == SIZE and place in (None, host)
    except (ValueError, TypeError, AttributeError):
        return False
