"""Every store of the contract, each with a clock and a time that the test sets."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from scraper.frontiers.memory import MemoryFrontier
from scraper.frontiers.sqlite import SqliteFrontier
from scraper.politeness import HostClock
from scraper.protocols import Limits
from tests.frontiers.fakes import EASY, Crawl, Time

STORES = {
    "memory": lambda path, clock, now: MemoryFrontier(clock, now=now),
    "sqlite": lambda path, clock, now: SqliteFrontier(path, clock, now=now),
    "sqlite, small window": lambda path, clock, now: SqliteFrontier(path, clock, window=4, now=now),
}


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def limits() -> dict[str, Limits]:
    """What a lane is granted, where a test says more than nothing; set before the lane is first used."""
    return {}


@pytest.fixture
def clock(limits: dict[str, Limits], time: Time) -> HostClock:
    return HostClock(lambda lane: limits.get(lane, EASY), now=time)


@pytest.fixture(params=list(STORES))
async def crawl(
    request: pytest.FixtureRequest, tmp_path, clock: HostClock, time: Time
) -> AsyncIterator[Crawl]:
    async with STORES[request.param](tmp_path / "frontier.db", clock, time) as frontier:
        yield Crawl(frontier, clock, time)


@pytest.fixture
def opened(tmp_path: Path, clock: HostClock, time: Time) -> Callable[..., AbstractAsyncContextManager[Crawl]]:
    """Opens the database, the one of this test where no other is named, as often as a test likes."""

    @asynccontextmanager
    async def open_(path: Path = tmp_path / "frontier.db", **options) -> AsyncIterator[Crawl]:
        async with SqliteFrontier(path, clock, **{"now": time, **options}) as frontier:
            yield Crawl(frontier, clock, time)

    return open_
