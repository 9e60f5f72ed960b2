"""The crawler: joins all the parts for one crawl. The only place that knows everyone."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog

from scraper.admission import admission
from scraper.bell import Bell
from scraper.committing import Committer, PageLimits
from scraper.door import Door
from scraper.downloader import Downloader
from scraper.engine import Engine
from scraper.errors import FeedError, PipelineError, ScrapeError, StorageError
from scraper.exporting import Exporter
from scraper.feeds import Feed, Feeds
from scraper.frontiers.memory import MemoryFrontier
from scraper.frontiers.sqlite import SqliteFrontier
from scraper.gate import Gate
from scraper.intake import Intake
from scraper.item import REJECTED
from scraper.middlewares.retry import Retry
from scraper.parsing import Parser
from scraper.parts import CLIENTS, MIDDLEWARES, build, build_all, furnish
from scraper.politeness import HostClock
from scraper.protocols import Batch, Client, Counts, Frontier, Limits, Memory, Saved
from scraper.request import Request
from scraper.response import Response
from scraper.runs import Run, Runs, State
from scraper.scheduler import Scheduler
from scraper.settings import Settings
from scraper.sinks.choose import FeedSpec, check_writable, make_sink, parse_feed
from scraper.spider import Spider
from scraper.stats import Stats
from scraper.urls import normalize

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to crawl. `max_time` in seconds; 0 = no limit. `resume`: an earlier run to go on with."""

    spider: Spider
    settings: Settings
    root: Path
    arguments: Mapping[str, Any] = field(default_factory=dict)
    feeds: Sequence[str] = ()
    append: bool = False
    file: str | None = None
    run_id: str | None = None
    resume: Run | None = None
    max_pages: int = 0
    max_items: int = 0
    max_time: float = 0.0
    client: Client | None = None  # instead of the one that the settings name


@dataclass(frozen=True, slots=True)
class Result:
    run_id: str
    folder: Path
    state: State
    reason: str
    counters: Mapping[str, int]
    elapsed: float  # seconds
    waiting_until: float | None  # Unix time
    exit_code: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How a crawl stands at this moment, for whoever watches."""

    counts: Counts
    stats: Stats
    in_flight: int
    elapsed: float
    seeding: bool
    stopping: str | None


class StateMemory:
    """The spider's `state`, committed whenever it has changed."""

    memory_name = "state"

    def __init__(self, spider: Spider) -> None:
        self._spider = spider
        self._committed = b"{}"

    def changes(self) -> Mapping[str, Any] | None:
        encoded = orjson.dumps(self._spider.state, option=orjson.OPT_NON_STR_KEYS)
        if encoded == self._committed:
            return None
        self._committed = encoded
        return {"state": self._spider.state}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._spider.state.clear()
        self._spider.state.update(saved.get("state", {}))
        self._committed = orjson.dumps(self._spider.state)


