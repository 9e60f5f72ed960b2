"""A file that one crawl at a time appends to: locked, buffered, its end always known."""

from __future__ import annotations

import os
import stat
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

import portalocker

from scraper.durable import sync_folder
from scraper.errors import FeedError, ScrapeError, StorageError
from scraper.lock import hold, let_go

BUFFER = 256 * 1024  # bytes that wait in memory before they are handed to the operating system

_fdatasync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS and Windows have fsync only


class AppendFile:
    """Locked from opening to `close`. `end` is where the next line goes, what still waits included.

    FeedError where it can't be opened, StorageError where it can't be written. A write that fails (disk full)
    loses nothing: what was not taken goes on waiting, and the next `flush` starts with it. What others do to
    the file meanwhile (remove, replace, cut or extend it) is a StorageError of `flush` or `sync`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._folder_synced = False
        self._in_sync = threading.Lock()
        with told_as(FeedError, path):
            self._file = path.open("a+b", buffering=0)  # truncates nothing: the lock comes first
            try:
                _lock(path, self._file)
                self._regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)  # a device has no end
                self.end = self._flushed = self._file.seek(0, os.SEEK_END)
            except BaseException:
                self._file.close()
                raise

    def cut(self, end: int) -> None:
        """Forgets what comes after `end`; for before the first `append`."""
        if end < self.end:
            with told_as(FeedError, self.path):
                self._file.truncate(end)
            self.end = self._flushed = end

    def append(self, lines: Sequence[bytes]) -> None:
        """Hot: called for every group of items; ~0.1 µs a line, its share of the write included."""
        self._waiting += lines
        size = sum(map(len, lines))
        self.end += size
        self._waiting_size += size
        if self._waiting_size >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Hands every byte to the operating system."""
        if not self._waiting_size:
            return
        rest = memoryview(b"".join(self._waiting))
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
            there = self._file.tell()
        except OSError as error:
            raise StorageError(in_words(error, self.path)) from error
        finally:
            self._waiting, self._waiting_size = [rest.tobytes()], len(rest)
            self._flushed = self.end - len(rest)
        if self._regular and there != self.end:
            raise self._changed("cut or extended by another program")

    def read(self, start: int, end: int) -> bytes:
        """Of what was flushed. Appending is not disturbed: it always writes at the end."""
        start = max(0, start)
        with told_as(StorageError, self.path):
            self._file.seek(start)
            return self._file.read(max(0, end - start))

    def checksum(self, start: int, end: int) -> int:
        return zlib.crc32(self.read(start, end))

    def sync(self) -> None:
        """Blocks until what was flushed is on the disk. For a thread: uses only the descriptor."""
        if not self._regular:
            return
        with self._in_sync, told_as(StorageError, self.path):
            flushed = self._flushed
            _fdatasync(self._file.fileno())
            self._check_there(flushed)
            if not self._folder_synced:
                sync_folder(self.path.resolve().parent)
                self._folder_synced = True

    def _check_there(self, least: int) -> None:
        """Whoever opens the path finds what was written."""
        ours = os.fstat(self._file.fileno())
        try:
            theirs = self.path.stat()
        except FileNotFoundError:
            raise self._changed("removed") from None
        if not os.path.samestat(ours, theirs):
            raise self._changed("replaced")
        if ours.st_size < least:
            raise self._changed("cut")

    def _changed(self, how: str) -> StorageError:
        return StorageError(f"'{self.path}' was {how} while it was written. A resume writes it anew.")

    def close(self) -> None:
        try:
            self.flush()
        finally:
            with self._in_sync, told_as(StorageError, self.path), self._file:
                _unlock(self._file)


def _lock(path: Path, file: FileIO) -> None:
    flags = portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING
    try:
        portalocker.lock(file, flags)
        hold(file)
    except portalocker.AlreadyLocked as error:
        raise FeedError(
            f"'{path}' is being written by another crawl, or by another feed of this one."
        ) from error
    except portalocker.LockException as error:
        raise FeedError(f"'{path}' can't be locked ({error}). Choose a folder on a local disk.") from error


def _unlock(file: FileIO) -> None:
    """Closing is not enough: a forked child may hold a copy of the descriptor, and the lock with it."""
    let_go(file)
    with suppress(portalocker.LockException):
        portalocker.unlock(file)


@contextmanager
def told_as(kind: type[ScrapeError], path: Path) -> Iterator[None]:
    """The one door for what the operating system refuses."""
    try:
        yield
    except OSError as error:
        raise kind(in_words(error, path)) from error


def in_words(error: OSError, path: Path) -> str:
    if isinstance(error, IsADirectoryError):
        return f"'{path}' is a folder. Name a file in it."
    if isinstance(error, FileNotFoundError | NotADirectoryError) and not path.parent.is_dir():
        return f"There is no folder '{path.parent}' to write '{path.name}' in. Create it, or choose another."
    return f"'{path}' can't be written: {error.strerror or error}."
