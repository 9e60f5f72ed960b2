"""Sites of one job each, which let through as many requests as they are told: so that a kill comes in the middle."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from scraper.demo.bookshop import bookshop_app
from scraper.demo.catalogue import categories
from scraper.demo.server import serve
from tests.faulty.message import Answer, Request
from tests.faulty.wire import Wire
from tests.kills.maze import Maze
from tests.kills.sizes import Size

EVERYTHING = 10**9
FAULTY = Size(rooms=160, links=300, pause=100, seeds=20, page_in_memory=100, attempts=8)
SHELF = "Miscellany"  # 132 books


class Gate:
    """Open at first. `waiting`: requests that stand before it since it was last moved."""

    def __init__(self) -> None:
        self.waiting = 0
        self._left = EVERYTHING
        self._let_go = asyncio.Event()

    def allow(self, more: int) -> None:
        """Whoever waits goes through, and so many that come."""
        self._left, self.waiting = more, 0
        self._let_go.set()
        self._let_go = asyncio.Event()

    def open(self) -> None:
        self.allow(EVERYTHING)

    async def through(self) -> None:
        if self._left:
            self._left -= 1
            return
        self.waiting += 1
        await self._let_go.wait()


class Site(Protocol):
    """`words`: as they follow `scrape crawl` or `scrape jobs add`. `base`: what its URLs begin with."""

    gate: Gate
    asked: set[str]

    @property
    def base(self) -> str: ...
    @property
    def words(self) -> list[str]: ...


@dataclass
class Bookshop:
    """A shelf of the demo's bookshop."""

    base: str = ""
    gate: Gate = field(default_factory=Gate)
    asked: set[str] = field(default_factory=set)
    requests: Counter[str] = field(default_factory=Counter)

    @property
    def words(self) -> list[str]:
        [shelf] = [one.path for one in categories() if one.name == SHELF]
        return ["books", "-a", f"url={self.base}catalogue/category/books/{shelf}/index.html"]

    @web.middleware
    async def admit(self, request: web.Request, handler) -> web.StreamResponse:
        if request.path != "/robots.txt":
            self.asked.add(request.path)
            self.requests[request.path] += 1
            await self.gate.through()
        return await handler(request)


class GatedMaze(Maze):
    """The faulty site of tests/kills."""

    def __init__(self, size: Size) -> None:
        super().__init__(rooms=size.rooms, links=size.links, faults=size.faults)
        self.gate = Gate()
        self._size = size

    @property
    def base(self) -> str:
        return self.url

    @property
    def words(self) -> list[str]:
        return ["explorer", *self._size.told(self)]

    async def _answer(self, request: Request, wire: Wire) -> Answer | None:
        if request.path != "/robots.txt":
            await self.gate.through()
        return await super()._answer(request, wire)


@asynccontextmanager
async def bookshop() -> AsyncIterator[Bookshop]:
    app, site = bookshop_app(), Bookshop()
    app.middlewares.append(site.admit)
    async with serve(app, {}) as site.base:
        try:
            yield site
        finally:
            site.gate.open()


@asynccontextmanager
async def maze(size: Size = FAULTY) -> AsyncIterator[GatedMaze]:
    async with GatedMaze(size) as site:
        yield site
