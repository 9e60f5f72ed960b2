"""The engine: each page's life, from its lease to its commit, many at once and never more than there are seats."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog

from scraper import stats
from scraper.bell import Bell
from scraper.committing import Committer
from scraper.downloader import Downloader
from scraper.errors import (
    CallbackError,
    DropRequest,
    FetchError,
    PipelineError,
    Retry,
    RetryLater,
    StatusError,
    StopCrawl,
)
from scraper.exporting import Exporter
from scraper.intake import Intake
from scraper.parsing import Parser
from scraper.protocols import Buried, Deferred, Frontier, Lease, Page, Refused
from scraper.request import Request
from scraper.response import Response, is_ok
from scraper.scheduler import Scheduler
from scraper.spider import Spider
from scraper.stats import Stats

log = structlog.get_logger()

PIPELINE_FAILURES = 20  # pages in a row: then the crawl stops rather than bury a whole site
BREATH = 200  # outputs of one page after which the others get a turn
Patience = Callable[[Request, str, float | None], RetryLater | None]  # (request, reason, delay) → when to try again


class Engine:
    """Joins the parts of the machine; each part does its own work and knows none of the others."""

    def __init__(
        self,
        spider: Spider,
        *,
        scheduler: Scheduler,
        downloader: Downloader,
        parser: Parser,
        exporter: Exporter,
        committer: Committer,
        frontier: Frontier,
        intake: Intake,
        bell: Bell,
        stats: Stats,
        try_again: Patience,
        page_in_memory: int,
        seed_low_water: int,
        seeds_ended: bool,
    ) -> None:
        self._spider = spider
        self._scheduler = scheduler
        self._downloader = downloader
        self._parser = parser
        self._exporter = exporter
        self._committer = committer
        self._frontier = frontier
        self._intake = intake
        self._bell = bell
        self._stats = stats
        self._try_again = try_again
        self._page_in_memory = page_in_memory
        self._seed_low_water = seed_low_water
        self._pipeline_failures = 0
        self._pages: dict[asyncio.Task[None], Lease] = {}
        self._grace: asyncio.TimerHandle | None = None
        self.seeding = not seeds_ended
        self.start_failed = False
        self.stopped: str | None = None
        committer.on_stop = self.stop

    # ── the crawl ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until nothing is left, or `stop`. Raises what the machine can't go on with (StorageError, PipelineError)."""
        async with asyncio.TaskGroup() as machine:
            machine.create_task(self._committer.run())
            seeder = machine.create_task(self._pull_seeds())
            async for lease in self._scheduler:
                task = machine.create_task(self._page(lease))
                self._pages[task] = lease
                task.add_done_callback(self._pages.pop)
            seeder.cancel()
            await self._end_pages()
            self._committer.close()

    def stop(self, reason: str, *, grace: float = 0.0) -> None:
        """Takes no new page; pages in flight have `grace` seconds, then they are given back."""
        self.stopped = self.stopped or reason
        self._scheduler.stop()
        if self._grace:
            self._grace.cancel()
        self._grace = asyncio.get_running_loop().call_later(grace, self._cancel_pages)

    @property
    def waiting_until(self) -> float | None:
        """Unix time of the next request, where the crawl ended because only later work is left."""
        return self._scheduler.waiting_until

    def _cancel_pages(self) -> None:
        for task in self._pages:
            task.cancel()

    async def _end_pages(self) -> None:
        if self._pages:
            await asyncio.wait(list(self._pages))
        if self._grace:
            self._grace.cancel()
        await self._scheduler.give_back()

    # ── start() ──────────────────────────────────────────────────────────────────────────────────────

    async def _pull_seeds(self) -> None:
        if not self.seeding:
            return
        try:
            await self._pull(self._spider.start())
        except asyncio.CancelledError:
            raise
        except StopCrawl as enough:
            self.stop(enough.reason)
        except Exception:  # the user's code: the queue is finished, and the exit code says that start() was not
            log.exception("start() raised; the queue will be finished", spider=self._spider.name)
            self.start_failed = True
        else:
            self._committer.end_seeds()
        finally:
            self.seeding = False
            self._bell.ring()

    async def _pull(self, start: AsyncIterator[Any]) -> None:
        ordinal = 0
        async for output in start:
            if not isinstance(output, Request):
                raise CallbackError("start()", f"yielded {type(output).__name__}: yield requests")
            counters: Counter[str] = Counter()
            child = self._intake.take(self._parser.checked(output, "start()"), None, ordinal, counters)
            self._committer.seed(child, counters)
            ordinal += 1
            if ordinal % BREATH == 0:
                await asyncio.sleep(0)
            while self._committer.seeds_waiting + self._frontier.counts().queued >= self._seed_low_water:
                await self._bell.wait(self._bell.rung)

    # ── a page ───────────────────────────────────────────────────────────────────────────────────────

    async def _page(self, lease: Lease) -> None:
        page = Page(lease)
        try:
            await self._live(page)
            await self._committer.take(page)
        except asyncio.CancelledError:
            await self._frontier.give_back([lease])
            raise
        finally:
            self._scheduler.leave()

    async def _live(self, page: Page) -> None:
        """Everything between lease and commit; whatever happens ends in an outcome."""
        request = page.lease.request
        try:
            response = await self.fetch(request, self._downloader.fetch, page)
            await self._collect(page, self._parser.parse(response), response.url)
            self._pipeline_failures = 0
        except RetryLater as later:
            self._defer(page, later)
        except Retry as wanted:
            await self._again_or_fail(page, FetchError(wanted.reason, request=request), wanted.reason, wanted.delay)
        except PipelineError as error:
            await self._pipeline_failed(page, error)
        except DropRequest as drop:
            page.outcome = Refused(drop.reason)
        except StopCrawl as enough:
            page.stop = enough.reason
        except (FetchError, CallbackError) as error:
            await self._fail(page, error)
        except Exception as error:  # the last resort: it counts, logs the traceback and goes on
            log.exception("page failed", url=request.url)
            await self._fail(page, error)

    async def fetch(self, request: Request, send: Any, page: Page | None = None) -> Response:
        """The response, if its status is one that a callback sees. Raises FetchError or a Decision."""
        if self._spider.ok:
            request = request.replace(ok=frozenset(request.ok) | frozenset(self._spider.ok))
        response: Response = await send(request)
        if page is not None:
            page.status = response.status
            page.counters[stats.BYTES] += len(response.body)
            self._watch(page, response)
        if not is_ok(response.status, request.ok):
            raise StatusError(response.status, request=request)
        return response

    def _watch(self, page: Page, response: Response) -> None:
        line = self._stats.host(page.lease.lane)
        line.done += 1
        line.bytes += response.wire_bytes
        line.seconds += response.elapsed

    async def _collect(self, page: Page, outputs: AsyncIterator[Any], url: str) -> None:
        requests = items = 0
        async for output in outputs:
            if isinstance(output, Request):
                child = self._intake.take(output, page.lease.request, requests, page.counters)
                requests += 1
                if child is not None:
                    page.children.append(child)
            elif output is not None:
                await self._exporter.export(output, page, items, url)
                items += 1
            if (requests + items) % BREATH == 0:
                await asyncio.sleep(0)
            if len(page.children) + len(page.items) >= self._page_in_memory:
                await self._stage(page)

    async def _stage(self, page: Page) -> None:
        await self._committer.prepare(page.batch)
        await self._frontier.stage(page.lease, [*page.children, *page.items])
        page.staged = True
        for kept in (page.children, page.items, page.lines, page.batch):
            kept.clear()

    # ── when it does not go well ─────────────────────────────────────────────────────────────────────

    async def _fail(self, page: Page, error: Exception) -> None:
        await self._forget(page)
        reason = str(getattr(error, "reason", type(error).__name__))
        status = error.status if isinstance(error, StatusError) else None
        page.outcome = Buried(reason, status)
        self._stats.host(page.lease.lane).failed += 1
        url = page.lease.request.url
        if isinstance(error, CallbackError) and error.__cause__ is not None:
            log.error("callback raised", url=url, exc_info=error.__cause__)
        else:
            log.warning("page failed", url=url, reason=reason, error=str(error), attempts=page.lease.request.attempt)
        await self._run_errback(page, error)

    async def _run_errback(self, page: Page, error: Exception) -> None:
        try:
            errback = self._parser.errback_of(page.lease.request)
            if errback is not None:
                await self._collect(page, self._parser.run(errback, error), page.lease.request.url)
        except StopCrawl as enough:
            page.stop = enough.reason
        except Exception as again:  # the page has failed already: its errback can't fail it more
            log.error("errback raised", url=page.lease.request.url, exc_info=again.__cause__ or again)
            await self._forget(page)

    async def _again_or_fail(self, page: Page, error: Exception, reason: str, delay: float | None = None) -> None:
        later = self._try_again(page.lease.request, reason, delay)
        if later is not None:
            await self._forget(page)
            self._defer(page, later)
        else:
            error.reason = reason  # type: ignore[attr-defined]  # the spider's word is the dead letter's reason
            await self._fail(page, error)

    async def _pipeline_failed(self, page: Page, error: PipelineError) -> None:
        log.error("pipeline raised", url=page.lease.request.url, error=str(error), exc_info=error.__cause__)
        self._pipeline_failures += 1
        if self._pipeline_failures >= PIPELINE_FAILURES:
            raise error  # out of the page: nothing is committed of it, the crawl ends, resumable
        await self._again_or_fail(page, error, error.reason)

    def _defer(self, page: Page, later: RetryLater) -> None:
        page.outcome = Deferred(time.time() + later.delay, later.reason, later.counted)
        log.debug("page deferred", url=page.lease.request.url, reason=later.reason, seconds=round(later.delay, 1))

    async def _forget(self, page: Page) -> None:
        """Throws away what the page has yielded; its counters go with it."""
        if page.staged:
            await self._frontier.unstage(page.lease)
            page.staged = False
        for kept in (page.children, page.items, page.lines, page.batch, page.counters):
            kept.clear()
