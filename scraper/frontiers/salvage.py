"""Salvage: every item that can still be read out of a run's database, a damaged one too."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import orjson

from scraper.frontiers.ledger import Ledger
from scraper.item import Record

AT_ONCE = 1_000  # rows of one query: a live crawl's log is not held up for longer
FAR = 1_000_000  # places in a row that can't be read, where nobody knows how many there are

ITEMS = "SELECT seq, id, kind, json FROM items"
Row = tuple[int, bytes, str, bytes]


def salvaged(base: sqlite3.Connection) -> Iterator[tuple[int, Record]]:
    """The items in their order, each with its place in it.

    A page of the database that can't be read takes the items on it along, not those after it: they are looked
    for one by one (some 5 µs each) until one can be read again. A row that is no whole item is left out too, so
    that whatever comes back is what was written.
    """
    if not _has_table(base):
        return
    after, last = 0, _last(base)
    while True:
        rows, broken = _read(base, after)
        after = rows[-1][0] if rows else after
        if broken and (following := _next_readable(base, after + 1, last)):
            rows.append(following)
            after = following[0]
        elif broken or not rows:
            yield from _whole(rows)
            return
        yield from _whole(rows)


def _has_table(base: sqlite3.Connection) -> bool:
    """Whether the table can be found; where not even its root can be, no item can."""
    try:
        base.execute(f"{ITEMS} LIMIT 0")
    except sqlite3.DatabaseError:
        return False
    return True


def _read(base: sqlite3.Connection, after: int) -> tuple[list[Row], bool]:
    """The next rows, and whether something that can't be read comes after them."""
    rows: list[Row] = []
    try:
        # >= and not >: a row is found by its own place, without the one before it
        for row in base.execute(f"{ITEMS} WHERE seq >= ? ORDER BY seq LIMIT ?", (after + 1, AT_ONCE)):
            if row[0] <= after:
                return rows, True  # a broken tree that leads back to where it came from
            after = row[0]
            rows.append(row)  # what came before an error is kept
    except sqlite3.DatabaseError:
        return rows, True
    return rows, False


def _last(base: sqlite3.Connection) -> int | None:
    """The place of the last item that was committed, where that can be read."""
    try:
        row = base.execute("SELECT state FROM ledger").fetchone()
        return Ledger.decode(row[0]).item_seq if row else None
    except (sqlite3.DatabaseError, ValueError):
        return None


def _next_readable(base: sqlite3.Connection, start: int, last: int | None) -> Row | None:
    for seq in range(start, start + FAR if last is None else last + 1):
        try:
            row: Row | None = base.execute(f"{ITEMS} WHERE seq = ?", (seq,)).fetchone()
        except sqlite3.DatabaseError:
            continue
        if row is not None:
            return row
    return None


def _whole(rows: list[Row]) -> Iterator[tuple[int, Record]]:
    for seq, identity, kind, json in rows:
        if type(identity) is bytes and len(identity) == 16 and type(kind) is str and _is_json(json):
            yield seq, Record(identity, kind, json)


def _is_json(text: object) -> bool:
    try:
        orjson.loads(text)  # type: ignore[arg-type]  # what is no bytes is a TypeError
    except (ValueError, TypeError):
        return False
    return True
