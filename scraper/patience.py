"""Patience: how long an exchange may be silent, or go on; thousands of them cost one timer."""

from __future__ import annotations

import asyncio
import math
from types import TracebackType
from typing import Any


class Patience:
    """`with patience.until(deadline) as wait:` is as `asyncio.timeout_at(deadline)`, but `wait.until` may be put off by
    setting it, or brought forward to not less than `silence` seconds from the beginning.

    A timer of the loop costs 3 µs, and `reschedule()` makes a new one for each piece of a body. Here all waits are
    first looked at after the same time, in the order in which they began: one timer serves them; few last so long.
    """

    def __init__(self, silence: float) -> None:
        self.loop = asyncio.get_running_loop()  # asked for once: each time costs a system call (Python 3.11)
        self._silence = silence
        self._young: dict[Wait, None] = {}  # that have not been looked at, in their order
        self._alarm: asyncio.TimerHandle | None = None

    def until(self, deadline: float) -> Wait:
        """A wait until then, on the loop's clock. Raises TimeoutError where it ends."""
        return Wait(self, deadline)

    def begin(self, wait: Wait) -> None:
        wait.look = self.loop.time() + self._silence
        if wait.until < wait.look:
            wait.timer = self.loop.call_at(wait.until, wait.ring)
            return
        self._young[wait] = None
        if self._alarm is None:
            self._alarm = self.loop.call_at(wait.look, self._ring)

    def end(self, wait: Wait) -> None:
        self._young.pop(wait, None)

    def _ring(self) -> None:
        self._alarm = None
        while self._young:
            oldest = next(iter(self._young))
            if oldest.look > self.loop.time():
                self._alarm = self.loop.call_at(oldest.look, self._ring)
                return
            del self._young[oldest]
            oldest.ring()


class Wait:
    """One exchange's. `until`: on the loop's clock; inf: no limit any more."""

    __slots__ = ("_cancelling", "_patience", "_task", "expired", "look", "timer", "until")

    def __init__(self, patience: Patience, until: float) -> None:
        self._patience = patience
        self.until = until
        self.look = 0.0
        self.expired = False
        self.timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Wait:
        task = asyncio.current_task(self._patience.loop)
        if task is None:
            raise RuntimeError("Only what runs in a task can be made to stop waiting.")
        self._task: asyncio.Task[Any] = task
        self._cancelling = task.cancelling()
        self._patience.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._patience.end(self)
        if self.timer is not None:
            self.timer.cancel()
        if not self.expired:
            return
        # as asyncio.timeout does: somebody else's cancellation goes on
        others = self._task.uncancel() > self._cancelling
        if kind is asyncio.CancelledError and not others:
            raise TimeoutError from error

    def ring(self) -> None:
        self.timer = None
        loop = self._patience.loop
        if self.until <= loop.time():
            self.expired = True
            self._task.cancel()
        elif self.until < math.inf:
            self.timer = loop.call_at(self.until, self.ring)
