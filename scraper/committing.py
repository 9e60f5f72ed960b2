"""Committing: ended pages wait here, and whatever waits becomes durable in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from tenacity import AsyncRetrying, stop_after_attempt, stop_when_event_set, wait_exponential

from scraper import stats
from scraper.bell import Bell
from scraper.errors import PipelineError
from scraper.feeds import Feeds
from scraper.item import Source
from scraper.protocols import (
    Batch,
    Buried,
    Child,
    Deferred,
    Frontier,
    Memory,
    Ongoing,
    Page,
    Pipeline,
    Refused,
    Seeds,
)

log = structlog.get_logger()

BATCH_ATTEMPTS = 20  # of one process_batch, with growing pauses, before the crawl stops
LONGEST_PAUSE = 30  # seconds between two of them


class PageLimits:
    """Where a crawl ends of itself: after the page that reaches a number. 0 = no limit."""

    def __init__(self, *, pages: int = 0, items: int = 0) -> None:
        self._most_pages = pages
        self._most_items = items
        self.pages = 0
        self.items = 0

    def reached_by(self, page: Page) -> str | None:
        """Counts the page; the reason to stop after it, or None."""
        if isinstance(page.outcome, Deferred):
            return None
        self.pages += not isinstance(page.outcome, Ongoing)
        self.items += page.counters[stats.ITEMS]
        if self._most_pages and self.pages >= self._most_pages:
            return "max_pages"
        return "max_items" if self._most_items and self.items >= self._most_items else None


class Committer:
    """No timer: it takes whatever waits, commits, repeats. A full backlog holds up those who bring pages.

    `on_stop(reason)` is called after the page that reaches a limit or raised StopCrawl; pages that come
    later are given back.
    """

    def __init__(
        self,
        frontier: Frontier,
        feeds: Feeds,
        bell: Bell,
        *,
        memories: Sequence[Memory],
        pipelines: Sequence[Pipeline],
        limits: PageLimits,
        counters: Counter[str],
        commit_pages: int,
    ) -> None:
        self._frontier = frontier
        self._feeds = feeds
        self._bell = bell
        self._memories = memories
        self._batching = [pipeline for pipeline in pipelines if hasattr(pipeline, "process_batch")]
        self._limits = limits
        self._counters = counters
        self._most = commit_pages
        self._pages: deque[Page] = deque()
        self._seeds: list[Child] = []
        self._seed_counters: Counter[str] = Counter()
        self._seeds_ended: bool | None = False  # None: and committed
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = False
        self._stopped = False
        self._hurried = asyncio.Event()
        self.on_stop: Callable[[str], None] = lambda reason: None

    # ── those who bring ──────────────────────────────────────────────────────────────────────────────

    async def take(self, page: Page) -> None:
        """Hands a page over; waits only while the backlog is full."""
        while not self._room.is_set():
            await self._room.wait()
        self._pages.append(page)
        if len(self._pages) >= 2 * self._most:
            self._room.clear()
        self._arrived.set()

    def seed(self, child: Child | None, counters: Counter[str]) -> None:
        """A request of start(), or only the count of one that was not admitted."""
        if child is not None:
            self._seeds.append(child)
        self._seed_counters.update(counters)
        self._arrived.set()

    def end_seeds(self) -> None:
        self._seeds_ended = True
        self._arrived.set()

    @property
    def seeds_waiting(self) -> int:
        return len(self._seeds)

    async def prepare(self, items: Sequence[tuple[Any, Source]]) -> None:
        """Gives items to the pipelines that take batches. Raises PipelineError after many attempts."""
        for pipeline in self._batching if items else ():
            name = type(pipeline).__name__
            trials = AsyncRetrying(
                stop=stop_after_attempt(BATCH_ATTEMPTS) | stop_when_event_set(self._hurried),  # type: ignore[arg-type]  # only asks is_set()
                wait=wait_exponential(max=LONGEST_PAUSE),
                sleep=self._pause,
                reraise=True,
            )
            async for trial in trials:
                with trial:
                    await self._one_trial(pipeline, name, items)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurried.wait()

    async def _one_trial(self, pipeline: Any, name: str, items: Sequence[tuple[Any, Source]]) -> None:
        try:
            await pipeline.process_batch(items)
        except Exception as error:
            log.warning("batch failed", pipeline=name, items=len(items), error=repr(error))
            raise PipelineError(name, error) from error

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until `close` and an empty backlog. Raises StorageError, PipelineError."""
        if self.busy:  # a stage that an earlier life left behind
            self._arrived.set()
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await asyncio.sleep(0)  # pages that end in this turn of the loop come along
            while self.busy:
                await self._commit()
                await asyncio.sleep(0)
            if self._closing:
                return

    @property
    def busy(self) -> bool:
        """Whether something waits to be committed."""
        return bool(self._pages or self._seeds or self._seed_counters or self._seeds_ended) or (
            self._frontier.counts().staged > 0 and not (self._stopped or self._closing)
        )

    def close(self) -> None:
        self._closing = True
        self._arrived.set()

    def stop(self, reason: str) -> None:
        """What waits now, and whatever comes later, is given back."""
        self._stopped = True
        self.on_stop(reason)

    def hurry(self) -> None:
        """Makes no further attempt at a batch that fails: its pages are given back."""
        self._hurried.set()

    async def _commit(self) -> None:
        pages = await self._next_pages()
        try:
            await self.prepare([pair for page in pages for pair in page.batch])
        except PipelineError:
            if not self._hurried.is_set():
                raise
            await self._frontier.give_back([page.lease for page in pages])
            pages = []
        seeds, self._seeds = self._seeds, []
        counters, self._seed_counters = self._seed_counters, Counter()
        for page in pages:
            counters.update(_counted(page))
        ended = bool(self._seeds_ended)
        committed = await self._frontier.commit(
            Batch(pages, Seeds(seeds, ended), self._feeds.marks(), self._changes(), counters)
        )
        if ended:
            self._seeds_ended = None
        self._counters.update(committed.counters)
        self._feeds.append(committed.items, committed.lines)
        self._bell.ring()

    async def _next_pages(self) -> list[Page]:
        """The pages of the next commit; those after one that ends the crawl are given back."""
        pages: list[Page] = []
        while self._pages and len(pages) < self._most:
            page = self._pages.popleft()
            if self._stopped:
                await self._frontier.give_back([page.lease])
                continue
            pages.append(page)
            reason = page.stop or self._limits.reached_by(page)
            if reason:
                self.stop(reason)
        if len(self._pages) < self._most:
            self._room.set()
        return pages

    def _changes(self) -> dict[str, Any]:
        changes = {}
        for memory in self._memories:
            changed = memory.changes()
            if changed:
                changes[memory.memory_name] = changed
        return changes


def _counted(page: Page) -> Counter[str]:
    """What the page adds to the counters: one that is deferred adds nothing but the retry."""
    match page.outcome:
        case Deferred(_, why, counted):
            return Counter({stats.RETRIED: 1, f"{stats.RETRIED}/{why}": 1} if counted else {})
        case Buried(why):
            outcome = {stats.FAILED: 1, f"{stats.FAILED}/{why}": 1}
        case Refused(why):
            outcome = {f"{stats.REFUSED}/{why}": 1}
        case Ongoing():
            outcome = {}
        case _:
            outcome = {stats.DONE: 1}
    page.counters.update(outcome)
    if page.status is not None:
        page.counters[f"{stats.STATUS}/{page.status}"] += 1
    return page.counters
