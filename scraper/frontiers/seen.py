"""Seen: which identities have ever been queued. Duplicates are decided here, inside the commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from scraper.protocols import Child

REMEMBERED = 100_000  # committed identities kept in memory, twice
ASKED_AT_ONCE = (1, 8, 64, 512)  # sizes of the IN (…) lists: few, so that SQLite keeps the statements


class Seen:
    """Memory answers for identities that are committed, in bounded space; the table answers for all."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def unseen(self, children: Iterable[tuple[int, Child]], here: set[bytes]) -> list[tuple[int, Child]]:
        """The first of each identity that is neither in the table nor added by this commit (`here`)."""
        first: dict[bytes, tuple[int, Child]] = {}
        young, old = self._young, self._old
        for pair in children:
            identity = pair[1].id
            if identity not in young and identity not in old and identity not in here:
                first.setdefault(identity, pair)
        for known in self._in_table(list(first)):
            del first[known]
        return list(first.values())

    def add(self, rows: list[tuple[bytes, int]]) -> None:
        """(identity, seq) of what the commit queues."""
        rows.sort()  # neighbours share pages of the tree
        self._base.executemany("INSERT INTO seen VALUES (?, ?)", rows)

    def committed(self, identities: Iterable[bytes]) -> None:
        self._young.update(identities)
        if len(self._young) > REMEMBERED:
            self._old, self._young = self._young, set()

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
