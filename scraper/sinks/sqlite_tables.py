"""Tables in a SQLite database: one for each kind of item, for those who go on with SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from scraper.errors import FeedError, StorageError
from scraper.item import Record
from scraper.protocols import Sink
from scraper.sinks.append_file import told_as
from scraper.sinks.columns import Columns, listed
from scraper.sinks.database_file import Damaged, DatabaseFile, remove
from scraper.sinks.files import FeedLost
from scraper.sinks.table_rows import MADE, TableRows, folded

ONE_FILE = "delete"  # SQLite's journal mode in which a database at rest is a single file
DICTS = "items"  # the table of items that are no class's
LARGEST = 16 * 1024 * 1024  # bytes of items in one transaction

_nested = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class SqliteTables(Sink):
    """`.sqlite`, `.sqlite3`, `.db`: readable while the crawl goes on, about a second behind; one file at its end.

    A table has the name of its items' class (`items` for dicts), and columns as a CSV has them; rows are in
    the order of the run. Text, numbers and null keep their type, booleans are 1 and 0; a list, an object or an
    integer beyond 64 bits is its JSON text.

    A fresh run replaces the tables that crawls have made; in a database with others it wants `append`, which
    keeps what is there.

    No column holds `item_id`: tomorrow's fetch of the same page gives the same ids, and a unique column would
    make tomorrow's `--append` a silent nothing. What keeps a row from coming twice is the mark.
    """

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self.path = path
        self._append = append
        self._open: DatabaseFile | None = None
        self._tables: dict[str, TableRows] = {}  # by folded name
        self._of_kind: dict[str, TableRows] = {}
        self._promised: dict[str, Sequence[str]] = {}  # kind → its class's fields
        self._others: set[str] = set()  # folded names that are not for us
        self._journal = ONE_FILE
        self._waiting = 0  # bytes of items in the open transaction
        self._lost: Mapping[str, Any] | None = None  # the mark that a rewind found no database for

    @property
    def file(self) -> DatabaseFile:
        if self._open is None:
            raise RuntimeError(f"'{self.path}' is not open: call start() or rewind() first.")
        return self._open

    # ── a life begins ────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        try:
            self._begin()
        except Damaged:
            if self._append or self._lost is None:
                raise
            remove(self.path)  # this run has written it, and writes it again
            self._begin()

    def rewind(self, mark: Mapping[str, Any]) -> None:
        """Raises FeedLost, with nothing changed, where there is nothing to go back to."""
        self.close()
        with told_as(FeedError, self.path):
            if not self.path.exists():
                raise self._loss(mark, "is gone")
        try:
            with self._opening() as file:
                self._go_back(mark, self._found(file))
        except Damaged as damaged:
            raise self._loss(mark, "is damaged") from damaged

    def _begin(self) -> None:
        with self._opening() as file:
            found = self._found(file)
            if self._append:
                self._adopt(found)
            else:
                self._replace(found)
            file.commit()

    def _adopt(self, found: dict[str, TableRows]) -> None:
        """What is there stays: after a loss, all but this run's part, if that can be told apart."""
        lost = self._lost["tables"] if self._lost else {}
        for name, table in found.items():
            was = lost.get(name)
            if was and was["made"] and was["seam"] == table.seam(self.file, was["base"], was["last"]):
                table.cut(self.file, was["base"])
            table.base = table.last(self.file)
        self._tables, self._journal = found, self.file.journal

    def _replace(self, found: dict[str, TableRows]) -> None:
        foreign = [name for kind, name, made in self._schema(self.file) if kind == "table" and not made]
        if foreign:
            raise FeedError(
                f"'{self.path}' has tables that no crawl has made: {listed(foreign)}. Use --append to add this"
                " crawl's items beside them, or choose another file."
            )
        for table in found.values():
            table.drop(self.file)
        self.file.commit()
        if found:
            self.file.shrink()
        self._tables, self._journal = {}, ONE_FILE

    def _go_back(self, mark: Mapping[str, Any], found: dict[str, TableRows]) -> None:
        marked = {name: TableRows.marked(self.path.name, was) for name, was in mark["tables"].items()}
        for name, table in marked.items():
            if table.made and not self._is_still(table, found.get(name), mark["tables"][name]):
                raise self._loss(mark, "is not what this run wrote")
        for name, table in found.items():
            if name in marked and marked[name].made:
                table.cut(self.file, mark["tables"][name]["last"])
            else:
                table.drop(self.file)  # made after the mark
        self.file.commit()
        self._tables, self._journal = marked, mark["journal"]
        self._of_kind = {table.kind: table for table in marked.values() if table.kind is not None}

    def _is_still(self, table: TableRows, found: TableRows | None, was: Mapping[str, Any]) -> bool:
        return (
            found is not None
            and found.columns.names == table.columns.names
            and found.tail(self.file, was["last"]) == was["tail"]
        )

    def _found(self, file: DatabaseFile) -> dict[str, TableRows]:
        """The tables that crawls have made."""
        schema = self._schema(file)
        self._others = {folded(name) for _, name, made in schema if not made}
        found = {}
        for _, name, made in schema:
            if made:
                columns = [
                    column for (column,) in file.read("SELECT name FROM pragma_table_info(?)", (name,))
                ]
                found[folded(name)] = TableRows(name, Columns(self.path.name, columns), made=True)
        return found

    @staticmethod
    def _schema(file: DatabaseFile) -> list[tuple[str, str, bool]]:
        """What there is, and whether crawls have made it."""
        rows = file.read(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'"
        )
        return [(kind, name, kind == "table" and MADE in sql) for kind, name, sql in rows]

    # ── items ────────────────────────────────────────────────────────────────────────────────────────

    def take_columns(self, kind: str, names: Sequence[str] | None) -> None:
        if names:
            self._promised[kind] = names

    def encode(self, record: Record) -> bytes:
        """~5 µs for an item of 200 bytes: the table's name and the cells, as JSON."""
        item = json.loads(record.json)  # orjson makes a float of an integer beyond 64 bits
        table = self._of_kind.get(record.kind)
        if table is None or not isinstance(item, dict) or tuple(item) != table.columns.names:
            table = self._fitting(record.kind, item)
        return orjson.dumps([table.name, *(_cell(item.get(name)) for name in table.columns.names)])

    def _fitting(self, kind: str, item: Any) -> TableRows:
        """The table that takes the item; the first one that fits decides its columns."""
        table = self._of_kind.get(kind) or self._table_for(kind)
        table.columns.take(self._promised.get(kind, ()))
        names = table.columns.of(item)
        if kind not in self._of_kind:
            new = Columns(self.path.name, names, promised=table.columns.promised)
            table = TableRows(table.name, new, kind=kind, base=table.base, made=table.made)
            table.check()
            self._tables[folded(table.name)] = self._of_kind[kind] = table
        return table

    def _table_for(self, kind: str) -> TableRows:
        name = DICTS if kind == "dict" else kind
        if folded(name) in self._others:
            raise ValueError(
                f"'{self.path.name}' has a '{name}' that no crawl has made. Choose another file."
            )
        table = self._tables.get(folded(name)) or TableRows(name, Columns(self.path.name))
        if table.kind not in (None, kind):
            raise ValueError(
                f"'{self.path.name}' has a table '{table.name}' of {table.kind}, and SQLite takes '{name}' for"
                f" the same name. Give each a file: `-o {table.kind}:… -o {kind}:…`."
            )
        return table

    def append(self, lines: Sequence[bytes]) -> None:
        rows: dict[str, list[list[Any]]] = {}
        for line in lines:
            name, *cells = orjson.loads(line)
            rows.setdefault(name, []).append(cells)
        for name, those in rows.items():
            self._tables[folded(name)].add(self.file, those)
        self._waiting += sum(map(len, lines))
        if self._waiting > LARGEST:
            self._commit()

    # ── the disk ─────────────────────────────────────────────────────────────────────────────────────

    def mark(self) -> dict[str, Any]:
        self._commit()
        tables = {name: table.mark(self.file) for name, table in self._tables.items()}
        return {"tables": tables, "journal": self._journal}

    def _commit(self) -> None:
        self.file.commit()
        self._waiting = 0

    def sync(self) -> None:
        """For a thread, while `append` goes on; `close` waits for it."""
        self.file.sync()

    def finish(self) -> None:
        self.file.end_log(self._journal)

    def close(self) -> None:
        file, self._open = self._open, None
        if file is not None:
            file.close()

    @contextmanager
    def _opening(self) -> Iterator[DatabaseFile]:
        """The open database; closed again if it turns out to be of no use. Raises FeedError: nothing has begun."""
        self.close()
        self._of_kind, self._waiting = {}, 0
        self._open = DatabaseFile(self.path)
        try:
            yield self._open
        except BaseException as error:
            self.close()
            if isinstance(error, StorageError) and not isinstance(error, FeedError):
                raise FeedError(str(error)) from error
            raise

    def _loss(self, mark: Mapping[str, Any], why: str) -> FeedLost:
        self._lost = mark
        return FeedLost(f"'{self.path}' {why}; it has to be written anew.")


def _cell(value: Any) -> Any:
    kind = type(value)
    if kind is dict or kind is list:
        return _nested(value)
    if kind is int and not -(2**63) <= value < 2**63:
        return str(value)
    return value
