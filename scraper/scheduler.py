"""The scheduler: a seat for the next request, as soon as there is both; it ends when nothing is left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from scraper.bell import Bell
from scraper.protocols import Frontier, Lease, Leases

SOON = 3600.0  # seconds: a wait is looked at again at least so often, should the clock of the machine be set


class Scheduler:
    """An async iterator of leases, each with a seat; `leave` gives the seat back.

    `more_to_come`: whether anything outside the frontier may still add requests (seeds, the backlog).
    `max_wait`: seconds; when only later work is left, the iteration ends and `waiting_until` says until when.
    """

    def __init__(
        self,
        frontier: Frontier,
        bell: Bell,
        *,
        seats: int,
        max_wait: float,
        more_to_come: Callable[[], bool],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._frontier = frontier
        self._bell = bell
        self._free = seats
        self._seats = seats
        self._max_wait = max_wait
        self._more_to_come = more_to_come
        self._now = now
        self._leased: deque[Lease] = deque()
        self._stopped = False
        self.waiting_until: float | None = None

    def __aiter__(self) -> Scheduler:
        return self

    async def __anext__(self) -> Lease:
        while not self._stopped:
            heard = self._bell.rung
            if self._leased:
                self._free -= 1
                return self._leased.popleft()
            if not self._free:
                await self._bell.wait(heard)
                continue
            found = await self._frontier.lease(self._free)
            self._leased.extend(found.leases)
            if not found.leases:
                if self._at_an_end(found):
                    break
                await self._bell.wait(heard, self._pause(found))
        raise StopAsyncIteration

    def leave(self) -> None:
        """A page is done with its seat."""
        self._free += 1
        if self._free == 1 or self._free == self._seats:  # the first to be had, or everybody has gone
            self._bell.ring()

    def stop(self) -> None:
        self._stopped = True
        self._bell.ring()

    async def give_back(self) -> None:
        """What was leased and found no seat before the end."""
        await self._frontier.give_back(self._leased)
        self._leased.clear()

    def _at_an_end(self, found: Leases) -> bool:
        if self._more_to_come() or self._frontier.counts().leased:
            return False
        if found.finished:
            return True
        if found.next_due is not None and found.next_due > self._now() + self._max_wait:
            self.waiting_until = found.next_due
            return True
        return False

    def _pause(self, found: Leases) -> float | None:
        return None if found.next_due is None else min(SOON, max(0.0, found.next_due - self._now()))
