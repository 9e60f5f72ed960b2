"""The process of one job's crawl: `python -m scraper.worker.crawling`, which a worker starts in the project's folder.

Its standard input is a pipe that only the worker writes: a Task, then STOP or NOW; its end means that the worker is
gone. What was its standard output carries words (scraper.worker.words) to the worker. Whatever the spider prints goes
to standard error, as a line of the log.
"""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import structlog

from scraper import log as logs
from scraper import stats
from scraper.crawler import Crawler
from scraper.errors import RunError, StorageError, UsageError
from scraper.interpreter import calm_the_collector, loop_factory
from scraper.memory import resident
from scraper.order import Order, Progress, Result
from scraper.project import Project
from scraper.runs import Runs
from scraper.worker.board import Snapshot
from scraper.worker.hushed import Hushed, secrets_in, secrets_of
from scraper.worker.job_runs import counters_of, ended, free_name, freed, order_of, run_of, why
from scraper.worker.leash import SPARE, Leash, end_group
from scraper.worker.words import Begun, Busy, Ended, Last, Named, Outgrown, Refused, Task, Word, encode

BEAT = 1.0  # seconds between two snapshots
LOOK = 0.05  # seconds between two looks whether it has begun
LONGEST_LINE = 8_000  # characters of what a spider prints

log = structlog.get_logger()


def main() -> None:
    worker, channel = _private_pipes()
    for name in (signal.SIGTERM, signal.SIGINT):  # to the whole group: they are for the worker alone
        signal.signal(name, lambda *_: None)
    line = worker.readline()
    if not line:
        return  # the worker died before it said what to do
    hushed = Hushed(sys.stderr)
    sys.stderr = cast(TextIO, hushed)
    sys.stdout = cast(TextIO, Printed())
    logs.configure(json=True, stream=sys.stderr)
    crawling = Crawling(Task.model_validate_json(line), worker, Channel(channel), hushed)
    crawling.run()
    hushed.close()
    if crawling.alone:
        end_group()  # nobody else is left to end what the spider has started


def _private_pipes() -> tuple[BinaryIO, int]:
    """The two to the worker, out of reach of the spider, of C code and of what they start."""
    worker, channel = os.dup(0), os.dup(1)  # not inherited
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return os.fdopen(worker, "rb"), channel


class Channel:
    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._turn = threading.Lock()

    def say(self, word: Word) -> None:
        line = memoryview(encode(word))
        with self._turn:
            try:
                while line:
                    line = line[self._file.write(line) :]
            except BrokenPipeError:
                return  # the leash knows it too, and stops the crawl


class Printed(io.TextIOBase):
    """What a spider prints, as events of its log."""

    def __init__(self) -> None:
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            log.info("printed", text=line[:LONGEST_LINE])
        return len(text)


