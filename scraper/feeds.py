"""Feeds: the files that a crawl writes, each a copy of the run's items up to its mark."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import structlog

from scraper.errors import StorageError
from scraper.item import REJECTED, Record
from scraper.protocols import ItemLog, Sink
from scraper.sinks.files import FeedLost

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

    def __init__(self, feeds: Sequence[Feed], *, sync: float, can_rewrite: bool = True) -> None:
        self._feeds = feeds
        self._can_rewrite = can_rewrite  # whether the run keeps every item
        self._every = sync
        self._last = time.monotonic()
        self._syncing: asyncio.Task[dict[str, Any]] | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._failure: StorageError | None = None  # met between two commits: the next one raises it

    # ── a page's items, before the commit ────────────────────────────────────────────────────────────

    def encode(self, record: Record, columns: Sequence[str] | None) -> tuple[bytes, ...]:
        """The record's bytes for each feed (b"" where a feed does not take it). Raises ValueError in words."""
        lines = []
        for feed in self._feeds:
            if not feed.takes(record):
                lines.append(b"")
                continue
            feed.sink.take_columns(record.kind, columns)
            lines.append(feed.sink.encode(record))
        return tuple(lines)

    # ── after the commit ─────────────────────────────────────────────────────────────────────────────

    def append(self, items: Sequence[tuple[int, Record]], lines: Sequence[tuple[bytes, ...] | None]) -> None:
        """Adds what a commit made durable. Raises StorageError."""
        if not items:
            return
        encoded = [line or self.encode(record, None) for (_, record), line in zip(items, lines, strict=True)]
        for n, feed in enumerate(self._feeds):
            feed.sink.append([line[n] for line in encoded if line[n]])
            feed.covered = items[-1][0]
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(self._every, self._flush)

    def _flush(self) -> None:
        """For a reader of the file, should the crawl be quiet for long."""
        self._flushing = None
        try:
            for feed in self._feeds:
                feed.sink.mark()
        except StorageError as error:
            self._failure = error

    def marks(self) -> Mapping[str, Any]:
        """The marks that the next commit may store: of the sync that has ended, if one has."""
        if self._syncing is not None and self._syncing.done():
            task, self._syncing = self._syncing, None
            return task.result()
        if self._syncing is None and time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            self._syncing = asyncio.get_running_loop().create_task(self._synced())
            self._syncing.add_done_callback(_look_at)
        return {}

    async def _synced(self) -> dict[str, Any]:
        marks = self._taken()
        await asyncio.to_thread(self._sync_all)
        return marks

    def first_marks(self) -> Mapping[str, Any]:
        """Where the files stand after `catch_up`: stored before anything else, so that a resume never takes what
        this life writes for older content."""
        return self._taken()

    def _taken(self) -> dict[str, Any]:
        if self._failure is not None:
            raise self._failure
        return {feed.name: {"seq": feed.covered, "sink": feed.sink.mark()} for feed in self._feeds}

    def _sync_all(self) -> None:
        for feed in self._feeds:
            feed.sink.sync()

    # ── the beginning and the end ────────────────────────────────────────────────────────────────────

    async def catch_up(self, marks: Mapping[str, Any], kept: ItemLog) -> None:
        """Takes every feed back to its mark, appends what the run has committed since, and syncs."""
        for feed in self._feeds:
            self._take_back(feed, marks.get(feed.name))
            await self._append_later(feed, kept)
        await self._synced()

    def _take_back(self, feed: Feed, mark: Any) -> None:
        if mark is not None:
            try:
                feed.sink.rewind(mark["sink"])
                feed.covered = mark["seq"]
                return
            except FeedLost as lost:
                if not self._can_rewrite:
                    raise FeedLost(
                        f"{lost} But the run has forgotten the items that were in it (feeds.keep_items = false):"
                        " put the file back as it was, and resume."
                    ) from lost
                log.warning("feed is written again from the run", feed=feed.name, why=str(lost))
        feed.covered = 0
        feed.sink.start()

    async def _append_later(self, feed: Feed, kept: ItemLog) -> None:
        while items := await kept.items(feed.covered, READ_AT_ONCE):
            feed.sink.append(
                [line for _, record in items if feed.takes(record) for line in self._again(feed, record)]
            )
            feed.covered = items[-1][0]

    def _again(self, feed: Feed, record: Record) -> list[bytes]:
        try:
            return [feed.sink.encode(record)]
        except ValueError as error:  # a CSV whose columns were those of an item that was never committed
            log.error("item left out of a feed", feed=feed.name, problem=str(error), kept="in the run")
            return []

    async def last_marks(self) -> Mapping[str, Any]:
        """Everything synced; the marks of the crawl's last commit."""
        if self._syncing is not None:
            await self._syncing
            self._syncing = None
        return await self._synced()

    async def finish(self) -> None:
        for feed in self._feeds:
            feed.sink.finish()
        await asyncio.to_thread(self._sync_all)

    def close(self) -> None:
        """All of them, whichever fails. Raises StorageError."""
        if self._flushing is not None:
            self._flushing.cancel()
        with ExitStack() as stack:
            for feed in self._feeds:
                stack.callback(feed.sink.close)

    @property
    def names(self) -> list[str]:
        return [feed.name for feed in self._feeds if feed.kind != REJECTED]


def _look_at(task: asyncio.Task[Any]) -> None:
    """A crawl that ends by another failure has no use for this one: asyncio need not complain about it."""
    if not task.cancelled():
        task.exception()
