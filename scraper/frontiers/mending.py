"""Mending: a copy of a database that can't be opened any more is made fit to be read, as far as it goes.

Two things keep SQLite from reading anything at all, though most of the file may be well: a file that is shorter
than it says, and a first page that is damaged. What is missing is filled with zeros; the first page, with the list
of the tables, is the same in every run's database (https://www.sqlite.org/fileformat.html §1.3, §2.6).
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from scraper.frontiers.schema import VERSION, connect

PAGES_AT = slice(28, 32)  # where the file says how many pages it has
PAGE = 4096  # bytes


def opens(database: Path) -> str:
    """Why not; "" where the tables can be found."""
    try:
        with closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        ) as base:
            base.execute("SELECT * FROM ledger LIMIT 0")
            found = base.execute("PRAGMA user_version").fetchone()[0]
            return "" if found == VERSION else f"its format is {found}, and this version reads {VERSION}"
    except sqlite3.Error as error:
        return str(error)


def mend(copy: Path) -> None:
    """Changes the file: for a copy."""
    _fill_up(copy)
    if opens(copy):
        _put_first_page(copy)


def _fill_up(copy: Path) -> None:
    with copy.open("r+b") as file:
        head = file.read(100)
        said = int.from_bytes(head[PAGES_AT]) * PAGE
        there = file.seek(0, 2)
        if there < said <= 1000 * there:  # a head that is damaged itself may say anything
            file.truncate(said)


def _put_first_page(copy: Path) -> None:
    with tempfile.TemporaryDirectory(dir=copy.parent) as folder:
        fresh = Path(folder) / "fresh.db"
        connect(fresh).close()
        page = bytearray(fresh.read_bytes()[:PAGE])
    with copy.open("r+b") as file:
        pages = -(-file.seek(0, 2) // PAGE)
        file.truncate(pages * PAGE)
        page[PAGES_AT] = pages.to_bytes(4)
        file.seek(0)
        file.write(page)
