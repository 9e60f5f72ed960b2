"""Seen: which identities have ever been queued. Duplicates are decided here, inside the commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import count

from scraper.frontiers.sieve import Sieve
from scraper.protocols import Child

GENERATION = 50_000  # identities in each of the two generations that memory keeps
BUCKETS = 256  # of a generation that moves into the table: by an identity's first byte
ASKED_AT_ONCE = (1, 8, 64, 512)  # sizes of the IN (…) lists: few, so that SQLite keeps the statements

SIZE = 16  # bytes of an identity

Named = tuple[bytes, int]  # identity, seq


class Seen:
    """A log of two levels. What is new goes to the end of `recent` and into memory; a full generation moves into
    the tree `seen`, a bucket a commit, in the order of the tree.

    An identity is a hash: written one by one, every one would dirty a page of its own (4 KiB) of a large tree.
    """

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        self._table = Sieve()
        rows = base.execute("SELECT id FROM seen")
        while some := rows.fetchmany(10_000):
            self._table.put([identity for (identity,) in some])
        self._young = {
            ids[at : at + SIZE]: first + at // SIZE
            for first, ids in base.execute("SELECT first, ids FROM recent")
            for at in range(0, len(ids), SIZE)
        }
        self._old: dict[bytes, int] = {}
        self._buckets: list[list[Named]] = []  # of the old, not yet in the table
        self._moved = 0  # of them, by the commit that is under way
        self._last_old = 0  # the highest seq among the old

    def unseen(self, children: Sequence[tuple[int, Child]]) -> list[tuple[int, Child]]:
        """The first of each identity that was never queued."""
        first = {pair[1].id: pair for pair in children}
        if len(first) < len(children):
            first.clear()
            for pair in children:
                first.setdefault(pair[1].id, pair)
        for generation in (self._young, self._old):
            for known in first.keys() & generation.keys():
                del first[known]
        for known in self._in_table(self._table.maybe(list(first))):
            del first[known]
        return list(first.values())

    # ── inside the commit ────────────────────────────────────────────────────────────────────────────

    def add(self, first: int, identities: Sequence[bytes]) -> None:
        """What the commit queues, from the seq `first` on. `committed` or `rolled_back` follows."""
        self._base.execute("INSERT INTO recent VALUES (?, ?)", (first, b"".join(identities)))
        self._young.update(zip(identities, count(first)))

    def move_on(self, fresh: int) -> None:
        """Moves into the table at least twice as many as came: the old are through before the young fill."""
        moved = 0
        while self._moved < len(self._buckets) and moved <= 2 * fresh:
            self._moved += 1
            bucket = sorted(self._buckets[-self._moved])
            self._base.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", bucket)
            self._table.put([identity for identity, _ in bucket])
            moved += len(bucket)
        if self._moved and self._moved == len(self._buckets):
            self._base.execute("DELETE FROM recent WHERE first <= ?", (self._last_old,))

    # ── after it ─────────────────────────────────────────────────────────────────────────────────────

    def committed(self) -> None:
        if self._moved:
            del self._buckets[-self._moved :]
            self._moved = 0
        if len(self._young) >= GENERATION and not self._buckets:
            self._old, self._young = self._young, {}
            self._last_old = max(self._old.values())
            self._buckets = [[] for _ in range(BUCKETS)]
            for named in self._old.items():
                self._buckets[named[0][0]].append(named)

    def rolled_back(self, identities: Iterable[bytes]) -> None:
        self._moved = 0
        for identity in identities:
            self._young.pop(identity, None)

    def _in_table(self, identities: Sequence[bytes]) -> list[bytes]:
        known: list[bytes] = []
        start = 0
        while start < len(identities):
            left = len(identities) - start
            size = next((size for size in ASKED_AT_ONCE if size >= left), ASKED_AT_ONCE[-1])
            asked = list(identities[start : start + size])
            start += size
            asked += asked[-1:] * (size - len(asked))
            query = f"SELECT id FROM seen WHERE id IN ({','.join('?' * size)})"  # noqa: S608  # question marks only
            known += (row[0] for row in self._base.execute(query, asked))
        return known


def find(base: sqlite3.Connection, identity: bytes) -> int | None:
    """The seq under which an identity was queued; for whoever reads a run from outside."""
    row = base.execute("SELECT seq FROM seen WHERE id = ?", (identity,)).fetchone()
    if row:
        return int(row[0])
    for first, ids in base.execute("SELECT first, ids FROM recent WHERE instr(ids, ?)", (identity,)):
        for at in range(0, len(ids), SIZE):
            if ids[at : at + SIZE] == identity:
                return int(first) + at // SIZE
    return None
