"""Checkpoints: moving the write-ahead log into the database without holding up the crawl.

A commit in WAL mode writes without waiting for the disk; a checkpoint waits (fsync). SQLite would run it
inside some commit, on the event loop. Here it runs in a thread on a connection of its own; only a log that
outgrows `LARGEST` is put back to its start in the open, when little is left of it to copy.

A checkpoint begins only after a commit that came after the end of the last one. That also keeps clear of a race in
SQLite before 3.51.3, where a commit puts the log back to its start while a checkpoint that has nothing to copy
begins (https://www.sqlite.org/wal.html#walresetbug).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

from scraper.durable import sync_folder
from scraper.errors import StorageError
from scraper.frontiers.schema import in_words

EVERY = 1.0  # seconds
LARGEST = 64 * 1024 * 1024  # bytes


class Checkpoints:
    """Of the database at `path`, which is open already."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.stat()
        self._log = path.with_name(path.name + "-wal")
        self._task: asyncio.Task[None] | None = None
        self._last = time.monotonic()

    def committed(self) -> None:
        """Called after each commit: costs a clock reading."""
        now = time.monotonic()
        if now - self._last >= EVERY and (self._task is None or self._task.done()):
            self._last = now
            self._task = asyncio.get_running_loop().create_task(asyncio.to_thread(self._run))

    def check(self) -> None:
        """Raises StorageError where the last checkpoint failed: a full disk is the crawl's failure."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            task.result()

    async def close(self) -> None:
        """After the last commit: returns when it is on the disk, whoever else reads the database."""
        if self._task is not None:
            await asyncio.wait([self._task])
            self.check()
        await asyncio.to_thread(self._sync)

    # ── in a thread ──────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        self._check_there()
        with in_words(self._path):
            _checkpoint(self._path, restart=self._log.stat().st_size > LARGEST)

    def _sync(self) -> None:
        """The log is enough: what is in it, the next life reads from there."""
        self._check_there()
        try:
            with self._log.open("rb+") as log:
                os.fsync(log.fileno())
        except OSError as error:
            raise StorageError(f"{self._log} can't be written: {error.strerror}.") from error
        sync_folder(self._path.parent)

    def _check_there(self) -> None:
        """What is written into a file that nobody finds any more is lost."""
        try:
            there = os.path.samestat(self._path.stat(), self._file) and self._log.exists()
        except OSError:
            there = False
        if not there:
            raise StorageError(
                f"The run's database {self._path} was removed or replaced while the crawl was at work: the run can't"
                " go on. What its feeds hold is all there is of it; start a new one."
            )


def _checkpoint(path: Path, *, restart: bool) -> None:
    base = sqlite3.connect(path, isolation_level=None, timeout=1)
    try:
        _, frames, copied = base.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        # RESTART keeps the writer waiting while it copies: only what has come meanwhile, milliseconds. Where nothing
        # has, the next commit puts the log back to its start by itself
        if restart and copied < frames:
            base.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    finally:
        base.close()
