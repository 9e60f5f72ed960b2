"""The process of a crawl: its event loop, its signals, its garbage collector, its view."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from typing import TextIO, cast

import structlog
from rich.console import Console

from scraper import log as logs
from scraper.cli.live import live_view
from scraper.crawler import Crawler
from scraper.job import Job, Result
from scraper.settings import Settings
from scraper.sinks.choose import parse_feed

log = structlog.get_logger()


def run(job: Job, *, console: Console) -> Result:
    """Crawls in this process. Raises UsageError where the crawl can't begin."""
    configure(job.settings)
    calm_the_collector()
    with asyncio.Runner(loop_factory=_loop_factory(job.settings)) as runner:
        return runner.run(_crawl(job, console))


async def _crawl(job: Job, console: Console) -> Result:
    crawler = Crawler(job)
    live = console.is_terminal and job.settings.log == "text" and not _items_on_terminal(job)
    _on_signals(crawler, live=live)
    if not live:
        return await crawler.run()
    async with live_view(crawler.progress, job.spider.name, console, limits=job) as above:
        configure(job.settings, cast(TextIO, above))
        result = await crawler.run()
    configure(job.settings)
    return result


def configure(settings: Settings, above: TextIO | None = None) -> None:
    quiet = above is not None and settings.log_level == "info"  # the view shows what info lines would say
    level = "warning" if quiet else settings.log_level
    logs.configure(level=level, json=settings.log == "json", stream=above)


def _items_on_terminal(job: Job) -> bool:
    """`-o -` on a terminal would tear the view."""
    return any(parse_feed(feed).path is None for feed in job.feeds) and sys.stdout.isatty()


def _on_signals(crawler: Crawler, *, live: bool) -> None:
    def interrupted() -> None:
        crawler.interrupt()
        if crawler.interruptions == 1 and not live:
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


def calm_the_collector() -> None:
    """What is loaded now stays for good; pages make little cyclic garbage: look for it less often (6 % of a crawl)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
