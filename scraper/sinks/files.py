"""What feeds that are files have in common: a life, and marks to go back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from scraper.errors import FeedError
from scraper.protocols import Sink
from scraper.sinks.append_file import AppendFile, told_as

WITNESS = 1024  # bytes that a checksum in a mark covers


class FeedLost(FeedError):
    """The file is gone, or is not what the mark was made for: call `start` and append every item again."""


class FileSink(Sink):
    """A life: `start`, or `rewind` at a resume; `append`, `mark`, `sync`, again and again; `finish`; `close`.

    A fresh run replaces what is at `path` (absolute); with `append` what is there stays, in this and every
    later life: `base` in a mark is where this run's part begins. So store a mark right after `start`.
    """

    ending: ClassVar[bytes] = b""  # what a finished file ends with

    def __init__(self, path: Path, *, append: bool = False) -> None:
        self.path = path
        self._append = append
        self._open: AppendFile | None = None
        self._base = 0
        self._finished = False
        self._lost: Mapping[str, Any] | None = None  # the mark that a rewind found no file for

    @property
    def file(self) -> AppendFile:
        if self._open is None:
            raise RuntimeError(f"'{self.path}' is not open: call start() or rewind() first.")
        return self._open

    def take_columns(self, kind: str, names: Sequence[str] | None) -> None:
        """Lines need no columns."""

    def start(self) -> None:
        with self._opening() as file:
            self._base = self._kept(file)
            file.cut(self._base)
            if file.read(self._base - 1, self._base) not in (b"", b"\n"):
                file.append([b"\n"])
            file.append([self.opening()])

    def opening(self) -> bytes:
        """What a fresh file starts with."""
        return b""

    def rewind(self, mark: Mapping[str, Any]) -> None:
        """Raises FeedLost, with nothing changed, where there is nothing to go back to."""
        self.close()
        with told_as(FeedError, self.path):
            if not self.path.exists():
                raise self._loss(mark, "is gone")
        with self._opening() as file:
            if mark["offset"] > file.end or mark["tail"] != _tail(file, mark["offset"]):
                raise self._loss(mark, "is not what this run wrote")
            file.cut(mark["offset"])
            self._base = mark["base"]

    def append(self, lines: Sequence[bytes]) -> None:
        self.file.append(lines)

    def mark(self) -> dict[str, Any]:
        file = self.file
        file.flush()
        offset = file.end - (len(self.ending) if self._finished else 0)
        seam = _seam(file, self._base, offset)
        return {"offset": offset, "tail": _tail(file, offset), "base": self._base, "seam": seam}

    def sync(self) -> None:
        """For a thread, while `append` goes on; `close` waits for it."""
        self.file.sync()

    def finish(self) -> None:
        if not self._finished:
            self.file.append([self.ending])
            self._finished = True
        self.file.flush()

    def close(self) -> None:
        file, self._open = self._open, None
        if file is not None:
            file.close()

    @contextmanager
    def _opening(self) -> Iterator[AppendFile]:
        """The open file; closed again if it turns out to be of no use."""
        self.close()
        self._open, self._finished = AppendFile(self.path), False
        try:
            yield self._open
        except BaseException:
            self.close()
            raise

    def _loss(self, mark: Mapping[str, Any], why: str) -> FeedLost:
        self._lost = mark
        return FeedLost(f"'{self.path}' {why}; it has to be written anew.")

    def _kept(self, file: AppendFile) -> int:
        """How much of the file stays: after a loss all but this run's part, if that can be told apart."""
        lost = self._lost
        if lost and lost["seam"] == _seam(file, lost["base"], lost["offset"]):
            return int(lost["base"])
        return file.end if self._append else 0


def _tail(file: AppendFile, offset: int) -> int:
    """Witness that the file up to here is the one that was written."""
    return file.checksum(offset - WITNESS, offset)


def _seam(file: AppendFile, base: int, offset: int) -> int:
    """Witness that this run's part begins at `base`."""
    return file.checksum(base - WITNESS, min(base + WITNESS, offset))
