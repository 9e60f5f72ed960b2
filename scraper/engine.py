"""The engine: takes pages from the scheduler, lives each of them, hands it to the committer; many at once."""

from __future__ import annotations

import asyncio

import structlog

from scraper.committing import Committer
from scraper.errors import PipelineError, StorageError
from scraper.protocols import Buried, Deferred, Frontier, Lease, Page
from scraper.scheduler import Scheduler
from scraper.seeding import Seeder
from scraper.urls import redact
from scraper.visiting import Visitor

log = structlog.get_logger()


class Engine:
    """`stopped`: why the crawl takes no more pages, or None while it does."""

    def __init__(
        self, scheduler: Scheduler, visitor: Visitor, committer: Committer, seeder: Seeder, frontier: Frontier
    ) -> None:
        self._scheduler = scheduler
        self._visitor = visitor
        self._committer = committer
        self._seeder = seeder
        self._frontier = frontier
        self._pages: dict[asyncio.Task[None], Lease] = {}
        self._patience: asyncio.TimerHandle | None = None
        self.stopped: str | None = None
        committer.on_stop = self.stop

    async def run(self) -> None:
        """Until nothing is left, or `stop`. Raises what the machine can't go on with: StorageError, PipelineError."""
        async with asyncio.TaskGroup() as machine:
            machine.create_task(self._committer.run())
            seeding = machine.create_task(self._seeder.run())
            async for lease in self._scheduler:
                page = machine.create_task(self._page(lease))
                self._pages[page] = lease
                page.add_done_callback(self._pages.pop)
            seeding.cancel()
            await self._last_pages()
            self._committer.close()

    async def _page(self, lease: Lease) -> None:
        page = Page(lease)
        try:
            await self._visitor.visit(page)
            await self._committer.take(page)
        except (StorageError, PipelineError):
            raise
        except asyncio.CancelledError:
            if page.request is lease.request:
                await self._frontier.give_back([lease])
            else:  # a socket: behind its messages, which nobody will send again
                await self._committer.take(Page(lease, Deferred(0.0, "interrupted", counted=False)))
            raise
        except Exception as error:  # the last resort: it counts, logs the traceback and goes on
            log.exception("page failed", url=redact(lease.request.url))
            await self._frontier.unstage(lease)
            await self._committer.take(Page(lease, Buried(f"internal {type(error).__name__}")))
        finally:
            self._scheduler.leave()

    def stop(self, reason: str, *, grace: float = 0.0) -> None:
        """Takes no new page; pages in flight have `grace` seconds, then they are given back."""
        self.stopped = self.stopped or reason
        self._scheduler.stop()
        self._visitor.stop_listening()
        if self._patience:
            self._patience.cancel()
        self._patience = asyncio.get_running_loop().call_later(grace, self._cancel_pages)

    def _cancel_pages(self) -> None:
        for page in self._pages:
            page.cancel()

    async def _last_pages(self) -> None:
        if self._pages:
            await asyncio.wait(list(self._pages))
        if self._patience:
            self._patience.cancel()
        await self._scheduler.give_back()
