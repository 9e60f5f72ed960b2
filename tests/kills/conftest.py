"""For every proof: a seed that can be repeated, crawls that leave no process behind, and what they must bring."""

import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from tests.kills.lives import Crawl
from tests.kills.maze import Maze
from tests.kills.sizes import Known, Size

SEED = int(os.environ.get("KILLS_SEED") or random.SystemRandom().randrange(10**6))
SPIDERS = Path(__file__).parent
collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []  # no SIGKILL, no SIGSTOP
used: set[int] = set()
known: dict[Size, Known] = {}


@pytest.fixture
def chance() -> random.Random:
    """The randomness of one test: the same for the same KILLS_SEED."""
    used.add(SEED)
    return random.Random(SEED)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for seed in used:
        terminalreporter.write_line(f"kills: KILLS_SEED={seed} repeats this session's random moments")


@pytest.fixture
async def crawl(tmp_path) -> AsyncIterator[Callable[..., Crawl]]:
    """Makes a Crawl in a folder of that name."""
    made: list[Crawl] = []

    def make(name: str, spider: str, site: Maze, *told: str, kind: str) -> Crawl:
        made.append(Crawl(tmp_path / name, SPIDERS / spider, site, *told, kind=kind))
        return made[-1]

    yield make
    for one in made:
        await one.close()


Exploring = Callable[[Size], AbstractAsyncContextManager[tuple[Crawl, Known]]]


@pytest.fixture
def exploring(crawl) -> Exploring:
    """A crawl of a maze that has not begun, and what is known of one that nobody disturbs."""

    @asynccontextmanager
    async def of(size: Size) -> AsyncIterator[tuple[Crawl, Known]]:
        if size not in known:
            async with size.site() as site:
                undisturbed = crawl("undisturbed", "explorer.py", site, *size.told(site), kind="Room")
                harvest = await undisturbed.finished()
                known[size] = Known(harvest, frozenset(site.asked), site.requests, undisturbed.start_up)
        async with size.site() as site:
            disturbed = crawl("disturbed", "explorer.py", site, *size.told(site), kind="Room")
            try:
                yield disturbed, known[size]
            finally:
                print(*disturbed.story, disturbed.folder, sep="\n")

    return of
