"""A lock that one process holds while it lives, and that tells afterwards whether it was killed."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path

import portalocker

LOOKS = 20  # before the lock counts as held: whoever only asks whether it is lets go of it at once
PAUSE = 0.01  # seconds between two of them
BEGUN, ENDED = b"1", b"0"  # in the file, overwritten in place: a full disk has room for that


_held: set[FileIO] = set()


def hold(file: FileIO) -> None:
    """A file that this process has locked: what is forked from it closes its copy, else the lock would outlive us."""
    _held.add(file)


def let_go(file: FileIO) -> None:
    _held.discard(file)


def _forget() -> None:
    for file in _held:
        file.close()  # closing unlocks nothing while another process has the file open
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class Lock:
    """`was_killed`, after `take`: whoever called `begin` last never came to `end`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.was_killed = False

    def take(self) -> None:
        """Raises portalocker.LockException where another process holds it; OSError."""
        self._file = FileIO(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            self._lock()
            self.was_killed = self._file.read(1) == BEGUN
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        for look in range(1, LOOKS + 1):
            try:
                portalocker.lock(self._file, portalocker.LOCK_EX | portalocker.LOCK_NB)
                hold(self._file)
                return
            except portalocker.LockException:
                if look == LOOKS:
                    raise
                time.sleep(PAUSE)

    def begin(self) -> None:
        """Something that should come to an end. Raises OSError."""
        self._write(BEGUN)

    def end(self) -> None:
        with suppress(OSError):  # then it counts as killed
            self._write(ENDED)

    def release(self) -> None:
        let_go(self._file)
        with self._file:
            portalocker.unlock(self._file)  # closing is not enough where a forked child has a copy

    def _write(self, mark: bytes) -> None:
        self._file.seek(0)
        self._file.write(mark)

    @property
    def held(self) -> bool:
        """Whether a process holds it now; leaves no trace."""
        try:
            with self._path.open("rb") as file:
                portalocker.lock(file, portalocker.LOCK_SH | portalocker.LOCK_NB)
        except portalocker.LockException:
            return True
        except FileNotFoundError:
            return False
        return False
