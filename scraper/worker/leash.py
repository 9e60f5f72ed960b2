"""The leash: a crawl's process hears its worker, and does not outlive it, whatever the crawl is doing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

from scraper.memory import resident
from scraper.worker.words import NOW, STOP

SPARE = 5.0  # seconds beyond its grace, for the last commit and the last word
LOOK = 0.25  # seconds between two looks at the memory: it rings no bell
FAR_BEYOND = 2  # times what it may hold: no time for a grace


class Leash:
    """Threads of their own: a callback that blocks the event loop blocks no thread.

    `stop(level)`: 1 = with grace, 2 = at once; it may be called more than once.
    """

    def __init__(self, stop: Callable[[int], None], *, grace: float) -> None:
        self._stop = stop
        self._grace = grace
        self.cut = False  # the worker is gone

    def hear(self, worker: BinaryIO) -> None:
        """End of file: the worker is gone."""
        _start(self._listen, worker)

    def watch(self, most: int, on_more: Callable[[], None]) -> None:
        """`most`: bytes that the process may hold."""
        _start(self._weigh, most, on_more)

    def _listen(self, worker: BinaryIO) -> None:
        levels = {STOP: 1, NOW: 2}
        for line in worker:
            self._stop(levels.get(line, 1))
        self.cut = True
        self._stop(1)
        self._no_longer_than(lambda: False)

    def _weigh(self, most: int, on_more: Callable[[], None]) -> None:
        while resident() <= most:
            time.sleep(LOOK)
        on_more()
        self._stop(1)
        self._no_longer_than(lambda: resident() > FAR_BEYOND * most)

    def _no_longer_than(self, far_beyond: Callable[[], bool]) -> None:
        """The process ends of itself before that, and this thread with it."""
        end = time.monotonic() + self._grace + SPARE
        while time.monotonic() < end and not far_beyond():
            time.sleep(LOOK)
        end_group()
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


def _start(work: Callable[..., None], *told: object) -> None:
    threading.Thread(target=work, args=told, daemon=True).start()


def end_group() -> None:
    """Ends this process and what it has started, where they are a group of their own."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
