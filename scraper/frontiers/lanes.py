"""Lanes: whose request is next. Within a host by priority, then age; between hosts in turn."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from scraper.protocols import Clock

Key = tuple[int, int]  # (rank = -priority, seq): the order within a lane
Entry = tuple[int, int, Any]  # rank, seq, and what the frontier needs to lease it
Refill = Callable[["Lane", int], list[Entry]]

NOTHING: Key = (-(2**63), -1)


class Standing(Enum):
    IDLE = "nothing to give"
    READY = "in the round"
    SLEEPING = "its clock is not ready"
    FULL = "enough of its requests are leased"


class Lane:
    """The waiting requests of one host:port, of which only a window is in memory.

    Everything up to `top` is in the window or leased; `beyond` says that the store has more after it.
    """

    __slots__ = ("beyond", "heap", "name", "next_turn", "out", "standing", "top")

    def __init__(self, name: str) -> None:
        self.name = name
        self.heap: list[Entry] = []
        self.out = 0
        self.next_turn = 0.0
        self.standing = Standing.IDLE
        self.beyond = False
        self.top: Key = NOTHING

    def offer(self, entry: Entry, cap: int) -> None:
        """Takes a request into the window, or leaves it to the store where it comes after the window."""
        key = entry[:2]
        if key <= self.top:  # equal: the last of the window, given back
            heapq.heappush(self.heap, entry)
            if len(self.heap) > 2 * cap:
                self._trim(cap)
        elif self.beyond or len(self.heap) >= cap:
            self.beyond = True
        else:
            heapq.heappush(self.heap, entry)
            self.top = key

    def _trim(self, cap: int) -> None:
        self.heap = heapq.nsmallest(cap, self.heap)  # sorted, so still a heap
        self.top = self.heap[-1][:2]
        self.beyond = True


class Lanes:
    """Round robin over the lanes that have something and whose clock is ready. No call scans all of them.

    `refill(lane, limit)` reads the next entries after `lane.top` from the store, moves `top` there and says
    whether there is more `beyond`; `window` bounds the entries
    in memory over all lanes (at least two a lane).
    """

    def __init__(self, clock: Clock, *, refill: Refill | None = None, window: float = math.inf) -> None:
        self._clock = clock
        self._refill = refill
        self._window = window
        self._lanes: dict[str, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._sleeping: list[tuple[float, int, Lane]] = []
        self._naps = 0

    def add(self, name: str, entry: Entry) -> None:
        lane = self._lane(name)
        lane.offer(entry, self._cap)
        self._wake(lane)

    def add_all(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """(lane, rank, seq, and what the frontier needs to lease it …): past its window one costs a comparison."""
        cap = self._cap
        for row in rows:
            lane = self._lanes.get(row[0]) or self._lane(row[0])
            if not lane.beyond or row[1:3] <= lane.top:
                lane.offer((row[1], row[2], row[3:]), cap)
                self._wake(lane)

    def on_disk(self, name: str) -> None:
        """A lane of which the store has something and memory nothing."""
        lane = self._lane(name)
        lane.beyond = True
        self._wake(lane)

    def take(self, n: int, now: float) -> list[tuple[str, Entry]]:
        """Up to `n` requests that may be fetched now."""
        while self._sleeping and self._sleeping[0][0] <= now:
            self._rouse(heapq.heappop(self._sleeping)[2])
        taken: list[tuple[str, Entry]] = []
        while len(taken) < n and self._ready:
            lane = self._ready.popleft()
            entry = self._next_of(lane, now)
            if entry is not None:
                taken.append((lane.name, entry))
        return taken

    def joined(self, name: str) -> None:
        """A request of the lane was leased past the round."""
        self._lane(name).out += 1

    def left(self, name: str) -> None:
        """One of the lane's leases ended."""
        lane = self._lane(name)
        lane.out -= 1
        if lane.standing is Standing.FULL:
            self._rouse(lane)
        elif lane.standing is Standing.IDLE:
            self._forget_if_empty(lane)

    @property
    def next_due(self) -> float | None:
        """When the first sleeping lane wakes (Unix seconds)."""
        return self._sleeping[0][0] if self._sleeping else None

    @property
    def _cap(self) -> int:
        return max(2, min(256, int(self._window // max(1, len(self._lanes))))) if self._refill else 2**62

    def _next_of(self, lane: Lane, now: float) -> Entry | None:
        """The lane's next request and the lane's new place; None where it has to wait or has nothing."""
        self._read_on(lane)
        if not lane.heap:
            lane.standing = Standing.IDLE
            self._forget_if_empty(lane)
            return None
        limits = self._clock.limits(lane.name)
        if (
            lane.out >= limits.in_flight + limits.in_flight // 4 + 1
        ):  # a few more than the wire takes: parsing, commit
            lane.standing = Standing.FULL
            return None
        wait = self._clock.wait(lane.name)
        due = max(lane.next_turn, now + wait if wait < math.inf else 0.0)
        if due > now:
            self._sleep(lane, due)
            return None
        lane.next_turn = now + limits.delay
        lane.out += 1
        entry = heapq.heappop(lane.heap)
        self._ready.append(lane)
        return entry

    def _read_on(self, lane: Lane) -> None:
        while lane.beyond and not lane.heap and self._refill:
            lane.heap = self._refill(lane, self._cap)

    def _sleep(self, lane: Lane, due: float) -> None:
        lane.standing = Standing.SLEEPING
        self._naps += 1  # two lanes may wake at the same time: lanes themselves don't compare
        heapq.heappush(self._sleeping, (due, self._naps, lane))

    def _wake(self, lane: Lane) -> None:
        if lane.standing is Standing.IDLE:
            self._rouse(lane)

    def _rouse(self, lane: Lane) -> None:
        lane.standing = Standing.READY
        self._ready.append(lane)

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name)
        return lane

    def _forget_if_empty(self, lane: Lane) -> None:
        if not lane.out and not lane.heap and not lane.beyond:
            self._lanes.pop(lane.name, None)


def due_now(heap: list[tuple[float, int, Any]], now: float, limit: int) -> Iterable[Any]:
    """Pops what is due from a heap of (Unix time, seq, entry)."""
    while heap and heap[0][0] <= now and limit > 0:
        limit -= 1
        yield heapq.heappop(heap)[2]
