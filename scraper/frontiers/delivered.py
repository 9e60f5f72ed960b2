"""Delivered: what is out on the wire, written down before it leaves: a page that kills its process is known by it."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from scraper import stats
from scraper.frontiers.ledger import Ledger

LIVES = 3  # processes that a page may take with it: one with others about, then alone
OUTS = 10  # lives that ended while it was only on its way: a client's library may be what dies of it
KILLED = "killed the process"
ENDED = "the process ended"  # why an attempt came to nothing


class Delivered:
    """After a crash, what was out then are suspects: they run alone, one after the other, before all else.

    A suspect is guilty when its response was being worked on at the end of `LIVES` - 1 further lives, or when it was
    out at the end of `OUTS`: a page that only waits for its site while somebody kills the crawl again and again is not.
    """

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        self.suspects: deque[tuple[Any, ...]] = deque()
        self.waiting: set[int] = set()  # the suspects' seqs

    def open(self, ledger: Ledger, *, was_killed: bool) -> None:
        """Reads what was out when the run ended last; buries what has had its lives. Inside a transaction.

        A life that ended by itself (a full disk, a lock) is nobody's fault, though it could not write that down here.
        """
        if not was_killed:
            self._base.execute("DELETE FROM delivered")
        rows = self._base.execute(
            "SELECT d.outs, d.began, q.lane, q.rank, q.seq, q.id, q.parent, q.attempts, q.request"
            " FROM delivered d JOIN queue q ON q.lane = d.lane AND q.rank = d.rank AND q.seq = d.seq ORDER BY d.seq"
        ).fetchall()
        now = time.time()
        for outs, began, *row in rows:
            if began >= LIVES - 1 or outs >= OUTS:
                self._bury(row, now, ledger)
            else:
                self.suspects.append(tuple(row))
        self._base.executemany(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, NULL, ?, '')",
            [(row[2], now, row[5] + 1, ENDED) for row in self.suspects],
        )
        self.waiting.update(row[2] for row in self.suspects)

    def next_suspect(self) -> tuple[Any, ...]:
        row = self.suspects.popleft()
        self.waiting.discard(row[2])
        return row

    def out(self, keys: Iterable[tuple[str, int, int]]) -> None:
        """(lane, rank, seq) of what is about to leave. Inside a transaction."""
        self._base.executemany(
            "INSERT INTO delivered (lane, rank, seq, outs, began) VALUES (?, ?, ?, 1, 0)"
            " ON CONFLICT (seq) DO UPDATE SET outs = outs + 1",
            keys,
        )

    def began(self, seq: int) -> None:
        """Its response has come, and nobody else is about. Inside a transaction."""
        self._base.execute("UPDATE delivered SET began = began + 1 WHERE seq = ?", (seq,))

    def ended(self, seqs: Iterable[int]) -> None:
        """They came to an end, or were given back: whatever happens next, it was not them."""
        self._base.executemany("DELETE FROM delivered WHERE seq = ?", [(seq,) for seq in seqs])

    def _bury(self, row: list[Any], now: float, ledger: Ledger) -> None:
        lane, rank, seq, identity, parent, attempts, request = row
        url = self._base.execute("SELECT json_extract(CAST(? AS TEXT), '$.url')", (request,)).fetchone()[0]
        dead = (seq, identity, parent, url, KILLED, None, attempts + 1, now, request)
        ended = (seq, identity, parent, url, "failed", KILLED, None, "", attempts + 1, 0, now)
        self._base.execute("INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", dead)
        self._base.execute("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ended)
        self._base.execute("DELETE FROM queue WHERE lane = ? AND rank = ? AND seq = ?", (lane, rank, seq))
        self.ended([seq])
        ledger.queued -= 1
        ledger.counters.update(Counter({stats.FAILED: 1, f"{stats.FAILED}/{KILLED}": 1}))
