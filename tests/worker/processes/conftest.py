"""A workshop beside a site that can be held up, and workers that leave no process behind."""

import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.cli.shelf import Shelf
from tests.worker.processes.workshop import Worker, Workshop

collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []  # no SIGKILL


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield site
        site.release.set()
        site.shutdown()
        thread.join()


@pytest.fixture
def shop(tmp_path, shelf, monkeypatch) -> Iterator[Workshop]:
    for name in [name for name in os.environ if name.startswith("SCRAPER_")]:
        monkeypatch.delenv(name)
    made = Workshop(tmp_path / "shop", shelf.url)
    yield made
    made.store.close()


@pytest.fixture
async def worker(shop, tmp_path) -> AsyncIterator[Callable[[], Worker]]:
    made: list[Worker] = []

    def make() -> Worker:
        made.append(Worker(shop.root, tmp_path / f"worker-{len(made) + 1}.log"))
        return made[-1]

    yield make
    for one in made:
        await one.close()
