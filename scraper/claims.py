"""Claims: which run has written a feed last, so that two runs never mix in one file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scraper.durable import replace_file
from scraper.errors import RunError, StorageError


class Claims:
    """A note for each file, in `folder`; it holds the run's id."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._earlier: dict[Path, str] = {}  # note of a file claimed here → who had written it before

    def claim(self, path: Path, run_id: str) -> None:
        """Writes down that this run writes the file. Raises StorageError."""
        note = self._note(path)
        with self._told():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._earlier.setdefault(note, _writer(note))
            replace_file(note, run_id)

    def give_back(self) -> None:
        """For a crawl that never began: whoever wrote the files last is again who it was. Raises StorageError."""
        with self._told():
            for note, writer in self._earlier.items():
                replace_file(note, writer)

    def check(self, path: Path, run_id: str) -> None:
        """Raises RunError where another run has written the file since."""
        with self._told():
            writer = _writer(self._note(path))
        if writer not in ("", run_id):
            raise RunError(
                f"{path} has been written by run {writer} since: going on would mix the two."
                f" Move it away, and {run_id} writes its own again when it is resumed."
            )

    def _note(self, path: Path) -> Path:
        return self._folder / hashlib.blake2b(os.fsencode(path), digest_size=12).hexdigest()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"The notes in {self._folder} can't be kept: {error.strerror}.") from error


def _writer(note: Path) -> str:
    """The run that wrote the file last; "" where nobody has."""
    return note.read_text("utf-8") if note.is_file() else ""
