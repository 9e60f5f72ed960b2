"""The gate: one slot on the wire and one turn of the host, taken together and given back together."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scraper.errors import PoolTimeout
from scraper.protocols import Clock
from scraper.request import Request


class HostQueue:
    """Those who wait at the gate for one host, in order; only the first asks the clock."""

    __slots__ = ("left", "order", "users")

    def __init__(self) -> None:
        self.order = asyncio.Lock()
        self.left = asyncio.Event()  # one in flight came back
        self.users = 0


class Gate:
    """`slots`: requests on the wire at once. `patience`: seconds to wait for a slot once the host's turn came.

    Nothing else is awaited between entering and leaving but the exchange itself.
    """

    def __init__(self, clock: Clock, *, slots: int, patience: float) -> None:
        self._clock = clock
        self._free = slots
        self._patience = patience
        self._waiting: deque[asyncio.Future[None]] = deque()  # for a slot, in order
        self._hosts: dict[str, HostQueue] = {}
        self.in_flight = 0

    @asynccontextmanager
    async def turn(self, lane: str, request: Request) -> AsyncIterator[None]:
        await self._enter(lane, request)
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            self._clock.leave(lane)
            self._give_slot_back()
            if lane in self._hosts:
                self._hosts[lane].left.set()

    async def _enter(self, lane: str, request: Request) -> None:
        # usual case, in the open: nobody waits, the host is ready
        if self._free > 0 and lane not in self._hosts and self._clock.wait(lane) <= 0:
            self._free -= 1
            self._clock.turn(lane)
            return
        queue = self._hosts.setdefault(lane, HostQueue())
        queue.users += 1
        try:
            async with queue.order:
                await self._first_in_line(lane, queue, request)
        finally:
            queue.users -= 1
            if not queue.users:
                del self._hosts[lane]

    async def _first_in_line(self, lane: str, queue: HostQueue, request: Request) -> None:
        while True:
            await self._until_ready(lane, queue)
            await self._take_slot(request)
            if self._clock.wait(lane) <= 0:
                self._clock.turn(lane)
                return
            self._give_slot_back()  # the host was parked while we waited for the slot

    async def _until_ready(self, lane: str, queue: HostQueue) -> None:
        while (wait := self._clock.wait(lane)) > 0:
            queue.left.clear()
            try:
                async with asyncio.timeout(None if wait == math.inf else wait):
                    await queue.left.wait()
            except TimeoutError:
                continue  # the wait is over, and the clock says whether it was moved meanwhile

    async def _take_slot(self, request: Request) -> None:
        if self._free > 0:
            self._free -= 1
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(granted)
        try:
            async with asyncio.timeout(self._patience):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                self._give_slot_back()  # granted in the moment of giving up
            if isinstance(error, TimeoutError):
                raise PoolTimeout(f"No slot became free in {self._patience:g} s.", request=request) from None
            raise

    def _give_slot_back(self) -> None:
        while self._waiting:
            granted = self._waiting.popleft()
            if not granted.done():
                granted.set_result(None)  # the slot goes from hand to hand
                return
        self._free += 1
