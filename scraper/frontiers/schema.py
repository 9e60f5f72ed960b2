"""The run's database: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scraper.errors import RunError, StorageError
from scraper.transactions import is_damage

VERSION = 1
OLDEST_SQLITE = (3, 35)  # RETURNING, WAL repairs

# queue    what waits, in the order in which a lane is read: the key is the order, so reading on is a seek
# delayed  what may not run before a time
# seen     every identity ever queued → its seq (128 bits: a collision would lose a page)
# recent   those on their way into `seen`: for each commit the first seq, and the identities one after the other
# pages    one row for each request that ended, with its last attempt: the history that `scrape why` reads
# attempts  those before the last
# dead     dead letters, whole, so that they can be put back
# items    what spiders yielded, encoded, in the order of commits: the feeds are copies of it
# delivered  what is out on the wire: in how many lives (`outs`), and in how many of them its response was being
#          worked on, with no other page about (`began`)
# staged   outputs of a page that yields more than memory should hold, some thousand a row; visible when its stage
#          is live
TABLES = """
CREATE TABLE queue (lane TEXT, rank INTEGER, seq INTEGER, id BLOB, parent INTEGER, attempts INTEGER, request BLOB,
    PRIMARY KEY (lane, rank, seq)) WITHOUT ROWID;
CREATE TABLE delayed (due REAL, seq INTEGER, lane TEXT, rank INTEGER, id BLOB, parent INTEGER, attempts INTEGER,
    request BLOB, PRIMARY KEY (due, seq)) WITHOUT ROWID;
CREATE TABLE seen (id BLOB PRIMARY KEY, seq INTEGER) WITHOUT ROWID;
CREATE TABLE recent (first INTEGER PRIMARY KEY, ids BLOB);
CREATE TABLE pages (seq INTEGER PRIMARY KEY, id BLOB, parent INTEGER, url TEXT, outcome TEXT, why TEXT,
    status INTEGER, proxy TEXT, attempts INTEGER, items INTEGER, at REAL);
CREATE TABLE attempts (seq INTEGER, at REAL, attempt INTEGER, status INTEGER, why TEXT, proxy TEXT,
    PRIMARY KEY (seq, at)) WITHOUT ROWID;
CREATE TABLE dead (seq INTEGER PRIMARY KEY, id BLOB, parent INTEGER, url TEXT, why TEXT, status INTEGER,
    attempts INTEGER, at REAL, request BLOB);
CREATE TABLE items (seq INTEGER PRIMARY KEY, id BLOB, kind TEXT, json BLOB);
CREATE TABLE stages (page INTEGER PRIMARY KEY, state TEXT);
CREATE TABLE staged (part INTEGER PRIMARY KEY, page INTEGER, heads BLOB, ids BLOB, bodies BLOB);
CREATE INDEX staged_by_page ON staged (page, part);
CREATE TABLE memory (owner TEXT, key TEXT, value BLOB, PRIMARY KEY (owner, key)) WITHOUT ROWID;
CREATE TABLE marks (feed TEXT PRIMARY KEY, mark BLOB) WITHOUT ROWID;
CREATE TABLE delivered (seq INTEGER PRIMARY KEY, lane TEXT, rank INTEGER, outs INTEGER, began INTEGER);
CREATE TABLE ledger (one INTEGER PRIMARY KEY CHECK (one = 1), state BLOB);
"""


def connect(path: Path) -> sqlite3.Connection:
    """Opens a run's database, making it where it is new. Raises RunError or StorageError, in words."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise RunError(f"This Python has SQLite {sqlite3.sqlite_version}; runs need 3.35 or newer.")
    with in_words(path):
        # check_same_thread: the checkpoint runs in a thread, on a connection of its own
        base = sqlite3.connect(
            path, isolation_level=None, timeout=10, cached_statements=256, check_same_thread=False
        )
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")  # a power cut takes back whole commits, never halves
        base.execute("PRAGMA cache_size = -32768")  # KiB
        base.execute("PRAGMA wal_autocheckpoint = 0")  # its fsync would hold the loop: see Checkpoints
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            base.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            base.close()
            raise RunError(
                f"{path} was written by another version of the framework (format {version}, not {VERSION})."
            )
    return base


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        if is_damage(error):
            raise StorageError(
                f"The database of run {path.parent.name} is damaged ({error})."
                f" `scrape runs check {path.parent.name}` says what can be saved."
            ) from error
        raise StorageError(
            f"The run's database {path} can't be used: {error}. What was committed is safe; put it right and resume."
        ) from error
