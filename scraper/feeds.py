"""Feeds: the files that a crawl writes, each a copy of the run's items up to its mark."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from scraper.item import REJECTED, Record
from scraper.protocols import Frontier, Sink

log = structlog.get_logger()

READ_AT_ONCE = 1_000  # items read from the run when a feed catches up


@dataclass(slots=True)
class Feed:
    """One file: `kind` is the item class it takes (None: every item but the rejected ones)."""

    name: str
    sink: Sink
    kind: str | None = None
    covered: int = 0  # the last item, in the run's order, that the sink has

    def takes(self, record: Record) -> bool:
        return record.kind == self.kind if self.kind else record.kind != REJECTED


class Feeds:
    """Written from committed items only; a mark is stored by the commit after its fdatasync.

    `sync`: seconds between two fdatasyncs.
    """

    def __init__(self, feeds: Sequence[Feed], *, sync: float) -> None:
        self._feeds = feeds
        self._every = sync
        self._last = time.monotonic()
        self._syncing: asyncio.Task[dict[str, Any]] | None = None
        self._covered = 0

    # ── a page's items, before the commit ────────────────────────────────────────────────────────────

    def encode(self, record: Record, columns: Sequence[str] | None) -> tuple[bytes, ...]:
        """The record's bytes for each feed (b"" where a feed does not take it). Raises ValueError in words."""
        lines = []
        for feed in self._feeds:
            if not feed.takes(record):
                lines.append(b"")
                continue
            if columns is not None and hasattr(feed.sink, "take_columns"):
                feed.sink.take_columns(record.kind, columns)
            lines.append(feed.sink.encode(record))
        return tuple(lines)

    # ── after the commit ─────────────────────────────────────────────────────────────────────────────

    def append(
        self, items: Sequence[tuple[int, Record]], lines: Sequence[tuple[bytes, ...] | None]
    ) -> None:
        """Adds what a commit made durable. Raises StorageError."""
        if not items:
            return
        encoded = [line or self.encode(record, None) for (_, record), line in zip(items, lines, strict=True)]
        for n, feed in enumerate(self._feeds):
            feed.sink.append([line[n] for line in encoded if line[n]])
            feed.covered = items[-1][0]
        self._covered = items[-1][0]

    def marks(self) -> Mapping[str, Any]:
        """The marks that the next commit may store: of the sync that has ended, if one has."""
        if self._syncing is not None and self._syncing.done():
            task, self._syncing = self._syncing, None
            return task.result()
        if self._syncing is None and time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            self._syncing = asyncio.get_running_loop().create_task(self._synced())
        return {}

    async def _synced(self) -> dict[str, Any]:
        marks = self._taken()
        await asyncio.to_thread(self._sync_all)
        return marks

    def _taken(self) -> dict[str, Any]:
        return {feed.name: {"seq": feed.covered, "sink": feed.sink.mark()} for feed in self._feeds}

    def _sync_all(self) -> None:
        for feed in self._feeds:
            feed.sink.sync()

    # ── the beginning and the end ────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        for feed in self._feeds:
            feed.sink.start()

    async def catch_up(self, marks: Mapping[str, Any], frontier: Frontier) -> None:
        """Takes every feed back to its mark and appends what the run has committed since."""
        for feed in self._feeds:
            mark = marks.get(feed.name)
            if mark is None:
                feed.sink.start()
            else:
                feed.sink.rewind(mark["sink"])
                feed.covered = mark["seq"]
            await self._append_later(feed, frontier)

    async def _append_later(self, feed: Feed, frontier: Frontier) -> None:
        while items := await frontier.items(feed.covered, READ_AT_ONCE):
            feed.sink.append([feed.sink.encode(record) for _, record in items if feed.takes(record)])
            feed.covered = items[-1][0]

    async def last_marks(self) -> Mapping[str, Any]:
        """Everything synced; the marks of the crawl's last commit."""
        if self._syncing is not None:
            await self._syncing
            self._syncing = None
        return await self._synced()

    def finish(self) -> None:
        for feed in self._feeds:
            feed.sink.finish()

    def close(self) -> None:
        for feed in self._feeds:
            feed.sink.close()

    @property
    def names(self) -> list[str]:
        return [feed.name for feed in self._feeds if feed.kind != REJECTED]
