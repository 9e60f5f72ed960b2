"""Log files: what a job has logged, oldest first, whatever was rotated meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

READ_AT_ONCE = 65_536  # bytes
LOOK = 0.2  # seconds between two looks at a file that may grow


def rotated(file: Path) -> list[Path]:
    """`17.log` and those that it was before: … `17.log.2`, `17.log.1`, `17.log`; only what is there."""
    older = [(int(path.suffix[1:]), path) for path in file.parent.glob(f"{file.name}.*") if _numbered(path)]
    found = [path for _, path in sorted(older, reverse=True)]
    return [*found, file] if file.exists() else found


def read(file: Path) -> Iterator[bytes]:
    """All of it in parts, up to what is there now."""
    return follow(file, ended=lambda: True)


def follow(
    file: Path, *, ended: Callable[[], bool], pause: Callable[[], None] = lambda: time.sleep(LOOK)
) -> Iterator[bytes]:
    """As `read`, and what is added, until `ended` says so and all is read."""
    open_file: BinaryIO | None = None
    try:
        while True:
            over = ended()  # before the read: what comes before the end is read
            while (following := _next(file, open_file)) is not None:
                if open_file is not None:
                    yield from _rest(open_file)  # what came between our last look and its rotation
                    open_file.close()
                open_file = following
            if open_file is not None:
                yield from _rest(open_file)
            if over:
                return
            pause()
    finally:
        if open_file is not None:
            open_file.close()


def _next(file: Path, current: BinaryIO | None) -> BinaryIO | None:
    """The file that follows the one that is open; None where there is none yet."""
    files = _all_of(file)
    place = 0
    if current is not None:
        same = [n for n, one in enumerate(files) if _identity(one) == _identity(current)]
        place = same[0] + 1 if same else 0  # one that was deleted is older than all
    for n, one in enumerate(files):
        if n != place:
            one.close()
    return files[place] if place < len(files) else None


def _all_of(file: Path) -> list[BinaryIO]:
    """They are opened at one moment: no rotation comes between."""
    while True:
        files = [opened for path in rotated(file) if (opened := _opened(path)) is not None]
        with suppress(FileNotFoundError):
            now = [(found.st_dev, found.st_ino) for found in (path.stat() for path in rotated(file))]
            if now == [_identity(one) for one in files]:
                return files
        for one in files:
            one.close()


def _opened(path: Path) -> BinaryIO | None:
    try:
        return path.open("rb")
    except FileNotFoundError:  # rotated in this moment
        return None


def _identity(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


def _rest(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(READ_AT_ONCE):
        yield part


def _numbered(path: Path) -> bool:
    return path.suffix[1:].isdecimal()
