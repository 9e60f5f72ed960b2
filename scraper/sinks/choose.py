"""From what a user writes after `-o` to the sink that writes it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scraper.errors import FeedError
from scraper.protocols import Sink
from scraper.sinks.append_file import told_as
from scraper.sinks.csv_table import CsvTable
from scraper.sinks.json_array import JsonArray
from scraper.sinks.jsonl import JsonLines
from scraper.sinks.sqlite_tables import SqliteTables
from scraper.sinks.stdout import StandardOutput

FORMATS: dict[str, Callable[..., Sink]] = {  # a file's ending → its sink, called as (path, append=…)
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": JsonArray,
    ".csv": CsvTable,
    ".sqlite": SqliteTables,
    ".sqlite3": SqliteTables,
    ".db": SqliteTables,
}

_KIND = re.compile(r"(?P<kind>[^\W\d]\w*):(?P<file>.*)", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """Where items go. `kind`: only those of this class; `path`: absolute, None for standard output."""

    kind: str | None = None
    path: Path | None = None

    def __str__(self) -> str:
        """What `parse_feed` reads."""
        file = "-" if self.path is None else str(self.path)
        return f"{self.kind}:{file}" if self.kind else file


def parse_feed(text: str) -> FeedSpec:
    r"""`books.jsonl`, `Book:books.csv`, `-` for standard output; the `C:` of `C:\books.csv` is a drive."""
    found = None if _DRIVE.match(text) else _KIND.fullmatch(text)
    kind, file = (found["kind"], found["file"]) if found else (None, text)
    if file == "-":
        return FeedSpec(kind=kind)
    if not file:
        raise FeedError(f"'{text}' names no file: write `-o books.jsonl` or `-o Book:books.csv`.")
    if found and file.startswith("//"):
        raise FeedError(f"'{text}': a feed is a local file, not an address.")
    path = Path(file).absolute()
    _format(path)
    return FeedSpec(kind=kind, path=path)


def check_writable(spec: FeedSpec) -> None:
    """Raises FeedError, before the crawl, where the file could not be written after it. Leaves no trace."""
    if spec.path is None:
        return
    with told_as(FeedError, spec.path):
        if spec.path.exists():
            spec.path.open("a+b", buffering=0).close()  # as a sink opens it
        else:
            tempfile.TemporaryFile(dir=spec.path.parent).close()


def make_sink(spec: FeedSpec, *, append: bool, rejected: bool = False) -> Sink:
    """`rejected` items are of every kind and shape: they are JSON lines, whatever the ending."""
    if spec.path is None:
        return StandardOutput()
    if rejected:
        return JsonLines(spec.path, append=append)
    return _format(spec.path)(spec.path, append=append)


def _format(path: Path) -> Callable[..., Sink]:
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        *others, last = FORMATS
        endings = f"{', '.join(others)} or {last}"
        raise FeedError(f"'{path.name}': a feed's ending says its format; use {endings}.") from None
