"""The process of a crawl: its event loop, its signals, its garbage collector, its view."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import structlog
from rich.console import Console

from scraper import log as logs
from scraper.cli.live import live_view
from scraper.crawler import Crawler, Job, Result
from scraper.settings import Settings

log = structlog.get_logger()


def run(job: Job, *, console: Console) -> Result:
    """Crawls in this process. Raises UsageError where the crawl can't begin."""
    live = console.is_terminal and job.settings.log == "text"
    logs.configure(
        level="warning" if live and job.settings.log_level == "info" else job.settings.log_level,
        json=job.settings.log == "json",
        stream=_Above(console) if live else None,  # type: ignore[arg-type]  # all that structlog asks of a stream
    )
    _calm_the_collector()
    with asyncio.Runner(loop_factory=_loop_factory(job.settings)) as runner:
        return runner.run(_crawl(job, console, live=live))


async def _crawl(job: Job, console: Console, *, live: bool) -> Result:
    crawler = Crawler(job)
    _on_signals(crawler, console)
    async with _view(crawler, job, console) if live else nullcontext():
        return await crawler.run()


def _view(crawler: Crawler, job: Job, console: Console) -> AbstractAsyncContextManager[Any]:
    return live_view(crawler.progress, job.spider.name, console, limits=job)


def _on_signals(crawler: Crawler, console: Console) -> None:
    def interrupted() -> None:
        crawler.interrupt()
        if crawler.interruptions == 1:
            log.warning("stopping", note="finishing what is in flight; press Ctrl-C again to stop at once")

    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        if sys.platform == "win32":
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(interrupted))
        else:
            loop.add_signal_handler(getattr(signal, name), interrupted)


def _loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop] | None:
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


def _calm_the_collector() -> None:
    """What is loaded now stays for good; pages make little cyclic garbage: look for it less often (6 % of a crawl)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


class _Above:
    """A stream whose lines appear above the live view."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        if text.strip():
            self._console.print(text.rstrip("\n"), markup=False, highlight=False, soft_wrap=True)
        return len(text)

    def flush(self) -> None:
        self._console.file.flush()

    def isatty(self) -> bool:
        return False
