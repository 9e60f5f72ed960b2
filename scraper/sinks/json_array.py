"""One JSON array: for readers that want a whole document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scraper.errors import FeedError
from scraper.item import Record
from scraper.sinks.files import FileSink

OPENING = b"["


class JsonArray(FileSink):
    """`.json`: valid JSON once the crawl has finished; until then the last `]` is missing."""

    ending = b"\n]\n"

    def __init__(self, path: Path, *, append: bool = False) -> None:
        if append:
            raise FeedError(f"'{path}': nothing comes after the end of a JSON array. Use .jsonl to append.")
        super().__init__(path)

    def encode(self, record: Record) -> bytes:
        return b",\n" + record.json

    def opening(self) -> bytes:
        return OPENING

    def append(self, lines: Sequence[bytes]) -> None:
        if lines and self.file.end == len(OPENING):
            lines = [lines[0].removeprefix(b","), *lines[1:]]
        super().append(lines)
