"""Stages: outputs of a page that yields more than memory should hold, on disk and invisible until its commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scraper.item import Record
from scraper.protocols import Output

AT_ONCE = 2_000  # outputs that one commit makes visible, or deletes


@dataclass(frozen=True, slots=True)
class Part:
    """Outputs `first` … `end` - 1 of a page's stage."""

    WHERE: ClassVar[str] = "page = :page AND ordinal >= :first AND ordinal < :end"

    page: int
    first: int
    end: int
    ended: bool  # nothing of the stage comes after it

    @property
    def range(self) -> dict[str, int]:
        return {"page": self.page, "first": self.first, "end": self.end}


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
        """Where it is part of a commit, `forget` follows when that went through."""
        if page in self._open:
            self._base.execute("UPDATE stages SET state = 'dropped' WHERE page = ?", (page,))
            self._dropped = True

    def go_live(self, page: int) -> int:
        """Inside the page's commit; how many outputs will be drained. `forget` follows when it went through."""
        self._base.execute("UPDATE stages SET state = 'live' WHERE page = ?", (page,))
        return self._open.get(page, 0)

    def forget(self, page: int) -> None:
        self._open.pop(page, None)

    def next_part(self) -> Part | None:
        """The next outputs of the oldest live stage."""
        stage = self._base.execute(
            "SELECT page, drained FROM stages WHERE state = 'live' ORDER BY page LIMIT 1"
        ).fetchone()
        if stage is None:
            return None
        page, drained = stage
        last = self._base.execute("SELECT max(ordinal) FROM staged WHERE page = ?", (page,)).fetchone()[0]
        total = drained if last is None else last + 1
        end = min(drained + AT_ONCE, total)
        return Part(page, drained, end, ended=end == total)

    def records(self, part: Part) -> list[Record]:
        """The items among them, in order."""
        rows = self._base.execute(
            f"SELECT id, kind, body FROM staged WHERE {Part.WHERE} AND kind IS NOT NULL ORDER BY ordinal",  # noqa: S608  # our own words
            part.range,
        )
        return [Record(*row) for row in rows]

    def done(self, part: Part) -> None:
        self._advance(part.page, part.end, ended=part.ended)

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