class Crawler:
    """One crawl of one spider: `result = await Crawler(job).run()`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._runs = Runs(job.root)
        self._stats = Stats()
        self._started = time.monotonic()
        self._engine: Engine | None = None
        self._frontier: Frontier | None = None
        self._gate: Gate | None = None
        self._interruptions = 0

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────

    def interrupt(self) -> None:
        """Once: what is in flight has the grace period. Twice: it is given back at once. Nothing is lost either way."""
        self._interruptions += 1
        if self._engine is not None:
            grace = self._job.settings.grace if self._interruptions == 1 else 0.0
            self._engine.stop("interrupted", grace=grace)

    @property
    def interruptions(self) -> int:
        return self._interruptions

    def progress(self) -> Progress | None:
        """None before the crawl has begun."""
        if self._engine is None or self._frontier is None or self._gate is None:
            return None
        return Progress(
            self._frontier.counts(),
            self._stats,
            self._gate.in_flight,
            time.monotonic() - self._started,
            self._engine.seeding,
            self._engine.stopped,
        )

    # ── the crawl ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> Result:
        """Crawls to an end. Raises UsageError where it can't begin; whatever comes later is in the result."""
        specs = [parse_feed(text) for text in self._job.feeds]
        for spec in specs:
            check_writable(spec)
        run = self._job.resume or self._new_run(specs)
        with run.locked():
            async with AsyncExitStack() as stack:
                return await self._run(run, specs, stack)

    def _new_run(self, specs: Sequence[FeedSpec]) -> Run:
        job = self._job
        return self._runs.create(
            job.spider.name,
            run_id=job.run_id,
            file=job.file,
            arguments=dict(job.arguments),
            settings=job.settings.model_dump(mode="json", exclude={"proxies"}),
            feeds=[str(spec) for spec in specs],
            append=job.append,
        )

    async def _run(self, run: Run, specs: Sequence[FeedSpec], stack: AsyncExitStack) -> Result:
        spider = self._job.spider
        bound = structlog.contextvars.bound_contextvars(run=run.info.id, spider=spider.name)
        stack.enter_context(bound)
        feeds = Feeds(self._open_feeds(run, specs), sync=self._job.settings.feeds.sync)
        stack.callback(feeds.close)
        engine, frontier, memories = await self._join(run, feeds, stack)
        self._mark(run, "running")
        error = await self._to_the_end(engine, spider)
        if error is None:
            error = await self._last_commit(frontier, feeds, memories)
        return self._end(run, engine, error)

    async def _to_the_end(self, engine: Engine, spider: Spider) -> BaseException | None:
        """The error that ended the crawl early, or None."""
        error: BaseException | None = None
        try:
            await spider.open()
            if self._job.max_time:
                asyncio.get_running_loop().call_later(self._job.max_time, engine.stop, "max_time")
            if self._interruptions:
                engine.stop("interrupted")
            await engine.run()
        except* (StorageError, PipelineError) as group:
            error = _first(group)
        except* Exception as group:
            error = _first(group)
            log.error("the crawl crashed", exc_info=error)
        await self._close(spider, "crashed" if error else engine.stopped or "finished")
        return error

    async def _close(self, spider: Spider, reason: str) -> None:
        try:
            await spider.close(reason)
        except Exception:  # the user's code, after the last page: nothing is lost by it
            log.exception("close() raised", spider=spider.name)

    async def _last_commit(self, frontier: Frontier, feeds: Feeds, memories: Sequence[Memory]) -> BaseException | None:
        try:
            marks = await feeds.last_marks()
            changes = {memory.memory_name: changed for memory in memories if (changed := memory.changes())}
            await frontier.commit(Batch(marks=marks, changes=changes))
            feeds.finish()
        except StorageError as error:
            return error
        return None

    # ── joining the parts ────────────────────────────────────────────────────────────────────────────

    async def _join(
        self, run: Run, feeds: Feeds, stack: AsyncExitStack
    ) -> tuple[Engine, Frontier, Sequence[Memory]]:
        job, settings, spider = self._job, self._job.settings, self._job.spider
        clock = HostClock(_limits(settings))
        frontier: Frontier = await stack.enter_async_context(self._open_frontier(run, clock))
        self._frontier = frontier
        saved = await frontier.saved()
        self._stats.counters.update(saved.counters)
        await feeds.catch_up(saved.marks, frontier)

        client = job.client or build(settings.client, settings, CLIENTS, "client")
        middlewares = build_all(settings.middlewares, settings, MIDDLEWARES, "middlewares")
        pipelines = build_all(settings.pipelines, settings, {}, "pipelines")
        for part in (client, *middlewares, *pipelines):
            if hasattr(part, "__aenter__"):
                await stack.enter_async_context(part)

        gate = self._gate = Gate(clock, slots=settings.concurrency, patience=settings.timeouts.pool)
        door = Door(timeouts=settings.timeouts, max_body=settings.max_body)
        downloader = Downloader(middlewares, gate=gate, door=door, client=client)
        admit = admission(
            domains=spider.allowed_domains, max_depth=settings.max_depth, max_length=settings.max_url_length
        )
        for part in (*middlewares, *pipelines):
            furnish(part, {"fetch": downloader.fetch_now, "clock": clock, "admit": admit})

        learning = [part for part in (*middlewares, *pipelines) if isinstance(part, Memory)]
        memories: list[Memory] = [clock, StateMemory(spider), *learning]
        for memory in memories:
            memory.restore(saved.memory.get(memory.memory_name, {}))
        engine = self._engine = self._build_engine(frontier, feeds, downloader, memories, pipelines, middlewares, Intake(admit), saved)
        self._equip(spider, engine, downloader, stack)
        return engine, frontier, memories

    def _build_engine(
        self,
        frontier: Frontier,
        feeds: Feeds,
        downloader: Downloader,
        memories: Sequence[Memory],
        pipelines: Sequence[Any],
        middlewares: Sequence[Any],
        intake: Intake,
        saved: Saved,
    ) -> Engine:
        settings, spider, bell = self._job.settings, self._job.spider, Bell()
        committer = Committer(
            frontier,
            feeds,
            bell,
            memories=memories,
            pipelines=pipelines,
            limits=PageLimits(pages=self._job.max_pages, items=self._job.max_items),
            counters=self._stats.counters,
            commit_pages=settings.frontier.commit_pages,
        )
        scheduler = Scheduler(
            frontier,
            bell,
            seats=settings.seat_count,
            max_wait=settings.max_wait,
            more_to_come=lambda: self._engine is None or self._engine.seeding or committer.busy,
        )
        retry = next((m for m in middlewares if isinstance(m, Retry)), None) or Retry.from_settings(settings)
        return Engine(
            spider,
            scheduler=scheduler,
            downloader=downloader,
            parser=Parser(spider),
            exporter=Exporter(pipelines, feeds),
            committer=committer,
            frontier=frontier,
            intake=intake,
            bell=bell,
            stats=self._stats,
            try_again=retry.after,
            page_in_memory=settings.frontier.page_in_memory,
            seed_low_water=settings.frontier.seed_low_water,
            seeds_ended=saved.seeds_ended,
        )

    def _open_frontier(self, run: Run, clock: HostClock) -> MemoryFrontier | SqliteFrontier:
        settings = self._job.settings
        if settings.frontier.kind == "memory":
            return MemoryFrontier(clock)
        return SqliteFrontier(
            run.database, clock, window=settings.frontier.window, keep_items=settings.feeds.keep_items
        )

    def _open_feeds(self, run: Run, specs: Sequence[FeedSpec]) -> list[Feed]:
        feeds = []
        for spec in specs:
            if spec.path is not None:
                self._runs.check_feed(spec.path, run) if self._job.resume else self._runs.claim_feed(spec.path, run)
            feeds.append(Feed(str(spec), make_sink(spec, append=self._job.append), spec.kind))
        rejected = FeedSpec(path=run.rejected)
        return [*feeds, Feed(REJECTED, make_sink(rejected, append=False, rejected=True), REJECTED)]

    def _equip(self, spider: Spider, engine: Engine, downloader: Downloader, stack: AsyncExitStack) -> None:
        """Gives the spider its `self.fetch` and `self.enter`."""

        async def fetch(request: Request) -> Response:
            return await engine.fetch(request.replace(url=normalize(request.url)), downloader.fetch_now)

        spider._fetch = fetch
        spider._enter = stack.enter_async_context

    # ── how it ended ─────────────────────────────────────────────────────────────────────────────────

    def _mark(self, run: Run, state: State, **more: Any) -> None:
        run.info = run.info.model_copy(update={"state": state, **more})
        run.save()

    def _end(self, run: Run, engine: Engine, error: BaseException | None) -> Result:
        state, reason = self._state(engine, error)
        waiting_until = engine.waiting_until if state == "waiting" else None
        counters = dict(self._stats.counters)
        try:
            self._mark(
                run, state, reason=reason, ended=time.time(), waiting_until=waiting_until, counters=counters
            )
        except StorageError as failed:
            log.error("the run's end was not written down", error=str(failed))
        return Result(
            run.info.id,
            run.folder,
            state,
            reason,
            counters,
            time.monotonic() - self._started,
            waiting_until,
            self._exit_code(state, engine),
        )

    def _state(self, engine: Engine, error: BaseException | None) -> tuple[State, str]:
        if error is not None:
            return "crashed", str(error)
        if engine.stopped == "interrupted":
            return "interrupted", "interrupted"
        if engine.stopped:
            return "stopped", engine.stopped
        if engine.waiting_until:
            return "waiting", "only later work is left"
        return "finished", "start() raised" if engine.start_failed else ""

    def _exit_code(self, state: State, engine: Engine) -> int:
        if state == "interrupted":
            return 130
        too_many = self._stats.failed_share > self._job.settings.max_failed
        return 1 if state == "crashed" or engine.start_failed or too_many else 0


def _limits(settings: Settings) -> Callable[[str], Limits]:
    """What a lane (host:port) is granted."""

    def of(lane: str) -> Limits:
        own = settings.hosts.get(lane.rpartition(":")[0]) or settings.hosts.get(lane)
        per_host = own.per_host if own and own.per_host is not None else settings.per_host
        delay = own.delay if own and own.delay is not None else settings.delay
        return Limits(per_host, delay)

    return of


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
