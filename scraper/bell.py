"""The bell: wakes everyone who waits for the queue to change. Nobody polls."""

from __future__ import annotations

import asyncio


class Bell:
    """`rung` counts: who read it before looking and finds it changed has not missed anything."""

    def __init__(self) -> None:
        self.rung = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        self.rung += 1
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
        self._waiting.clear()

    async def wait(self, heard: int, seconds: float | None = None) -> None:
        """Returns when it rings after `heard`, or after `seconds`."""
        if self.rung != heard:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except TimeoutError:
            return  # the time is over: that is an answer too
        finally:
            self._waiting.discard(waiter)
