"""The crawler: one crawl from its first file to its last mark, and what is said of it."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import structlog

from scraper.assembly import Machine, assemble
from scraper.errors import FeedError, PipelineError, RunError, StorageError, UsageError
from scraper.filesystems import network_filesystem
from scraper.order import Order, Progress, Result
from scraper.protocols import Batch
from scraper.resuming import source_of
from scraper.runs import Run, Runs, State
from scraper.sinks.choose import FeedSpec, check_writable, parse_feed
from scraper.spider import secret_arguments

log = structlog.get_logger()


class Crawler:
    """`result = await Crawler(order).run()`"""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._runs = Runs(order.root)
        self._started = time.monotonic()
        self._machine: Machine | None = None
        self._run_id = ""
        self.interruptions = 0

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────

    def interrupt(self) -> None:
        """Once: what is in flight has the grace period. Twice: it is given back at once. Nothing is lost either way."""
        self.interruptions += 1
        if self._machine is not None:
            first = self.interruptions == 1
            self._machine.engine.stop("interrupted", grace=self._order.settings.grace if first else 0.0)
            if not first:
                self._machine.committer.hurry()

    def progress(self) -> Progress | None:
        """None before the crawl has begun."""
        if self._machine is None:
            return None
        machine = self._machine
        return Progress(
            self._run_id,
            machine.frontier.counts(),
            machine.stats,
            machine.gate.in_flight,
            time.monotonic() - self._started,
            machine.seeder.going,
            machine.engine.stopped,
        )

    # ── the crawl ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> Result:
        """Crawls to an end. Raises UsageError where it can't begin; whatever comes later is in the result."""
        specs = [parse_feed(text) for text in self._order.feeds]
        for spec in specs:
            check_writable(spec)
        _check_distinct(specs)
        self._check_disk()
        run = self._order.resume or self._new_run(specs)
        self._run_id = run.info.id
        with (
            run.living(),
            structlog.contextvars.bound_contextvars(run=run.info.id, spider=self._order.spider.name),
        ):
            try:
                return await self._in(run, specs)
            except UsageError:
                if self._machine is None and self._order.resume is None:
                    self._leave_no_trace(run)
                raise

    async def _in(self, run: Run, specs: Sequence[FeedSpec]) -> Result:
        error: BaseException | None = None
        try:
            async with AsyncExitStack() as stack:
                machine = self._machine = await assemble(self._order, run, self._runs, specs, stack)
                _note(run, "running", reason="", ended=None, waiting_until=None)
                error = await self._crawl(machine)
                if not isinstance(error, StorageError):
                    error = await self._last_commit(machine, error) or error
        except StorageError as failed:
            if self._machine is None:
                raise
            error = failed
        except Exception as failed:  # the user's parts may fail to close
            if self._machine is None:
                raise
            log.exception("the crawl could not be closed")
            error = error or failed
        return self._end(run, self._machine, error)  # not before everything is on the disk

    def _check_disk(self) -> None:
        """Raises RunError where the run's database can't be kept."""
        if self._order.settings.frontier.kind == "memory":
            return
        folder = self._order.resume.folder if self._order.resume else self._runs.folder
        where = network_filesystem(folder)
        if where:
            raise RunError(
                f"{folder} is on a network file system ({where}), which a run's database is not safe on."
                f" Make {self._order.root / '.scrape'} a link to a folder on a local disk, or keep nothing of the run:"
                " -s frontier=memory."
            )

    def _leave_no_trace(self, run: Run) -> None:
        """The crawl never began."""
        shutil.rmtree(run.folder, ignore_errors=True)  # the lock is open still: Windows keeps that file
        try:
            self._runs.claims.give_back()
        except StorageError as error:
            log.warning("the feeds are still claimed", error=str(error))

    def _new_run(self, specs: Sequence[FeedSpec]) -> Run:
        order = self._order
        secret = secret_arguments(type(order.spider))
        return self._runs.create(
            order.spider.name,
            run_id=order.run_id,
            file=order.file,
            source=source_of(type(order.spider)),
            arguments={name: value for name, value in order.arguments.items() if name not in secret},
            secrets=sorted(secret & order.arguments.keys()),
            settings=order.settings.model_dump(mode="json", exclude={"auth", "proxies", "worker"}),
            feeds=[str(spec) for spec in specs],
            append=order.append,
        )

    async def _crawl(self, machine: Machine) -> BaseException | None:
        """From the spider's open() to its close(); the error that ended it early, or None."""
        error: BaseException | None = None
        engine, spider, timer = machine.engine, self._order.spider, None
        try:
            await spider.open()
            if self._order.max_time:
                timer = asyncio.get_running_loop().call_later(self._order.max_time, engine.stop, "max_time")
            if self.interruptions:
                engine.stop("interrupted")
            await engine.run()
        except* (StorageError, PipelineError) as group:
            error = _first(group)
        except* Exception as group:
            error = _first(group)
            log.error("the crawl crashed", exc_info=error)
        finally:
            if timer is not None:
                timer.cancel()
        await self._close_spider("crashed" if error else engine.stopped or "finished")
        return error

    async def _close_spider(self, reason: str) -> None:
        try:
            await self._order.spider.close(reason)
        except Exception:  # the user's code, after the last page: nothing is lost by it
            log.exception("close() raised", spider=self._order.spider.name)

    async def _last_commit(self, machine: Machine, error: BaseException | None) -> BaseException | None:
        """After a crash without what the parts remember: `state` may know of seeds that were not committed."""
        try:
            marks = await machine.feeds.last_marks()
            changed = {} if error else {part.memory_name: part.changes() for part in machine.memories}
            changes = {name: change for name, change in changed.items() if change}
            last = await machine.frontier.commit(Batch(marks=marks, changes=changes))
            machine.stats.counters.update(last.counters)
            machine.feeds.append(last.items, last.lines)
            await machine.feeds.finish()
        except StorageError as failed:
            return failed
        return None

    # ── how it ended ─────────────────────────────────────────────────────────────────────────────────

    def _end(self, run: Run, machine: Machine, error: BaseException | None) -> Result:
        state, reason = _state(machine, error)
        waiting_until = machine.scheduler.waiting_until if state == "waiting" else None
        counters = dict(machine.stats.counters)
        ending = {
            "reason": reason,
            "ended": time.time(),
            "waiting_until": waiting_until,
            "counters": counters,
        }
        try:
            _note(run, state, **ending)
        except StorageError as failed:
            log.error("the run's end was not written down", error=str(failed))
            state, reason = "crashed", reason or str(failed)  # as its run.json will be read
            run.info = run.info.model_copy(update={"state": state})
        return Result(
            run.info.id,
            run.folder,
            state,
            reason,
            counters,
            machine.before,
            time.monotonic() - self._started,
            waiting_until,
            run.info.resumable and run.database.is_file(),
            self._exit_code(state, machine),
        )

    def _exit_code(self, state: State, machine: Machine) -> int:
        if state == "interrupted":
            return 130
        too_many = machine.stats.failed_share > self._order.settings.max_failed
        return 1 if state == "crashed" or machine.seeder.failed or too_many else 0


def _check_distinct(specs: Sequence[FeedSpec]) -> None:
    paths = [spec.path for spec in specs]
    for path in paths:
        if paths.count(path) > 1:
            raise FeedError(f"Two -o write to {path or 'standard output'}: give each a file of its own.")


def _note(run: Run, state: State, **more: Any) -> None:
    run.info = run.info.model_copy(update={"state": state, **more})
    run.save()


def _state(machine: Machine, error: BaseException | None) -> tuple[State, str]:
    if error is not None:
        return "crashed", str(error)
    stopped = machine.engine.stopped
    if stopped:
        return ("interrupted" if stopped == "interrupted" else "stopped"), stopped
    if machine.scheduler.waiting_until:
        return "waiting", "only later work is left"
    return "finished", "start() raised" if machine.seeder.failed else ""


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
