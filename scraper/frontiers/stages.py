"""Stages: outputs of a page that yields more than memory should hold, on disk and invisible until its commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from scraper.item import Record
from scraper.protocols import Child, Output

AT_ONCE = 2_000  # outputs in a part: what one commit makes visible, or deletes


@dataclass(frozen=True, slots=True)
class Part:
    """Some outputs of a page, in the order in which it yielded them."""

    number: int
    page: int
    outputs: Sequence[Output]


class Stages:
    """A stage is open while its page lives, live once the page is committed, dropped when the page failed.

    It is written in parts of one row each: a row an output would cost as much again as its place in the queue.
    Live ones are drained and dropped ones deleted a part at a time, each inside some commit.
    """

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        self._open: dict[int, int] = {}  # page's seq → outputs so far
        base.execute("UPDATE stages SET state = 'dropped' WHERE state = 'open'")  # their pages never ended
        self._dropped = base.execute("SELECT count(*) FROM stages WHERE state = 'dropped'").fetchone()[0] > 0

    def add(self, page: int, outputs: Sequence[Output]) -> None:
        """`added` follows when it went through."""
        if page not in self._open:
            self._base.execute("DELETE FROM staged WHERE page = ?", (page,))  # of an earlier, dropped attempt
            self._base.execute("INSERT OR REPLACE INTO stages VALUES (?, 'open')", (page,))
        self._base.executemany(
            "INSERT INTO staged (page, heads, ids, bodies) VALUES (?, ?, ?, ?)",
            [(page, *_packed(outputs[at : at + AT_ONCE])) for at in range(0, len(outputs), AT_ONCE)],
        )

    def added(self, page: int, outputs: int) -> None:
        self._open[page] = self._open.get(page, 0) + outputs

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
        found = self._next("live")
        if found is None:
            return None
        part, page = found
        packed = self._base.execute(
            "SELECT heads, ids, bodies FROM staged WHERE part = ?", (part,)
        ).fetchone()
        return Part(part, page, _unpacked(*packed))

    def done(self, part: Part) -> None:
        self._delete(part.number, part.page)

    def sweep(self) -> None:
        """Deletes the next part of a dropped stage, where there is one."""
        if self._dropped:
            found = self._next("dropped")
            self._dropped = found is not None
            if found is not None:
                self._delete(*found)

    def _next(self, state: str) -> tuple[int, int] | None:
        """The first part of the oldest stage in that state, and its page."""
        found: tuple[int, int] | None = self._base.execute(
            "SELECT staged.part, staged.page FROM stages CROSS JOIN staged USING (page)"  # CROSS: in this order
            " WHERE state = ? ORDER BY stages.page, staged.part LIMIT 1",
            (state,),
        ).fetchone()
        return found

    def _delete(self, part: int, page: int) -> None:
        self._base.execute("DELETE FROM staged WHERE part = ?", (part,))
        if self._base.execute("SELECT 1 FROM staged WHERE page = ? LIMIT 1", (page,)).fetchone() is None:
            self._base.execute("DELETE FROM stages WHERE page = ?", (page,))


def _packed(outputs: Sequence[Output]) -> tuple[bytes, bytes, bytes]:
    """Three columns: heads, identities, bodies (lines).

    A head is an item's kind, or a request's lane, priority and time. The column is JSON: the different ones,
    and for each output the number of its own.
    """
    heads: dict[Any, int] = {}
    numbers, ids, bodies = [], [], []
    for output in outputs:
        if isinstance(output, Child):
            identity, lane, priority, not_before, body = output
            head: Any = (lane, priority, not_before)
        else:
            identity, head, body = output.item_id, output.kind, output.json
        numbers.append(heads.setdefault(head, len(heads)))
        ids.append(identity)
        bodies.append(body)
    return orjson.dumps((list(heads), numbers)), b"".join(ids), b"\n".join(bodies)


def _unpacked(heads: bytes, ids: bytes, bodies: bytes) -> list[Output]:
    outputs: list[Output] = []
    different, numbers = orjson.loads(heads)
    at = 0
    for number, body in zip(numbers, bodies.split(b"\n"), strict=True):
        head = different[number]
        identity = ids[at : at + 16]
        at += 16
        if isinstance(head, str):
            outputs.append(Record(identity, head, body))
        else:
            outputs.append(Child(identity, head[0], head[1], head[2], body))
    return outputs
