"""Seeding: start() is pulled as the queue needs it, so it may be endless."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from functools import partial
from typing import Any

import orjson
import structlog

from scraper.bell import Bell
from scraper.committing import Committer
from scraper.errors import CallbackError, StopCrawl
from scraper.intake import Intake
from scraper.parsing import Parser
from scraper.protocols import Frontier
from scraper.request import Request
from scraper.spider import Spider

log = structlog.get_logger()

LOOKED_AT = 1_000  # seeds in which a start() that keeps its place shows it
BREATH = 200  # seeds after which the others get a turn


class Watched:
    """An awaitable that tells whether it changed something itself, not those who ran while it waited."""

    def __init__(self, awaitable: Awaitable[Any], look: Callable[[], Any]) -> None:
        self._awaitable = awaitable
        self._look = look
        self.changed = False

    def __await__(self) -> Generator[Any, None, Any]:
        inner = self._awaitable.__await__()
        go_on: Callable[[], Any] = partial(next, inner)
        while True:
            before = self._look()
            try:
                waited_for = go_on()
            except StopIteration as end:
                return end.value
            finally:
                self.changed = self.changed or before != self._look()
            try:
                yield waited_for
                go_on = partial(next, inner)
            except BaseException as error:  # noqa: BLE001  # a cancellation too is for who waits inside
                go_on = partial(inner.throw, error)


class Seeder:
    """`low_water`: it is pulled while fewer requests than this wait. `going` until it has ended.

    Seeds that are not filtered are told apart by their ordinal. A start() that goes on where `self.state` says
    gets ordinals that go on too; one that begins at its top gets those of its earlier lives again.
    """

    memory_name = "seeding"

    def __init__(
        self,
        spider: Spider,
        parser: Parser,
        intake: Intake,
        committer: Committer,
        frontier: Frontier,
        bell: Bell,
        *,
        low_water: int,
        ended: bool,
    ) -> None:
        self._spider = spider
        self._parser = parser
        self._intake = intake
        self._committer = committer
        self._frontier = frontier
        self._bell = bell
        self._low_water = low_water
        self._ordinal = 0
        self._keeps_its_place = False
        self._remembered = (0, False)
        self.going = not ended
        self.failed = False

    async def run(self) -> None:
        """Until start() ends. What it raises does not stop the crawl: the queue is finished first."""
        try:
            if self.going:
                await self._pull(self._spider.start())
                self._committer.end_seeds()
        except StopCrawl as enough:
            self._committer.stop(enough.reason)
        except Exception:  # the user's code: the exit code says that start() did not come to its end
            log.exception("start() raised; the queue will be finished", spider=self._spider.name)
            self.failed = True
        finally:
            self.going = False
            self._bell.ring()

    async def _pull(self, start: AsyncIterator[Any]) -> None:
        seeds = aiter(start)
        while True:
            step = Watched(anext(seeds), self._state)
            try:
                output = await step
            except StopAsyncIteration:
                return
            self._keeps_its_place = self._keeps_its_place or step.changed
            if not isinstance(output, Request):
                raise CallbackError("start()", f"yielded {type(output).__name__}: yield requests")
            counters: Counter[str] = Counter()
            child = self._intake.take(self._parser.checked(output, "start()"), None, self._ordinal, counters)
            self._committer.seed(child, counters)
            self._ordinal += 1
            if self._ordinal % BREATH == 0:
                await asyncio.sleep(0)
            while self._committer.seeds_waiting + self._frontier.counts().queued >= self._low_water:
                await self._bell.wait(self._bell.rung)

    def _state(self) -> bytes | None:
        """What start() may keep its place in, while that has still to be found out."""
        looked_at = self._keeps_its_place or self._ordinal >= LOOKED_AT
        return None if looked_at else orjson.dumps(self._spider.state)

    # ── memory: committed with exactly the seeds that it counts ──────────────────────────────────────

    def changes(self) -> Mapping[str, Any] | None:
        now = (self._ordinal, self._keeps_its_place)
        if not self._keeps_its_place or now == self._remembered:
            return None
        self._remembered = now
        return {"ordinal": self._ordinal}

    def restore(self, saved: Mapping[str, Any]) -> None:
        if "ordinal" in saved:
            self._ordinal, self._keeps_its_place = saved["ordinal"], True
            self._remembered = (self._ordinal, True)
