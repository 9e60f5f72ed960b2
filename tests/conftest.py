"""For every test: a log that is kept and not printed; for those that ask, a site that misbehaves."""

from collections.abc import AsyncIterator, Iterator, MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.clients.matrix import Ledger
from tests.faulty import FaultySite


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Ledger())


@pytest.fixture(autouse=True)
def log() -> Iterator[list[MutableMapping[str, Any]]]:
    """What was logged, as dicts. A `crawl` keeps its own."""
    with capture_logs() as events:
        yield events


@pytest.fixture
async def site() -> AsyncIterator[FaultySite]:
    async with FaultySite() as site:
        yield site
