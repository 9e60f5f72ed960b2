"""Assembly: the parts of one crawl, built and joined. The only place that knows everyone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from scraper.admission import Admission, admission
from scraper.bell import Bell
from scraper.committing import Committer, PageLimits
from scraper.door import Door
from scraper.downloader import Downloader
from scraper.engine import Engine
from scraper.errors import InvalidRequest
from scraper.exporting import Exporter
from scraper.feeds import Feed, Feeds
from scraper.frontiers.memory import MemoryFrontier
from scraper.frontiers.sqlite import SqliteFrontier
from scraper.gate import Gate
from scraper.intake import Intake
from scraper.item import REJECTED
from scraper.listening import Listener
from scraper.middlewares.retry import Retry
from scraper.middlewares.sessions import Sessions
from scraper.order import Order
from scraper.parsing import Parser
from scraper.parts import MIDDLEWARES, build_all, furnish
from scraper.politeness import HostClock
from scraper.protocols import Batch, Client, Forgets, Frontier, Limits, Memory
from scraper.request import Request
from scraper.response import Response
from scraper.runs import Run, Runs
from scraper.scheduler import Scheduler
from scraper.seeding import Seeder
from scraper.settings import Settings
from scraper.sinks.choose import FeedSpec, make_sink
from scraper.spider import Spider
from scraper.stats import Stats
from scraper.switchboard import Switchboard
from scraper.urls import InvalidURL, normalize
from scraper.visiting import Visitor


@dataclass(frozen=True, slots=True)
class Machine:
    """The parts that whoever runs the crawl has to do with."""

    engine: Engine
    scheduler: Scheduler
    committer: Committer
    seeder: Seeder
    frontier: Frontier
    feeds: Feeds
    gate: Gate
    memories: Sequence[Memory]
    stats: Stats
    before: Mapping[str, int]  # the counters of the run's earlier lives


class StateMemory:
    """The spider's `state`, committed whenever it has changed."""

    memory_name = "state"

    def __init__(self, spider: Spider) -> None:
        self._spider = spider
        self._committed = b"{}"

    def changes(self) -> Mapping[str, Any] | None:
        encoded = orjson.dumps(self._spider.state)
        if encoded == self._committed:
            return None
        self._committed = encoded
        return {"state": self._spider.state}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._spider.state.update(saved.get("state", {}))
        self._committed = orjson.dumps(self._spider.state)


async def assemble(
    order: Order, run: Run, runs: Runs, specs: Sequence[FeedSpec], stack: AsyncExitStack
) -> Machine:
    """Builds the machine of a crawl; `stack` closes it. Raises UsageError for what a person must put right."""
    settings, spider, stats = order.settings, order.spider, Stats()
    clock = HostClock(_limits(settings))
    # whatever can be wrong with the parts is found before a file is touched
    client: Client = order.client or Switchboard(settings)
    middlewares = build_all(settings.middlewares, settings, MIDDLEWARES, "middlewares")
    pipelines = build_all(settings.pipelines, settings, {}, "pipelines")
    for part in (client, *middlewares, *pipelines):
        if hasattr(part, "__aenter__"):
            await stack.enter_async_context(part)
    feeds = Feeds(
        _open_feeds(order, run, runs, specs), sync=settings.feeds.sync, can_rewrite=settings.feeds.keep_items
    )
    stack.callback(feeds.close)
    frontier: Frontier = await stack.enter_async_context(_open_frontier(settings, run, clock))
    saved = await frontier.saved()
    stats.counters.update(saved.counters)
    await feeds.catch_up(saved.marks, frontier)
    begun = await frontier.commit(Batch(marks=feeds.first_marks()))
    stats.counters.update(begun.counters)
    feeds.append(begun.items, begun.lines)  # of a stage that the last life left behind

    gate = Gate(clock, slots=settings.concurrency, patience=settings.timeouts.pool)
    door = Door(timeouts=settings.timeouts, max_body=settings.max_body, root=order.root)
    downloader = Downloader(middlewares, gate=gate, door=door, client=client)
    admit = _admission(spider, settings)
    for part in (*middlewares, *pipelines):
        furnish(
            part,
            {
                "fetch": downloader.fetch_now,
                "clock": clock,
                "admit": admit,
                "spider": spider,
                "forget_session": partial(_forget_session, middlewares),
            },
        )
    learning = [part for part in (*middlewares, *pipelines) if isinstance(part, Memory)]
    memories: list[Memory] = [clock, StateMemory(spider), *learning]
    for memory in memories:
        memory.restore(saved.memory.get(memory.memory_name, {}))

    bell, parser = Bell(), Parser(spider)
    named = {url.get_secret_value(): name for name, url in settings.proxies.pool.items()}
    intake = Intake(admit, by_depth=settings.max_depth > 0, proxies=named)
    committer = Committer(
        frontier,
        feeds,
        bell,
        memories=memories,
        pipelines=pipelines,
        limits=PageLimits(pages=order.max_pages, items=order.max_items),
        counters=stats.counters,
        commit_pages=settings.frontier.commit_pages,
    )
    seeder = Seeder(
        spider,
        parser,
        intake,
        committer,
        frontier,
        bell,
        low_water=settings.frontier.seed_low_water,
        ended=saved.seeds_ended,
    )
    seeder.restore(saved.memory.get(seeder.memory_name, {}))
    listener = Listener(committer)
    listener.restore(saved.memory.get(listener.memory_name, {}))
    memories += [seeder, listener]
    scheduler = Scheduler(
        frontier,
        bell,
        seats=settings.seat_count,
        max_wait=settings.max_wait,
        more_to_come=lambda: seeder.going or committer.busy,
    )
    sessions = next((part for part in middlewares if isinstance(part, Sessions)), None)
    visitor = Visitor(
        downloader=downloader,
        parser=parser,
        exporter=Exporter(pipelines, feeds),
        committer=committer,
        frontier=frontier,
        intake=intake,
        stats=stats,
        listener=listener,
        try_again=_retry(middlewares, settings).after,
        rotate=sessions.rotate if sessions else None,
        ok=frozenset(spider.ok),
        page_in_memory=settings.frontier.page_in_memory,
    )
    engine = Engine(scheduler, visitor, committer, seeder, frontier)
    _equip(spider, visitor, downloader, sessions, stack)
    return Machine(
        engine, scheduler, committer, seeder, frontier, feeds, gate, memories, stats, dict(saved.counters)
    )


