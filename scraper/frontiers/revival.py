"""Revival: dead letters back into the queue of a run that nobody works on."""

from __future__ import annotations

from pathlib import Path

from scraper import stats
from scraper.frontiers.ledger import Ledger
from scraper.frontiers.schema import connect, in_words
from scraper.request import Request
from scraper.transactions import Transaction
from scraper.urls import lane


def revive(path: Path, reason: str | None = None) -> int:
    """Puts back the dead letters (of one `reason`, or all), each with new attempts; how many. Raises StorageError."""
    base = connect(path)
    try:
        with in_words(path), Transaction(base):
            where = "" if reason is None else "WHERE why = ?"
            query = f"SELECT seq, id, parent, why, request FROM dead {where}"  # noqa: S608  # our own words
            dead = base.execute(query, () if reason is None else (reason,)).fetchall()
            row = base.execute("SELECT state FROM ledger").fetchone()
            if not dead or row is None:
                return 0
            ledger = Ledger.decode(row[0])
            for seq, identity, parent, why, stored in dead:
                request = Request.decode(stored)
                waiting = (lane(request.url), -request.priority, seq, identity, parent, 0, stored)
                base.execute("INSERT INTO queue VALUES (?, ?, ?, ?, ?, ?, ?)", waiting)
                ledger.counters.subtract({stats.FAILED: 1, f"{stats.FAILED}/{why}": 1})
            seqs = [(letter[0],) for letter in dead]
            base.executemany(
                "INSERT OR REPLACE INTO attempts SELECT seq, at, attempts, status, why, proxy FROM pages WHERE seq = ?",
                seqs,
            )
            base.executemany("DELETE FROM dead WHERE seq = ?", seqs)
            base.executemany("DELETE FROM pages WHERE seq = ?", seqs)
            ledger.queued += len(dead)
            base.execute("UPDATE ledger SET state = ?", (ledger.encode(),))
        return len(dead)
    finally:
        base.close()
