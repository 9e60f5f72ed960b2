"""Looking: whether a feed's file still is what its mark was made for. Nothing is written, nothing is locked."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from scraper.sinks.database_file import DatabaseFile
from scraper.sinks.files import WITNESS
from scraper.sinks.table_rows import TableRows

OTHER = "is not what this run wrote"


def fault(path: Path, mark: Mapping[str, Any]) -> str:
    """What is wrong with the file, in words; "" where nothing is. `mark`: as its sink made it."""
    try:
        if not path.exists():
            return "is gone"
        return _database_fault(path, mark["tables"]) if "tables" in mark else _file_fault(path, mark)
    except OSError as error:
        return f"can't be read: {error.strerror}"


def _file_fault(path: Path, mark: Mapping[str, Any]) -> str:
    offset = mark["offset"]
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size < offset:
            return f"is cut: {size:,} bytes of {offset:,}"
        file.seek(max(0, offset - WITNESS))
        return "" if zlib.crc32(file.read(min(WITNESS, offset))) == mark["tail"] else OTHER


def _database_fault(path: Path, tables: Mapping[str, Any]) -> str:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)) as base:
            file = cast(DatabaseFile, _Reader(base))  # of which nothing but `read` is used
            made = {name: mark for name, mark in tables.items() if mark["made"]}
            same = (TableRows.marked(path.name, mark).tail(file, mark["last"]) for mark in made.values())
            return "" if list(same) == [mark["tail"] for mark in made.values()] else OTHER
    except sqlite3.DatabaseError as error:
        return f"{OTHER}, or damaged ({error})"


class _Reader:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._base.execute(query, values).fetchall()
