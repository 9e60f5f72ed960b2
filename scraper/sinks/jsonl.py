"""JSON lines: one item a line. The feed to choose when nothing speaks for another."""

from __future__ import annotations

from scraper.item import Record
from scraper.sinks.files import FileSink


class JsonLines(FileSink):
    """`.jsonl`, `.ndjson`: readable while the crawl goes on; items of every kind may share one file."""

    def encode(self, record: Record) -> bytes:
        return record.json + b"\n"
