"""A CSV table: one kind of item, one row each, the same columns throughout."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scraper.errors import FeedError
from scraper.item import Record
from scraper.sinks.columns import Columns, listed
from scraper.sinks.files import FileSink

_nested = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

HEADER_LIMIT = 64 * 1024  # bytes in which the header of a file that is appended to must end


class CsvTable(FileSink):
    r"""`.csv`: RFC 4180 in UTF-8, but lines end with "\n", which readers take and Unix tools expect.

    The columns are `columns`, or the header of the file that is appended to, or the fields of the item's
    class, or the keys of the first dict. The header comes with the first row (with `columns`, at once). An
    item with other keys is refused: a value that vanishes or a cell that stays empty is a silent loss.

    None is an empty cell, booleans are true and false, a list or an object is JSON in its cell. Text stays as
    it is: a spreadsheet takes a cell that begins with `=` for a formula, so import what you don't trust as
    text.
    """

    def __init__(self, path: Path, *, append: bool = False, columns: Sequence[str] | None = None) -> None:
        super().__init__(path, append=append)
        self._columns = Columns(path.name, columns or ())
        self._kind: str | None = None  # whose table it is
        self._write_row = csv.writer(_Echo(), lineterminator="\r\n").writerow

    def take_columns(self, kind: str, names: Sequence[str] | None) -> None:
        """The fields that the items of a kind have; None for dicts, which promise nothing."""
        if names and self._kind in (None, kind):
            self._columns.take(names)
            if self._columns.promised:
                self._kind = kind

    def opening(self) -> bytes:
        if self._base:
            self._columns = Columns(self.path.name, self._header())
            return b""
        return self._row(self._columns.names) if self._columns.names else b""

    def encode(self, record: Record) -> bytes:
        """~6 µs for an item of 200 bytes."""
        item = json.loads(record.json)  # orjson makes a float of an integer beyond 64 bits
        if record.kind != self._kind or tuple(item) != self._columns.names:
            self._check(record.kind, item)
        return self._row([_cell(item.get(name)) for name in self._columns.names])

    def append(self, lines: Sequence[bytes]) -> None:
        if lines and self.file.end == 0:
            lines = [self._row(self._columns.names), *lines]
        super().append(lines)

    def mark(self) -> dict[str, Any]:
        columns = self._columns
        table = {"columns": list(columns.names), "kind": self._kind, "promised": columns.promised}
        return super().mark() | table

    def rewind(self, mark: Mapping[str, Any]) -> None:
        self._columns = Columns(self.path.name, mark["columns"], promised=mark["promised"])
        self._kind = mark["kind"]
        super().rewind(mark)

    def _header(self) -> tuple[str, ...]:
        start = self.file.read(0, min(self._base, HEADER_LIMIT)).decode("utf-8-sig", "replace")
        header = tuple(next(csv.reader(io.StringIO(start, newline="")), ()))
        names = self._columns.names
        if names and set(names) != set(header):
            raise FeedError(
                f"'{self.path}' has the columns {listed(header)}, and {listed(names)} are to be "
                "appended. Choose another file."
            )
        return header

    def _check(self, kind: str, item: Any) -> None:
        """Says why an item does not fit. The first one that fits decides whose table it is."""
        if isinstance(item, dict) and item and self._kind not in (None, kind):
            raise ValueError(self._other_kind(kind))
        self._columns.names = self._columns.of(item)
        self._kind = kind

    def _other_kind(self, kind: str) -> str:
        name = self.path.name
        return (
            f"'{name}' is a table of {self._kind}, and this item is a {kind}. Give each kind a file: "
            f"`-o {self._kind}:{name} -o {kind}:…`, or use .jsonl."
        )

    def _row(self, cells: Sequence[Any]) -> bytes:
        row: str = self._write_row(cells)
        return (
            row[:-2] + "\n"
        ).encode()  # written with "\r\n", else older Pythons leave a lone "\r" unquoted


class _Echo:
    """Where a csv.writer writes: it gives each row back."""

    def write(self, row: str) -> str:
        return row


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return _nested(value)
    return value
