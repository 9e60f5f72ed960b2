"""The rows of one table in a feed's database: made, added, witnessed, taken back."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, Protocol

from scraper.sinks.columns import Columns
from scraper.sinks.database_file import DatabaseFile

# ruff: noqa: S608  # quoted names
MADE = "-- items of a crawl"  # in the definition of a table that a crawl has made, and may replace
WITNESS = 4  # rows that a checksum covers
ROW_NUMBERS = ("rowid", "_rowid_", "oid")  # SQLite's names for it, where no column has the name


class Readable(Protocol):
    """As much of a database as a witness needs."""

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...


class TableRows:
    """`base`: rows up to this number were there before the run. `kind`: whose items they are, once known."""

    def __init__(
        self, name: str, columns: Columns, *, kind: str | None = None, base: int = 0, made: bool = False
    ) -> None:
        self.name = name
        self.columns = columns
        self.kind = kind
        self.base = base
        self.made = made
        self.quoted = quoted(name)

    @classmethod
    def marked(cls, file: str, mark: Mapping[str, Any]) -> TableRows:
        columns = Columns(file, mark["columns"], promised=mark["promised"])
        return cls(mark["name"], columns, kind=mark["kind"], base=mark["base"], made=mark["made"])

    def check(self) -> None:
        """Raises ValueError, in words, where SQLite can make no such table."""
        try:
            with closing(sqlite3.connect(":memory:")) as nowhere:
                nowhere.execute(self._definition).execute(f"SELECT {self._number} FROM {self.quoted}")
        except (sqlite3.Error, ValueError) as error:
            raise ValueError(f"SQLite can't make a table of this item: {error}. Use .jsonl.") from None

    def add(self, file: DatabaseFile, rows: Sequence[Sequence[Any]]) -> None:
        if not self.made:
            file.write(self._definition)
            self.made = True
        names = self.columns.names
        into = ", ".join(map(quoted, names))
        file.write_rows(f"INSERT INTO {self.quoted} ({into}) VALUES ({', '.join('?' * len(names))})", rows)

    def cut(self, file: DatabaseFile, after: int) -> None:
        file.write(f"DELETE FROM {self.quoted} WHERE {self._number} > ?", (after,))

    def drop(self, file: DatabaseFile) -> None:
        file.write(f"DROP TABLE {self.quoted}")

    # ── how far it got ───────────────────────────────────────────────────────────────────────────────

    def mark(self, file: Readable) -> dict[str, Any]:
        last = self.last(file)
        return {
            "name": self.name,
            "kind": self.kind,
            "columns": list(self.columns.names),
            "promised": self.columns.promised,
            "made": self.made,
            "base": self.base,
            "last": last,
            "tail": self.tail(file, last),
            "seam": self.seam(file, self.base, last),
        }

    def last(self, file: Readable) -> int:
        if not self.made:
            return 0
        return file.read(f"SELECT max({self._number}) FROM {self.quoted}")[0][0] or 0

    def tail(self, file: Readable, last: int) -> int:
        """Witness that the rows up to here are those that were written."""
        return self._checksum(file, "<= ?1 ORDER BY 1 DESC", last)

    def seam(self, file: Readable, base: int, last: int) -> int:
        """Witness that the run's own rows begin after `base`."""
        return self.tail(file, base) ^ self._checksum(file, "> ?1 AND {0} <= ?3 ORDER BY 1", base, last)

    def _checksum(self, file: Readable, which: str, *bounds: int) -> int:
        if not self.made:
            return 0
        where = f"{self._number} {which.format(self._number)}"
        query = f"SELECT {self._number}, * FROM {self.quoted} WHERE {where} LIMIT ?2"
        rows = file.read(query, (bounds[0], WITNESS, *bounds[1:]))
        return zlib.crc32(repr(rows).encode("utf-8", "surrogatepass"))

    @property
    def _definition(self) -> str:
        return f"CREATE TABLE {self.quoted} ( {MADE}\n{', '.join(map(quoted, self.columns.names))})"

    @property
    def _number(self) -> str:
        """SQLite's name for a row's number. Raises ValueError where the columns have taken them all."""
        taken = {folded(name) for name in self.columns.names}
        free = [name for name in ROW_NUMBERS if name not in taken]
        if not free:
            raise ValueError(f"one of {', '.join(ROW_NUMBERS)} must not be a column")
        return free[0]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def folded(name: str) -> str:
    """As SQLite compares names: ASCII letters only."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
