"""The board: how each crawl stands, for whoever watches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a crawl's process says of itself now and then, and once at its end.

    `counters`: of all the run's lives, by the names of scraper.stats; `before`: what they were when this life began.
    `queued`, `delayed`, `in_flight`: requests. `elapsed`: seconds of this life. `memory`: bytes. `latency`: counts by
    the bounds of stats.Latency; `latency_sum`: seconds. `ended`: the last one of this life.
    """

    job: str
    run: str
    spider: str
    counters: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)
    queued: int = 0
    delayed: int = 0
    in_flight: int = 0
    elapsed: float = 0.0
    memory: int = 0
    latency: Sequence[int] = ()
    latency_sum: float = 0.0
    ended: bool = False


@dataclass(slots=True)
class Totals:
    """What this worker's crawls of one spider have done in all their lives here."""

    counters: Counter[str] = field(default_factory=Counter)
    latency: list[int] = field(default_factory=list)
    latency_sum: float = 0.0

    def add(self, one: Snapshot) -> None:
        for name, count in one.counters.items():
            self.counters[name] += count - one.before.get(name, 0)
        wanted = max(len(self.latency), len(one.latency))
        self.latency += [0] * (wanted - len(self.latency))
        for n, count in enumerate(one.latency):
            self.latency[n] += count
        self.latency_sum += one.latency_sum


class Board:
    """Snapshots of the crawls that run, and by spider the totals of those that ran: they never go down."""

    def __init__(self) -> None:
        self.running: dict[str, Snapshot] = {}  # by job
        self._left: dict[str, Mapping[str, int]] = {}  # by run: the last counters seen of one that died
        self._ended: dict[str, Totals] = {}  # by spider
        self._changed: dict[str, asyncio.Event] = {}  # by job, while somebody watches

    def publish(self, one: Snapshot) -> None:
        if one.run in self._left:  # what its process did after its last word counts with this life
            one = replace(one, before=self._left[one.run])
        if one.ended:
            self._left.pop(one.run, None)
            self._close(one)
        else:
            self.running[one.job] = one
        if changed := self._changed.pop(one.job, None):
            changed.set()

    def lost(self, job: str) -> None:
        """Its process died without a last word: what it said before is what counts."""
        if job in self.running:
            last = self.running[job]
            self._left[last.run] = last.counters
            self._close(last)
            if changed := self._changed.pop(job, None):
                changed.set()

    def _close(self, one: Snapshot) -> None:
        self.running.pop(one.job, None)
        self._ended.setdefault(one.spider, Totals()).add(one)

    def totals(self) -> dict[str, Totals]:
        """By spider: of the lives that ended here, and of those that go on."""
        found: dict[str, Totals] = {}
        for spider, ended in self._ended.items():
            found[spider] = Totals(Counter(ended.counters), list(ended.latency), ended.latency_sum)
        for one in self.running.values():
            found.setdefault(one.spider, Totals()).add(one)
        return found

    async def watch(self, job: str) -> AsyncGenerator[Snapshot, None]:
        """The snapshots of a running job from now on, the newest where several came at once; ends with its life."""
        seen: Snapshot | None = None
        while (newest := self.running.get(job)) is not None:
            if newest is not seen:
                seen = newest
                yield newest
            else:
                await self._changed.setdefault(job, asyncio.Event()).wait()
