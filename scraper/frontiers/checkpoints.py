"""Checkpoints: moving the write-ahead log into the database without holding up the crawl.

A commit in WAL mode writes without waiting for the disk; a checkpoint waits (fsync). SQLite would run it
inside some commit, on the event loop. Here it runs in a thread on a connection of its own; only a log that
outgrows `LARGEST` is put back to its start in the open, when little is left of it to copy.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

from scraper.frontiers.schema import in_words

EVERY = 1.0  # seconds
LARGEST = 64 * 1024 * 1024  # bytes


class Checkpoints:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._task: asyncio.Task[None] | None = None
        self._last = time.monotonic()

    def committed(self) -> None:
        """Called after each commit: costs a clock reading."""
        now = time.monotonic()
        if now - self._last >= EVERY and (self._task is None or self._task.done()):
            self._last = now
            mode = "RESTART" if self._log.stat().st_size > LARGEST else "PASSIVE"
            self._task = asyncio.get_running_loop().create_task(
                asyncio.to_thread(_checkpoint, self._path, mode)
            )

    def check(self) -> None:
        """Raises StorageError where the last checkpoint failed: a full disk is the crawl's failure."""
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            with in_words(self._path):
                task.result()

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])
            self.check()


def _checkpoint(path: Path, mode: str) -> None:
    # RESTART waits for the writer's next pause and keeps it waiting for what is left to copy: milliseconds
    base = sqlite3.connect(path, isolation_level=None, timeout=1)
    try:
        base.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    finally:
        base.close()
