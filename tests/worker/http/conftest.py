"""A worker's office with a project and a store of its own, and nobody in it who runs anything."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from scraper.jobs.store import SqliteJobs
from scraper.project import Project
from scraper.protocols import Job
from scraper.worker.http.wire import Runner
from scraper.worker.office import Office
from tests.worker.http.asking import Asking, asking

SPIDER = """
from pydantic import SecretStr
from scraper import Spider

class Shop(Spider):
    name = "shop"
    pages: int = 1
    password: SecretStr = SecretStr("")
"""


class Desk:
    """An office, the store behind it, and how often its bell was rung."""

    def __init__(self, root: Path, store: SqliteJobs) -> None:
        self.rung = 0
        self.store = store
        self.root = root
        self.office = Office(project=Project(root), store=store, ring=self._ring, ready=True)

    def _ring(self) -> None:
        self.rung += 1

    def begin(self) -> Job:
        """The next job is this worker's."""
        job = self.store.claim("me")
        assert job is not None
        return job


@pytest.fixture
def root(tmp_path, monkeypatch) -> Iterator[Path]:
    folder = tmp_path / "shop"
    (folder / "spiders").mkdir(parents=True)
    (folder / "spiders" / "__init__.py").touch()
    (folder / "settings.toml").write_text("concurrency = 10\n", "utf-8")
    (folder / "spiders" / "shop.py").write_text(SPIDER, "utf-8")
    _forget_spiders()
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    _forget_spiders()


def _forget_spiders() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "spiders"]:
        del sys.modules[name]


@pytest.fixture
def desk(root) -> Iterator[Desk]:
    store = SqliteJobs(root / ".scrape" / "jobs.sqlite")
    yield Desk(root, store)
    store.close()


@pytest.fixture
async def worker(desk) -> AsyncIterator[Asking]:
    """Asked with its token."""
    async with asking(desk.office) as client:
        yield client


@pytest.fixture
def serving():
    """Serves an app on loopback, for a client that sends no token of its own."""

    @asynccontextmanager
    async def open_to(app: web.Application) -> AsyncIterator[Asking]:
        runner = Runner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            async with aiohttp.ClientSession() as session:
                yield Asking(f"http://127.0.0.1:{port}", session, "")
        finally:
            await runner.cleanup()

    return open_to
