"""The pace: how fast pages end, and how long the crawl may still take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from scraper import stats
from scraper.order import Progress
from scraper.stats import Rate, add_up

SHOWN, FORETOLD = 10.0, 15.0  # seconds: of the rate that is shown, and of those that foretell


class Limits(Protocol):
    """Where a crawl ends of itself; 0 = nowhere. An `Order` is one."""

    @property
    def max_pages(self) -> int: ...
    @property
    def max_items(self) -> int: ...
    @property
    def max_time(self) -> float: ...


class Pace:
    """Rates from what it is shown, and from them the time that is left, where it can be known."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._shown = Rate(SHOWN)
        self._pages, self._items, self._left = Rate(FORETOLD), Rate(FORETOLD), Rate(FORETOLD)
        self._first: tuple[float, int, int] | None = None  # elapsed, pages, items: where a resumed run began

    def note(self, progress: Progress) -> None:
        now, pages, items = progress.elapsed, _pages(progress), progress.stats.counters[stats.ITEMS]
        self._first = self._first or (now, pages, items)
        self._shown.add(now, pages)
        self._pages.add(now, pages)
        self._items.add(now, items)
        self._left.add(now, _left(progress))

    @property
    def pages_per_second(self) -> float:
        return self._shown.per_second

    def seconds_left(self, progress: Progress) -> float | None:
        """Until the first of the ends in sight; None where none is."""
        return min(self._ends(progress), default=None)

    def _ends(self, progress: Progress) -> Iterator[float]:
        limits = self._limits
        if limits.max_time:
            yield max(0.0, limits.max_time - progress.elapsed)
        if self._first is None or progress.elapsed - self._first[0] < SHOWN:
            return  # no rate is steady yet
        _, pages, items = self._first
        if limits.max_pages and self._pages.per_second:
            yield (limits.max_pages - _pages(progress) + pages) / self._pages.per_second
        if limits.max_items and self._items.per_second:
            yield (limits.max_items - progress.stats.counters[stats.ITEMS] + items) / self._items.per_second
        if not progress.seeding and self._left.per_second < -0.05 * self._pages.per_second:
            yield _left(progress) / -self._left.per_second  # a queue that does not shrink foretells nothing


def _pages(progress: Progress) -> int:
    """Those that have ended, whatever their end; as `--max-pages` counts them."""
    counters = progress.stats.counters
    return counters[stats.DONE] + counters[stats.FAILED] + add_up(counters, stats.REFUSED)


def _left(progress: Progress) -> int:
    return progress.counts.queued + progress.counts.leased
