"""The gate: one slot on the wire and one turn of the host, taken together and given back together."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from scraper.errors import PoolTimeout
from scraper.protocols import Clock

SOONEST = 0.001  # seconds: two clocks measure, a wait may be over on one a moment before the other


class Gate:
    """`slots`: requests on the wire at once. `patience`: seconds that the first in line waits for a slot
    once its host's turn has come.

    Who comes waits in its host's queue; who leaves lets the next one in at once, so a long queue moves as
    fast as the wire. Between `enter` and `leave` nothing else is awaited but the exchange itself.
    """

    def __init__(self, clock: Clock, *, slots: int, patience: float) -> None:
        self._clock = clock
        self._free = slots
        self._slots = slots
        self._patience = patience
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._starved: dict[str, None] = {}  # lanes whose turn has come but no slot, in order
        self._alarms: dict[str, asyncio.TimerHandle] = {}  # per lane: its turn comes, or its patience ends

    @property
    def in_flight(self) -> int:
        return self._slots - self._free

    def enter_at_once(self, lane: str) -> bool:
        """With a slot and a turn where nobody waits and the host is ready: the usual case."""
        ready = self._free > 0 and lane not in self._queues and self._clock.wait(lane) <= 0
        if ready:
            self._take(lane)
        return ready

    async def enter(self, lane: str) -> None:
        """Returns with a slot and a turn. Raises PoolTimeout."""
        if self.enter_at_once(lane):
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._queues.setdefault(lane, deque())
        queue.append(granted)
        if len(queue) == 1:  # else the one before us has been told to wait, and will be let in first
            self._admit(lane)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self.leave(lane)  # let in, in the moment of giving up
            raise

    def leave(self, lane: str) -> None:
        self._free += 1
        self._clock.leave(lane)
        if lane in self._queues and lane not in self._alarms:  # it waited for one of its own to come back
            self._starved.setdefault(lane)
        while self._free and self._starved:
            first = next(iter(self._starved))
            del self._starved[first]
            self._admit(first)

    def _take(self, lane: str) -> None:
        self._free -= 1
        self._clock.turn(lane)

    def _admit(self, lane: str) -> None:
        """Lets in as many of the lane as may go now, and sees to it that the next one is asked again."""
        if lane in self._alarms:
            self._alarms.pop(lane).cancel()
        queue = self._queues.get(lane)
        while queue:
            if queue[0].done():  # gave up waiting
                queue.popleft()
                continue
            wait = self._clock.wait(lane)
            if wait > 0:
                if wait < math.inf:  # else one of its own comes back, and asks for the next
                    self._alarm(lane, max(wait, SOONEST))
                return
            if not self._free:
                self._starved.setdefault(lane)
                self._alarm(lane, self._patience)
                return
            self._take(lane)
            queue.popleft().set_result(None)
        self._queues.pop(lane, None)

    def _alarm(self, lane: str, seconds: float) -> None:
        self._alarms[lane] = asyncio.get_running_loop().call_later(seconds, self._ring, lane)

    def _ring(self, lane: str) -> None:
        del self._alarms[lane]
        if lane in self._starved:
            del self._starved[lane]
            queue = self._queues[lane]
            if not queue[0].done():
                queue.popleft().set_exception(PoolTimeout(f"No slot became free in {self._patience:g} s."))
        self._admit(lane)
