"""Standard output as a feed: JSON lines for the next program in a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from scraper.errors import StorageError
from scraper.item import Record


class StandardOutput:
    """At least once: nothing can be taken back, so a resume may write the last second's items again."""

    def __init__(self, stream: BinaryIO | None = None) -> None:
        self._stream = stream or sys.stdout.buffer

    def take_columns(self, kind: str, names: Sequence[str] | None) -> None:
        """Lines have no columns."""

    def encode(self, record: Record) -> bytes:
        return record.json + b"\n"

    def start(self) -> None:
        """There is nothing to open."""

    def rewind(self, mark: Mapping[str, Any]) -> None:
        """There is no way back."""

    def append(self, lines: Sequence[bytes]) -> None:
        with self._told():
            self._stream.writelines(lines)

    def mark(self) -> dict[str, Any]:
        with self._told():
            self._stream.flush()
        return {}

    def sync(self) -> None:
        """A pipe has no disk."""

    def finish(self) -> None:
        self.mark()

    def close(self) -> None:
        self.mark()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError as error:
            self._let_go()
            raise StorageError("Standard output was closed by the program that read it.") from error
        except OSError as error:
            raise StorageError(f"Standard output can't be written: {error.strerror or error}.") from error

    def _let_go(self) -> None:
        """What is buffered goes nowhere, else Python fails once more over it at its exit."""
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
