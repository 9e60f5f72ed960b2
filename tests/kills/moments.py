"""Moments at which a crawl may be killed: told by what it has done, not by the clock of a fast or slow machine."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.kills.lives import Crawl, until

Moment = Callable[[Crawl], Awaitable[None]]


def starting_up(seconds: float) -> Moment:
    """So long after its start, but before its first answer."""

    async def comes(crawl: Crawl) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await crawl.first_request()

    return comes


def asked(targets: int, later: float) -> Moment:
    """So many different addresses have been asked for, the last of them in this life."""

    async def comes(crawl: Crawl) -> None:
        await crawl.first_request()
        await crawl.site.until(lambda: len(crawl.site.asked) >= targets)
        await asyncio.sleep(later)

    return comes


def staging(note: str) -> Moment:
    """The callback of the hub waits for its note."""

    async def comes(crawl: Crawl) -> None:
        crawl.site.hold(note)
        await crawl.site.until(lambda: crawl.site.held)

    return comes


def draining(parts: int) -> Moment:
    """The hub is committed, and so many parts of its links are not queued yet."""

    async def comes(crawl: Crawl) -> None:
        await until(lambda: crawl.evidence.undrained("/hub") <= parts)

    return comes


def nothing_new(targets: frozenset[str], later: float) -> Moment:
    """The last of these addresses has been asked for."""

    async def comes(crawl: Crawl) -> None:
        await crawl.site.until(lambda: crawl.site.asked >= targets)
        await asyncio.sleep(later)

    return comes
