"""Stages: outputs of a page that yields more than memory should hold, on disk and invisible until its commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from scraper.item import Record
from scraper.protocols import Child, Output

AT_ONCE = 2_000  # outputs that one commit makes visible, or deletes


class Stages:
    """A stage is open while its page lives, live once the page is committed, dropped when the page failed.

    Live ones are drained and dropped ones deleted in bounded steps, each inside some commit.
    """

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        self._open: dict[int, int] = {}  # page's seq → outputs so far
        base.execute("UPDATE stages SET state = 'dropped' WHERE state = 'open'")  # their pages never ended
        self._dropped = base.execute("SELECT count(*) FROM stages WHERE state = 'dropped'").fetchone()[0] > 0

    def add(self, page: int, outputs: Sequence[Output]) -> None:
        first = self._open.get(page, 0)
        if not first:
            self._base.execute("DELETE FROM staged WHERE page = ?", (page,))  # of an earlier, dropped attempt
            self._base.execute("INSERT OR REPLACE INTO stages VALUES (?, 'open', 0)", (page,))
        self._base.executemany(
            "INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [_row(page, ordinal, output) for ordinal, output in enumerate(outputs, first)],
        )
        self._open[page] = first + len(outputs)

    def drop(self, page: int) -> None:
        if self._open.pop(page, 0):
            self._base.execute("UPDATE stages SET state = 'dropped' WHERE page = ?", (page,))
            self._dropped = True

    def go_live(self, page: int) -> int:
        """Inside the page's commit; how many outputs will be drained. `forget` follows when it went through."""
        self._base.execute("UPDATE stages SET state = 'live' WHERE page = ?", (page,))
        return self._open.get(page, 0)

    def forget(self, page: int) -> None:
        self._open.pop(page, None)

    def drain(self) -> tuple[int, list[Output]]:
        """The next outputs of the oldest live stage, and its page's seq."""
        stage = self._base.execute(
            "SELECT page, drained FROM stages WHERE state = 'live' ORDER BY page LIMIT 1"
        ).fetchone()
        if stage is None:
            return 0, []
        page, drained = stage
        rows = self._base.execute(
            "SELECT kind, id, lane, rank, due, body FROM staged WHERE page = ? AND ordinal >= ?"
            " ORDER BY ordinal LIMIT ?",
            (page, drained, AT_ONCE),
        ).fetchall()
        self._advance(page, drained + AT_ONCE, ended=len(rows) < AT_ONCE)
        return page, [_output(*row) for row in rows]

    def sweep(self) -> None:
        """Deletes the next part of a dropped stage, where there is one."""
        if self._dropped:
            stage = self._base.execute(
                "SELECT page, drained FROM stages WHERE state = 'dropped' LIMIT 1"
            ).fetchone()
            self._dropped = stage is not None
            if stage is not None:
                page, drained = stage
                last = self._base.execute(
                    "SELECT max(ordinal) FROM staged WHERE page = ?", (page,)
                ).fetchone()[0]
                self._advance(page, drained + AT_ONCE, ended=last is None or last < drained + AT_ONCE)

    def _advance(self, page: int, drained: int, *, ended: bool) -> None:
        self._base.execute("DELETE FROM staged WHERE page = ? AND ordinal < ?", (page, drained))
        if ended:
            self._base.execute("DELETE FROM stages WHERE page = ?", (page,))
        else:
            self._base.execute("UPDATE stages SET drained = ? WHERE page = ?", (drained, page))


def _row(page: int, ordinal: int, output: Output) -> tuple[Any, ...]:
    if isinstance(output, Record):
        return (page, ordinal, output.kind, output.item_id, None, 0, 0.0, output.json)
    return (page, ordinal, None, output.id, output.lane, -output.priority, output.not_before, output.request)


def _output(kind: str | None, identity: bytes, lane: str, rank: int, due: float, body: bytes) -> Output:
    return Record(identity, kind, body) if kind is not None else Child(identity, lane, -rank, due, "", body)
