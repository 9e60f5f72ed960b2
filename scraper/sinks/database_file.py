"""A SQLite database that one crawl at a time writes: locked, readable by others meanwhile, one file in the end."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scraper.durable import sync_folder
from scraper.errors import FeedError, ScrapeError, StorageError
from scraper.filesystems import network_filesystem
from scraper.sinks.append_file import AppendFile, told_as

PATIENCE = 5.0  # seconds that another program may hold up a write
LOG_LIMIT = 16 * 1024 * 1024  # bytes of the write-ahead log, from which on it is moved into the database
PAGES_LIMIT = 16 * 1024  # pages of the log, from which on a commit moves them itself, before anyone syncs

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Damaged(FeedError, StorageError):
    """The file is no SQLite database, or a damaged one: before a crawl a person's to put right, in it the disk's."""


class DatabaseFile:
    """Locked from opening to `close`; one transaction is open from the first `write` to the next `commit`.

    `journal`: the journal mode it was found in.

    In WAL mode a commit waits for no disk and readers are never held up; `sync`, in a thread, waits. After a
    write that failed only `close` is left: what came since the last commit is rolled back.

    Raises Damaged or FeedError where it can't be opened, StorageError where it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = _beside(path, "-wal")
        self._in_sync = threading.Lock()
        self._failed: StorageError | None = None
        _check_local(path)
        # SQLite's own locks last only while nobody in this process closes the file: it is opened before them
        # and closed after them. An empty file is an empty database.
        self._file = AppendFile(path)
        self._folder_synced = False
        self._syncing: sqlite3.Connection | None = None
        try:
            with in_words(FeedError, path):
                self._base = _connect(path)
                self.journal = str(self._base.execute("PRAGMA journal_mode").fetchone()[0])
            self._there = path.stat()
        except BaseException:
            self._close()
            raise

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────

    def read(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with in_words(StorageError, self.path):
            return self._base.execute(query, values).fetchall()

    def write(self, statement: str, values: Sequence[Any] = ()) -> None:
        with self._writing():
            self._begin()
            self._base.execute(statement, values)

    def write_rows(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._writing():
            self._begin()
            self._base.executemany(statement, rows)

    def _begin(self) -> None:
        if self._syncing is None:
            self._use_log()
        if not self._base.in_transaction:
            self._base.execute("BEGIN IMMEDIATE")

    def _use_log(self) -> None:
        """From the first write on: a database that is refused stays as it is."""
        mode = self._base.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StorageError(
                f"'{self.path}' can't be written safely where it is. Choose a folder on a local disk."
            )
        self._syncing = _connect(self.path)

    def commit(self) -> None:
        """Hands everything to the operating system; from here on readers see it."""
        with self._writing():
            if self._base.in_transaction:
                self._base.execute("COMMIT")

    def shrink(self) -> None:
        """Gives the space of dropped tables back; costs what the rest of the database weighs."""
        with in_words(StorageError, self.path):
            self._base.execute("VACUUM")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if self._failed is not None:  # SQLite has rolled back, perhaps, what the caller counts on
            raise self._failed
        try:
            with in_words(StorageError, self.path):
                yield
        except StorageError as error:
            self._failed = error
            raise

    # ── the disk ─────────────────────────────────────────────────────────────────────────────────────

    def sync(self) -> None:
        """Blocks until what was committed is on the disk. For a thread, while writing goes on."""
        with self._in_sync, in_words(StorageError, self.path):
            self._check_there()
            if self._syncing is not None:
                with told_as(StorageError, self._log):
                    self._sync_log(self._syncing)
            if not self._folder_synced:
                sync_folder(self.path.resolve().parent)
                self._folder_synced = True

    def _check_there(self) -> None:
        """Whoever opens the path finds what was written."""
        with told_as(StorageError, self.path):
            try:
                how = "" if os.path.samestat(self.path.stat(), self._there) else "replaced"
            except FileNotFoundError:
                how = "removed"
        if how:
            raise StorageError(f"'{self.path}' was {how} while it was written. A resume writes it anew.")

    def _sync_log(self, base: sqlite3.Connection) -> None:
        """What was committed is in the log, or in the database, where a checkpoint has synced it."""
        with self._log.open("r+b") as log:
            os.fsync(log.fileno())
            size = os.fstat(log.fileno()).st_size
        if size > LOG_LIMIT:
            base.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────

    def end_log(self, journal: str) -> None:
        """Takes the log in, for good, and goes back to the `journal` mode that the database had.

        While another program reads, that is left to its closing of the database.
        """
        self.commit()
        with self._in_sync, in_words(StorageError, self.path):
            self._close_syncing()
            self._base.execute("PRAGMA busy_timeout = 0")
            try:
                self._base.execute(f"PRAGMA journal_mode = {journal}").fetchone()
            except sqlite3.OperationalError as error:
                if _code(error) not in _IN_USE:
                    raise
                self._syncing = _connect(self.path)
            self._base.execute(f"PRAGMA busy_timeout = {PATIENCE * 1000:.0f}")

    def close(self) -> None:
        try:
            if self._failed is None:
                self.commit()
        finally:
            with self._in_sync:
                self._close()

    def _close(self) -> None:
        self._close_syncing()
        if hasattr(self, "_base"):
            self._base.close()
        self._file.close()

    def _close_syncing(self) -> None:
        base, self._syncing = self._syncing, None
        if base is not None:
            base.close()


def remove(path: Path) -> None:
    """The database and what SQLite keeps beside it."""
    with told_as(FeedError, path):
        for ending in ("", "-wal", "-shm", "-journal"):
            _beside(path, ending).unlink(missing_ok=True)


def _beside(path: Path, ending: str) -> Path:
    real = path.resolve()  # as SQLite does
    return real.with_name(real.name + ending)


def _check_local(path: Path) -> None:
    """Raises FeedError on another machine's disk: the log needs memory that all who read the database share."""
    where = network_filesystem(path)
    if where:
        raise FeedError(
            f"'{path}' lies on a network file system ({where}), where SQLite can't be written safely. Write it"
            " on a local disk and copy it when the crawl has ended."
        )


def _connect(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=PATIENCE,
        check_same_thread=False,  # `sync` has a connection of its own, in whatever thread it is called
    )
    try:
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(f"PRAGMA wal_autocheckpoint = {PAGES_LIMIT}")
        base.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # recovers what a dead process left
    except BaseException:
        base.close()
        raise
    return base


@contextmanager
def in_words(kind: type[ScrapeError], path: Path) -> Iterator[None]:
    """The one door for what SQLite refuses."""
    try:
        yield
    except sqlite3.Error as error:
        code = _code(error)
        if code in _DAMAGED:
            what = "is no SQLite database" if code == sqlite3.SQLITE_NOTADB else f"is damaged ({error})"
            raise Damaged(f"'{path}' {what}. Move it away, or choose another file.") from error
        why = "another program is writing it; let that end first" if code in _IN_USE else error
        raise kind(f"'{path}' can't be written: {why}.") from error


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite's extended codes add
