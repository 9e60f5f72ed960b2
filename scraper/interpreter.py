"""The interpreter of a crawl: its event loop, its garbage collector."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

from scraper.settings import Settings


def loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """For the loop that `loop` asks for; None: Python's own. Raises ImportError where there is no such loop."""
    if settings.loop == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if settings.loop == "uvloop":
            raise
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def calm_the_collector() -> None:
    """What is loaded now stays for good; pages make little cyclic garbage: look for it less often (6 % of a crawl)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
