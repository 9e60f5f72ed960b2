"""The process of a crawl: its event loop, its signals, its garbage collector, its view."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TextIO, cast

import structlog
from rich.console import Console

from scraper import log as logs
from scraper.cli.live import live_view
from scraper.crawler import Crawler
from scraper.interpreter import calm_the_collector, loop_factory
from scraper.order import Order, Result
from scraper.settings import Settings
from scraper.sinks.choose import parse_feed

log = structlog.get_logger()


def run(order: Order, *, console: Console) -> Result:
    """Crawls in this process. Raises UsageError where the crawl can't begin."""
    configure(order.settings)
    calm_the_collector()
    with asyncio.Runner(loop_factory=loop_factory(order.settings)) as runner:
        return runner.run(_crawl(order, console))


async def _crawl(order: Order, console: Console) -> Result:
    crawler = Crawler(order)
    live = console.is_terminal and order.settings.log == "text" and not _items_on_terminal(order)
    _on_signals(crawler, live=live)
    if not live:
        return await crawler.run()
    async with live_view(crawler.progress, order.spider.name, console, limits=order) as above:
        configure(order.settings, cast(TextIO, above))
        result = await crawler.run()
    configure(order.settings)
    return result


def configure(settings: Settings, above: TextIO | None = None) -> None:
    quiet = above is not None and settings.log_level == "info"  # the view shows what info lines would say
    level = "warning" if quiet else settings.log_level
    logs.configure(level=level, json=settings.log == "json", stream=above)


def _items_on_terminal(order: Order) -> bool:
    """`-o -` on a terminal would tear the view."""
    return any(parse_feed(feed).path is None for feed in order.feeds) and sys.stdout.isatty()


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