class Crawling:
    """One life of a job: says how it goes and, at last, how it ended."""

    def __init__(self, task: Task, worker: BinaryIO, channel: Channel, hushed: Hushed) -> None:
        self._task = task
        self._channel = channel
        self._hushed = hushed
        self._project = Project(Path.cwd())
        self._runs = Runs(self._project.root)
        self._before: dict[str, int] = {}
        self._name = ""
        self._crawler: Crawler | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._level = 0
        self._leash = Leash(self._stop_from_thread, grace=task.grace)
        self._leash.hear(worker)

    @property
    def alone(self) -> bool:
        """Whether the worker is gone."""
        return self._leash.cut

    # ── from the leash ───────────────────────────────────────────────────────────────────────────────────

    def _stop_from_thread(self, level: int) -> None:
        self._level = max(level, self._level)
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: the crawl has ended
                self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        while self._crawler is not None and self._crawler.interruptions < self._level:
            self._crawler.interrupt()

    # ── the life ─────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Ends with its last word."""
        task = self._task
        with structlog.contextvars.bound_contextvars(job=task.job, spider=task.spec.spider):
            if task.spec.max_memory:
                self._leash.watch(task.spec.max_memory, self._outgrown)
            last = self._life()
            self._channel.say(replace(last, reason=self._hushed.hushed(last.reason)))

    def _life(self) -> Last:
        new = run_of(self._task, self._runs) is None
        try:
            try:
                return self._gone_on()
            except RunError:
                if not new or run_of(self._task, self._runs) is None:
                    raise
                return self._gone_on()  # an orphan made the run while this process loaded the spider
        except UsageError as error:
            log.error("the crawl can't begin", problem=str(error))
            return Busy(str(error)) if self._held_by_another() else Refused(str(error))
        except StorageError as error:
            log.error("the crawl can't go on", problem=str(error))
            return Ended("crashed", str(error), 1)

    def _held_by_another(self) -> bool:
        """Somebody was faster to resume the run by hand."""
        folder = self._runs.folder / self._name
        return bool(self._name) and folder.is_dir() and self._runs.get(self._name).alive

    def _gone_on(self) -> Last:
        run = run_of(self._task, self._runs)
        if run is not None:
            patience = self._task.grace + 2 * SPARE  # an orphan's leash is shorter
            run = freed(run, self._runs, patience=patience, stopped=lambda: self._level > 0)
            if run is None:
                return Busy("Another process still works on the job's run.")
            self._channel.say(Begun(run.info.id))
            if (end := ended(run, self._task)) is not None:
                return end
            self._before = dict(counters_of(run))
        self._name = run.info.id if run is not None else free_name(self._task, self._runs)
        self._channel.say(Named(self._name))
        with structlog.contextvars.bound_contextvars(run=self._name):
            return self._crawled(order_of(self._task, run, self._name, self._project))

    def _crawled(self, order: Order) -> Last:
        self._hushed.hide((*secrets_in(order.settings), *secrets_of(order.spider)))
        logs.configure(level=order.settings.log_level, json=True, stream=sys.stderr)
        calm_the_collector()
        with asyncio.Runner(loop_factory=loop_factory(order.settings)) as runner:
            return self._summed_up(runner.run(self._crawl(order)))

    def _outgrown(self) -> None:
        log.error("the crawl holds too much memory", bytes=resident(), max_memory=self._task.spec.max_memory)
        self._channel.say(Outgrown())

    async def _crawl(self, order: Order) -> Result:
        self._crawler, self._loop = Crawler(order), asyncio.get_running_loop()
        self._pass_on()
        over = threading.Event()
        reports = threading.Thread(target=self._report, args=(self._crawler, over), daemon=True)
        reports.start()
        try:
            return await self._crawler.run()
        finally:
            over.set()
            reports.join()

    # ── what it says ─────────────────────────────────────────────────────────────────────────────────────

    def _report(self, crawler: Crawler, over: threading.Event) -> None:
        """In a thread: of a crawl that a callback blocks, too, it can be seen what it holds."""
        while (progress := crawler.progress()) is None:
            if over.wait(LOOK):
                return
        self._channel.say(Begun(progress.run_id))
        while progress is not None:
            self._channel.say(self._snapshot(progress))
            if over.wait(BEAT):
                return
            progress = crawler.progress()

    def _snapshot(self, progress: Progress, *, ended: bool = False) -> Snapshot:
        seen = progress.stats
        return Snapshot(
            self._task.job,
            progress.run_id,
            self._task.spec.spider,
            counters=dict(seen.counters),
            before=self._before,
            queued=progress.counts.queued,
            delayed=progress.counts.delayed,
            in_flight=progress.in_flight,
            elapsed=progress.elapsed,
            memory=resident(),
            latency=list(seen.latency.counts),
            latency_sum=seen.latency.sum,
            ended=ended,
        )

    def _summed_up(self, result: Result) -> Ended:
        self._channel.say(Begun(result.run_id))
        progress = self._crawler.progress() if self._crawler else None
        if progress is not None:
            self._channel.say(self._snapshot(progress, ended=True))
        reason = why(result.reason, result.exit_code, result.counters)
        told = {name: result.counters.get(name, 0) for name in (stats.DONE, stats.FAILED, stats.ITEMS)}
        log.info("crawl ended", state=result.state, reason=reason, exit_code=result.exit_code, **told)
        return Ended(result.state, reason, result.exit_code, result.waiting_until)


if __name__ == "__main__":
    main()
