"""The jobs' database: its table, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scraper.durable import sync_folder
from scraper.errors import StorageError
from scraper.filesystems import network_filesystem
from scraper.transactions import Transaction, is_damage

VERSION = 1
OLDEST_SQLITE = (3, 35)  # RETURNING, WAL repairs
PATIENCE = 10.0  # seconds for another process to let go of the file
PAUSE = 0.01  # seconds between two looks

# priority  of `spec`, beside it for the order of the queue
# tick      the time of the schedule that the job runs for: `due` moves when it is put off
# lease     until when `worker` has it (Unix time); NULL unless it runs
TABLES = (
    """CREATE TABLE jobs (number INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, spider TEXT NOT NULL,
    spec TEXT NOT NULL, priority INTEGER NOT NULL, tick REAL NOT NULL, due REAL NOT NULL, created REAL NOT NULL,
    series TEXT NOT NULL DEFAULT '', run TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '', started REAL,
    ended REAL, deaths INTEGER NOT NULL DEFAULT 0, worker TEXT NOT NULL DEFAULT '', lease REAL,
    cancelling INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX jobs_queued ON jobs (priority DESC, due, number) WHERE state = 'queued'",
    "CREATE INDEX jobs_running ON jobs (lease, number) WHERE state = 'running'",
    "CREATE INDEX jobs_by_state ON jobs (state, number)",
    "CREATE INDEX jobs_by_spider ON jobs (spider, number)",
    "CREATE INDEX jobs_by_series ON jobs (series, number) WHERE series != ''",
)


def connect(path: Path) -> sqlite3.Connection:
    """Opens the jobs of a project, making the file where it is new (mode 0600: arguments may be passwords).

    Raises StorageError, in words.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StorageError(f"This Python has SQLite {sqlite3.sqlite_version}; jobs need 3.35 or newer.")
    if where := network_filesystem(path):
        raise StorageError(
            f"{path} is on a network file system ({where}), which a database is not safe on."
            f" Make {path.parent} a link to a folder on a local disk."
        )
    with in_words(path):
        _make_file(path)
        # check_same_thread: SqliteJobs lets one thread in at a time
        base = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE, check_same_thread=False)
        try:
            base.row_factory = sqlite3.Row
            _write_ahead(base)
            base.execute("PRAGMA synchronous = FULL")  # a job that was accepted outlives a power cut
            _make_tables(base, path)
        except BaseException:
            base.close()
            raise
    return base


def _make_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        for folder in (path.parent, path.parent.parent):
            sync_folder(folder)


def _write_ahead(base: sqlite3.Connection) -> None:
    """The change needs the file for itself, and SQLite does not always wait for that."""
    until = time.monotonic() + PATIENCE
    while base.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            base.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(PAUSE)


def _make_tables(base: sqlite3.Connection, path: Path) -> None:
    version = _version(base)
    if version == 0:
        with Transaction(base):
            version = _version(base)  # another process may have been faster
            if version == 0:
                for statement in TABLES:
                    base.execute(statement)
                base.execute(f"PRAGMA user_version = {VERSION}")
                version = VERSION
    if version != VERSION:
        raise StorageError(
            f"{path} was written by another version of the framework (format {version}, not {VERSION})."
            " Let that version finish its jobs, or move the file away."
        )


def _version(base: sqlite3.Connection) -> int:
    version: int = base.execute("PRAGMA user_version").fetchone()[0]
    return version


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"The jobs' database {path} can't be made: {error.strerror}.") from error
    except sqlite3.Error as error:
        if is_damage(error):
            raise StorageError(
                f"The jobs' database {path} is damaged ({error}): put it back from a backup, or move it away to"
                " begin with none. The runs are kept elsewhere: `scrape runs` shows them."
            ) from error
        raise StorageError(
            f"The jobs' database {path} can't be used: {error}. What was accepted is safe; put it right and try"
            " again."
        ) from error
