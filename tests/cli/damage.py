"""A run's database after an accident: pages overwritten, its end missing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

PAGE = 4096  # bytes
NOISE = b"\xde\xad\xbe\xef" * (PAGE // 4)


def database(project: Path, run: str) -> Path:
    return project / ".scrape" / "runs" / run / "frontier.db"


def no_database(project: Path, run: str) -> None:
    database(project, run).write_bytes(NOISE)


@contextmanager
def pages(project: Path, run: str) -> Iterator[bytearray]:
    """The bytes of the database, with its log in it; what is done to them is written."""
    file = database(project, run)
    with closing(sqlite3.connect(file)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    octets = bytearray(file.read_bytes())
    yield octets
    file.write_bytes(octets)


def overwrite(octets: bytearray, page: int) -> None:
    octets[(page - 1) * PAGE : page * PAGE] = NOISE


def root(project: Path, run: str, table: str) -> int:
    with closing(sqlite3.connect(database(project, run))) as base:
        return base.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]


def leaves(octets: bytearray, root: int) -> list[int]:
    """The pages below an interior page of a table, in order: https://www.sqlite.org/fileformat.html §1.6."""
    page = octets[(root - 1) * PAGE : root * PAGE]
    cells = [int.from_bytes(page[at : at + 2]) for at in range(12, 12 + 2 * int.from_bytes(page[3:5]), 2)]
    return [int.from_bytes(page[cell : cell + 4]) for cell in cells]


def statement(project: Path, run: str, *statements: str) -> None:
    """Changes what the database says, where SQLite finds no fault with it."""
    with closing(sqlite3.connect(database(project, run))) as base, base:
        for sql in statements:
            base.execute(sql)
