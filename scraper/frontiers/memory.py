"""The frontier of a throw-away run: everything in memory, nothing to resume."""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scraper import stats
from scraper.frontiers.lanes import Lanes, due_now
from scraper.item import Record
from scraper.protocols import (
    Batch,
    Buried,
    Child,
    Clock,
    Committed,
    Counts,
    Deferred,
    Done,
    Lease,
    Leases,
    Ongoing,
    Output,
    Page,
    Refused,
    Saved,
)
from scraper.request import Request

DRAINED_AT_ONCE = 2_000  # staged outputs that one commit makes visible
PROMOTED_AT_ONCE = 500  # delayed requests that one lease puts back into their lanes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued request; `rank` and `seq` order it within its lane."""

    rank: int
    seq: int
    child: Child
    attempts: int = 0


class MemoryFrontier:
    def __init__(self, clock: Clock, *, now: Callable[[], float] = time.time) -> None:
        self._lanes = Lanes(clock)
        self._now = now
        self._seen: set[bytes] = set()
        self._delayed: list[tuple[float, int, Waiting]] = []
        self._leased: dict[int, Lease] = {}
        self._stages: dict[int, list[Output]] = {}
        self._live: deque[Output] = deque()
        self._queued = 0
        self._seq = 0
        self._item_seq = 0

    async def __aenter__(self) -> MemoryFrontier:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def saved(self) -> Saved:
        return Saved()

    async def lease(self, n: int) -> Leases:
        now = self._now()
        for waiting in due_now(self._delayed, now, PROMOTED_AT_ONCE):
            self._lanes.add(waiting.child.lane, (waiting.rank, waiting.seq, waiting))
        leases = [self._leased_out(lane, entry[2]) for lane, entry in self._lanes.take(n, now)]
        self._queued -= len(leases)
        due = [
            at
            for at in (self._lanes.next_due, self._delayed[0][0] if self._delayed else None)
            if at is not None
        ]
        return Leases(leases, min(due, default=None), not (self._queued or self._leased or self._live))

    def _leased_out(self, lane: str, waiting: Waiting) -> Lease:
        request = Request.decode(waiting.child.request, id=waiting.child.id, attempt=waiting.attempts + 1)
        lease = self._leased[waiting.seq] = Lease(request, lane, waiting)
        return lease

    async def stage(self, lease: Lease, outputs: Sequence[Output]) -> None:
        self._stages.setdefault(lease.key.seq, []).extend(outputs)

    async def unstage(self, lease: Lease) -> None:
        self._stages.pop(lease.key.seq, None)

    async def commit(self, batch: Batch) -> Committed:
        counters: Counter[str] = Counter(batch.counters)
        refused = [page for page in batch.pages if not self._holds(page.lease)]
        items: list[tuple[int, Record]] = []
        lines: list[tuple[bytes, ...] | None] = []
        for page in batch.pages:
            if self._holds(page.lease):
                self._settle(page, counters)
                if not isinstance(page.outcome, Deferred):
                    items += self._numbered(page.items)
                    lines += page.lines or [None] * len(page.items)
        self._queue_all(batch.seeds.children, counters)
        drained = self._drain(counters)
        items += self._numbered(drained)
        lines += [None] * len(drained)
        return Committed(refused, items, lines, counters)

    def _holds(self, lease: Lease) -> bool:
        return self._leased.get(lease.key.seq) is lease

    def _settle(self, page: Page, counters: Counter[str]) -> None:
        waiting: Waiting = page.lease.key
        if isinstance(page.outcome, Ongoing):
            self._queue_all(page.children, counters)
            return
        self._release(page.lease)
        staged = self._stages.pop(waiting.seq, [])
        match page.outcome:
            case Deferred(not_before, _, counted):
                again = Waiting(waiting.rank, waiting.seq, waiting.child, waiting.attempts + counted)
                heapq.heappush(self._delayed, (not_before, waiting.seq, again))
                self._queued += 1
            case Done() | Buried() | Refused():
                self._queue_all(page.children, counters)
                self._live.extend(staged)

    def _queue_all(self, children: Iterable[Child], counters: Counter[str]) -> None:
        for child in children:
            if child.id in self._seen:
                counters[f"{stats.DROPPED}/duplicate"] += 1
                continue
            self._seen.add(child.id)
            self._seq += 1
            counters[stats.QUEUED] += 1
            self._queue(Waiting(-child.priority, self._seq, child))

    def _queue(self, waiting: Waiting) -> None:
        self._queued += 1
        if waiting.child.not_before > self._now():
            heapq.heappush(self._delayed, (waiting.child.not_before, waiting.seq, waiting))
        else:
            self._lanes.add(waiting.child.lane, (waiting.rank, waiting.seq, waiting))

    def _drain(self, counters: Counter[str]) -> list[Record]:
        records = []
        for _ in range(min(DRAINED_AT_ONCE, len(self._live))):
            output = self._live.popleft()
            if isinstance(output, Record):
                records.append(output)
            else:
                self._queue_all([output], counters)
        return records

    def _numbered(self, records: Sequence[Record]) -> list[tuple[int, Record]]:
        first = self._item_seq + 1
        self._item_seq += len(records)
        return list(enumerate(records, first))

    def _release(self, lease: Lease) -> None:
        del self._leased[lease.key.seq]
        self._lanes.left(lease.lane)

    async def began(self, lease: Lease) -> None:
        """A process that dies takes this frontier with it."""

    async def give_back(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            if self._holds(lease):
                self._release(lease)
                self._stages.pop(lease.key.seq, None)
                self._queued += 1
                self._lanes.add(lease.lane, (lease.key.rank, lease.key.seq, lease.key))

    async def renew(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        return [lease for lease in leases if not self._holds(lease)]

    async def items(self, after: int, limit: int) -> Sequence[tuple[int, Record]]:
        return ()  # nothing is kept: a throw-away run has no second life to write them in

    def counts(self) -> Counts:
        staged = len(self._live)
        return Counts(self._queued + staged, len(self._leased), staged, len(self._delayed))

    async def close(self) -> None:
        self._seen.clear()