def _open_frontier(settings: Settings, run: Run, clock: HostClock) -> MemoryFrontier | SqliteFrontier:
    if settings.frontier.kind == "memory":
        return MemoryFrontier(clock)
    return SqliteFrontier(
        run.database,
        clock,
        window=settings.frontier.window,
        keep_items=settings.feeds.keep_items,
        was_killed=run.was_killed,
    )


def _open_feeds(order: Order, run: Run, runs: Runs, specs: Sequence[FeedSpec]) -> list[Feed]:
    """The files of `-o`, claimed for this run, and the run's rejected.jsonl."""
    for spec in specs:
        if spec.path is not None and order.resume:
            runs.check_feed(spec.path, run)
        elif spec.path is not None:
            runs.claim_feed(spec.path, run)
    feeds = [Feed(str(spec), make_sink(spec, append=order.append), spec.kind) for spec in specs]
    rejected = make_sink(FeedSpec(path=run.rejected), append=False, rejected=True)
    return [*feeds, Feed(REJECTED, rejected, REJECTED)]


def _retry(middlewares: Sequence[Any], settings: Settings) -> Retry:
    """The policy that callbacks' `raise Retry` follows: the crawl's own, or the settings' where it has none."""
    return next((part for part in middlewares if isinstance(part, Retry)), None) or Retry.from_settings(
        settings
    )


def _admission(spider: Spider, settings: Settings) -> Admission:
    return admission(
        domains=spider.allowed_domains, max_depth=settings.max_depth, max_length=settings.max_url_length
    )


def _forget_session(middlewares: Sequence[Any], session: str) -> None:
    for part in middlewares:
        if isinstance(part, Forgets):
            part.forget(session)


def _equip(
    spider: Spider, visitor: Visitor, downloader: Downloader, sessions: Sessions | None, stack: AsyncExitStack
) -> None:
    """Gives the spider its `self.fetch`, `self.expire` and `self.enter`."""

    async def fetch(request: Request) -> Response:
        try:
            url = normalize(request.url)
        except InvalidURL as error:
            raise InvalidRequest(str(error), request=request) from error
        return await visitor.fetch(request.replace(url=url), downloader.fetch_now)

    spider._fetch = fetch
    spider._expire = sessions.expire if sessions else None
    spider._enter = stack.enter_async_context


def _limits(settings: Settings) -> Callable[[str], Limits]:
    """What a lane (host:port) is granted."""

    def of(lane: str) -> Limits:
        own = settings.hosts.get(lane.rpartition(":")[0]) or settings.hosts.get(lane)
        per_host = own.per_host if own and own.per_host is not None else settings.per_host
        delay = own.delay if own and own.delay is not None else settings.delay
        return Limits(per_host, delay)

    return of
