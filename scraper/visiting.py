"""Visiting: one page's life between its lease and its commit; whatever happens ends in an outcome."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import structlog

from scraper import stats
from scraper.committing import Committer
from scraper.downloader import Downloader
from scraper.errors import (
    CallbackError,
    DropRequest,
    FetchError,
    InvalidRequest,
    PipelineError,
    Retry,
    RetryLater,
    StatusError,
    StopCrawl,
)
from scraper.exporting import Exporter
from scraper.intake import Intake
from scraper.listening import Listener
from scraper.parsing import Parser
from scraper.protocols import Buried, Deferred, Frontier, Handler, Page, Refused
from scraper.request import Request
from scraper.response import Response, is_ok
from scraper.sockets import Handshake, Left, Lost, SocketResponse, is_socket
from scraper.stats import Stats
from scraper.urls import redact

log = structlog.get_logger()

PIPELINE_FAILURES = 20  # pages in a row: then the crawl stops rather than bury a whole site
BREATH = 2_000  # outputs of one page after which the others get a turn: some 20 ms; meanwhile its tree is the only one
TryAgain = Callable[[Request, str, float | None], RetryLater | None]  # (request, reason, delay in seconds)
Rotate = Callable[[str, str], None]  # (session, reason)
NO_SESSIONS = 'asks for rotate_session=True, but "sessions" is not among the middlewares in the settings'


class Visitor:
    """`ok`: the spider's statuses beside 2xx. `page_in_memory`: outputs of a page before it is staged."""

    def __init__(
        self,
        *,
        downloader: Downloader,
        parser: Parser,
        exporter: Exporter,
        committer: Committer,
        frontier: Frontier,
        intake: Intake,
        stats: Stats,
        listener: Listener,
        try_again: TryAgain,
        rotate: Rotate | None,
        ok: frozenset[int],
        page_in_memory: int,
    ) -> None:
        self._downloader = downloader
        self._parser = parser
        self._exporter = exporter
        self._committer = committer
        self._frontier = frontier
        self._intake = intake
        self._stats = stats
        self._listener = listener
        self._try_again = try_again
        self._rotate = rotate
        self._ok = ok
        self._page_in_memory = page_in_memory
        self._pipeline_failures = 0

    async def visit(self, page: Page) -> None:
        """Fetches the page and collects what its callback yields. Raises only what ends the crawl."""
        try:
            response = await self._fetched(page)
            await self._frontier.began(page.lease)
            if isinstance(response, SocketResponse):
                await self._listener.listen(page, response, partial(self._messages, page, response))
            else:
                await self._collect(page, self._parser.parse(response), response.url)
            if (
                page.counters[stats.ITEMS] or page.counters[stats.ITEMS_DROPPED]
            ):  # others say nothing of the pipelines
                self._pipeline_failures = 0
        except RetryLater as later:
            page.status, page.proxy = later.status, later.proxy
            self._defer(page, later)
        except Retry as wanted:
            await self._wanted_again(page, wanted)
        except PipelineError as error:
            await self._pipeline_failed(page, error)
        except DropRequest as drop:
            page.outcome = Refused(drop.reason)
        except Lost as lost:
            await self._lost(page, lost.error)
        except Left:
            page.outcome = Deferred(0.0, "the crawl stopped", counted=False)
        except StopCrawl as enough:
            page.stop = enough.reason
            if page.status is None:  # said by a login: the page was not asked for
                page.outcome = Deferred(0.0, enough.reason, counted=False)
        except FetchError as error:
            page.proxy = page.proxy or error.proxy
            if isinstance(error, StatusError):
                page.status = error.status
            await self._fail(page, error)
        except CallbackError as error:
            await self._fail(page, error)

    async def fetch(self, request: Request, send: Handler) -> Response:
        """For `self.fetch`: the response, if a callback may see its status. Raises FetchError."""
        try:
            if is_socket(request.url):
                raise InvalidRequest("A WebSocket needs a callback: yield the request.", request=request)
            response = await send(self._with_ok(request))
        except DropRequest as drop:  # else it would drop the page whose callback asked
            raise FetchError(f"{redact(request.url)} was refused: {drop.reason}.", request=request) from drop
        self._check(response, request)
        return response

    def stop_listening(self) -> None:
        """Sockets are left as soon as their last message is done with."""
        self._listener.stop()

    # ── the usual way ────────────────────────────────────────────────────────────────────────────────

    async def _fetched(self, page: Page) -> Response:
        request = page.lease.request
        asked = Handshake.of(request) if is_socket(request.url) else request
        response = await self._downloader.fetch(self._with_ok(asked))
        if asked is not request:
            response = response.replace(url=request.url, request=request)
        page.status, page.proxy = response.status, response.proxy
        page.counters[stats.BYTES] += len(response.body)
        line = self._stats.host(page.lease.lane)
        line.done += 1
        line.bytes += response.wire_bytes
        line.seconds += response.elapsed
        self._stats.latency.observe(response.elapsed)
        if not isinstance(response, SocketResponse):
            self._check(response, request)
        return response

    async def _messages(self, page: Page, response: SocketResponse) -> None:
        await self._collect(page, self._parser.parse(response), response.url, stages=False)

    def _with_ok(self, request: Request) -> Request:
        return request.replace(ok=frozenset(request.ok) | self._ok) if self._ok else request

    def _check(self, response: Response, request: Request) -> None:
        if not is_ok(response.status, request.ok, self._ok):
            raise StatusError(response.status, request=request)

    async def _collect(
        self, page: Page, outputs: AsyncIterator[Any], url: str, *, stages: bool = True
    ) -> None:
        requests = items = 0
        async for output in outputs:
            if isinstance(output, Request):
                child = self._intake.take(output, page.request, requests, page.counters)
                requests += 1
                if child is not None:
                    page.children.append(child)
            elif output is not None:
                await self._exporter.export(output, page, items, url)
                items += 1
            if (requests + items) % BREATH == 0:
                await asyncio.sleep(0)
            if stages and len(page.children) + len(page.items) >= self._page_in_memory:
                await self._stage(page)

    async def _stage(self, page: Page) -> None:
        await self._committer.prepare(page.batch)
        await self._frontier.stage(page.lease, [*page.children, *page.items])
        page.staged = True
        for kept in (page.children, page.items, page.lines, page.batch):
            kept.clear()

    # ── when it does not go well ─────────────────────────────────────────────────────────────────────

    def _defer(self, page: Page, later: RetryLater) -> None:
        page.outcome = Deferred(time.time() + later.delay, later.reason, later.counted)
        log.debug(
            "page deferred",
            url=redact(page.lease.request.url),
            reason=later.reason,
            seconds=round(later.delay, 1),
        )

    async def _wanted_again(self, page: Page, wanted: Retry) -> None:
        request = page.lease.request
        if wanted.rotate_session:
            if self._rotate is None:
                await self._fail(page, CallbackError(f"{request.callback or 'parse'}()", NO_SESSIONS))
                return
            self._rotate(request.session, wanted.reason)
        error = FetchError(wanted.reason, request=request)
        await self._again_or_fail(page, error, wanted.reason, wanted.delay)

    async def _lost(self, page: Page, error: FetchError) -> None:
        """A socket that broke: opened again. One that had brought something has not failed, it has only ended."""
        request = page.lease.request
        brought = page.request is not request
        later = self._try_again(request.replace(attempt=1) if brought else request, error.reason, None)
        if later is None:
            await self._fail(page, error)
            return
        await self._forget(page)
        self._defer(page, RetryLater(later.delay, later.reason, counted=not brought))

    async def _fail(self, page: Page, error: Exception) -> None:
        await self._forget(page)
        reason = str(getattr(error, "reason", type(error).__name__))
        page.outcome = Buried(reason, error.status if isinstance(error, StatusError) else None)
        self._stats.host(page.lease.lane).failed += 1
        url = redact(page.lease.request.url)
        if isinstance(error, CallbackError) and error.__cause__ is not None:
            log.error("callback raised", url=url, exc_info=error.__cause__)
        else:
            attempt = page.lease.request.attempt
            log.warning("page failed", url=url, reason=reason, error=str(error), attempts=attempt)
        await self._run_errback(page, error)

    async def _run_errback(self, page: Page, error: Exception) -> None:
        try:
            errback = self._parser.errback_of(page.lease.request)
            if errback is not None:
                await self._collect(page, self._parser.run(errback, error), page.lease.request.url)
        except StopCrawl as enough:
            page.stop = enough.reason
        except Exception as again:  # the page has failed already: its errback can't fail it more
            log.error("errback raised", url=redact(page.lease.request.url), exc_info=again.__cause__ or again)
            await self._forget(page)

    async def _again_or_fail(
        self, page: Page, error: Exception, reason: str, delay: float | None = None
    ) -> None:
        later = self._try_again(page.lease.request, reason, delay)
        if later is not None:
            await self._forget(page)
            self._defer(page, later)
        else:
            error.reason = reason  # type: ignore[attr-defined]  # the spider's word is the dead letter's reason
            await self._fail(page, error)

    async def _pipeline_failed(self, page: Page, error: PipelineError) -> None:
        log.error(
            "pipeline raised", url=redact(page.lease.request.url), error=str(error), exc_info=error.__cause__
        )
        self._pipeline_failures += 1
        if self._pipeline_failures >= PIPELINE_FAILURES:
            raise error  # nothing is committed of this page: the crawl ends, resumable
        await self._again_or_fail(page, error, error.reason)

    async def _forget(self, page: Page) -> None:
        """Throws away what the page has yielded, and what it counted."""
        if page.staged:
            await self._frontier.unstage(page.lease)
            page.staged = False
        for kept in (page.children, page.items, page.lines, page.batch, page.counters):
            kept.clear()
