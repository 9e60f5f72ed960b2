"""A child: the process of one job's crawl, as its worker sees it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import structlog

from scraper.worker.board import Board, Snapshot
from scraper.worker.job_logs import JobLog
from scraper.worker.leash import SPARE
from scraper.worker.systemd import OURS
from scraper.worker.verdict import Ending
from scraper.worker.words import NOW, STOP, Begun, Last, Named, Outgrown, Task, Word, decode

COMMAND = (sys.executable, "-m", "scraper.worker.crawling")
NOT_THEIRS = (*OURS, "SCRAPER_WORKER__TOKEN")  # of the worker's environment
LONGEST_WORD = 16 * 1024 * 1024  # bytes
LONGEST_LINE = 256 * 1024
AT_ONCE = 65_536
LAST_LINES = 2.0  # seconds for them: something that the spider started may hold the pipes open

log = structlog.get_logger()


class Exits(SubprocessStreamProtocol):
    """`exit_code`: as soon as the process has ended. Process.wait() waits for whoever else has its pipes, too."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=limit, loop=loop)
        self.exit_code: asyncio.Future[int] = loop.create_future()
        self._child: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._child = cast(asyncio.SubprocessTransport, transport)

    def process_exited(self) -> None:
        super().process_exited()
        code = self._child.get_returncode() if self._child else None
        if not self.exit_code.done():
            self.exit_code.set_result(code if code is not None else 255)


class Child:
    """One life of a job. `on_begun(run)`: as soon as it has its run."""

    def __init__(
        self, task: Task, root: Path, *, board: Board, lines: JobLog, on_begun: Callable[[str], None]
    ) -> None:
        self.task = task
        self._root = root
        self._board = board
        self._lines = lines
        self._on_begun = on_begun
        self._process: Process | None = None
        self._last: Last | None = None
        self._outgrown = False
        self._why_killed = ""
        self._begun = False
        self._level = 0
        self._timers: list[asyncio.TimerHandle] = []

    async def live(self) -> Ending:
        """From its start to its end, which leaves no process behind. Raises OSError where it can't be started."""
        process, exit_code = await self._start()
        reading = [asyncio.create_task(self._hear(process)), asyncio.create_task(self._log(process))]
        try:
            code = await exit_code
        finally:
            _kill_group(process)
            for timer in self._timers:
                timer.cancel()
        await asyncio.wait(reading, timeout=LAST_LINES)
        for task in reading:
            task.cancel()
        await asyncio.wait(reading)
        process._transport.close()  # type: ignore[attr-defined]  # else pipes that somebody else holds stay open
        self._lines.close()
        self._board.lost(self.task.job)
        for task in reading:
            if not task.cancelled():
                task.result()
        return Ending(self._last, code, outgrown=self._outgrown, why_killed=self._why_killed)

    def stop(self, level: int) -> None:
        """1: what is in flight has its grace; 2: at once."""
        if level <= self._level:
            return
        self._level = level
        if self._process is not None:
            self._pass_on(self._process, level)

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> tuple[Process, asyncio.Future[int]]:
        environment = {name: value for name, value in os.environ.items() if name not in NOT_THEIRS}
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            lambda: Exits(limit=AT_ONCE, loop=loop),
            *COMMAND,
            cwd=self._root,
            env=environment,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,  # what a terminal sends to the group is for the worker
        )
        process = Process(transport, protocol, loop)
        self._process = process
        log.info("process started", job=self.task.job, spider=self.task.spec.spider, pid=process.pid)
        _write(process, self.task.model_dump_json().encode() + b"\n")
        if self._level:
            self._pass_on(process, self._level)
        return process, protocol.exit_code

    def _pass_on(self, process: Process, level: int) -> None:
        _write(process, STOP if level == 1 else NOW)
        self._kill_after(
            (self.task.grace if level == 1 else 0.0) + SPARE, "its process did not stop when asked to"
        )

    def _kill_after(self, seconds: float, why: str) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, self._kill, why))

    def _kill(self, why: str) -> None:
        self._why_killed = self._why_killed or why
        log.warning(
            "the process of a crawl is killed", job=self.task.job, spider=self.task.spec.spider, reason=why
        )
        if self._process is not None:
            _kill_group(self._process)

    # ── what it says ─────────────────────────────────────────────────────────────────────────────────────

    async def _hear(self, process: Process) -> None:
        async for line in _lines(process.stdout, LONGEST_WORD):
            try:
                self._take(decode(line))
            except ValueError as error:
                log.error("a crawl's process is not understood", job=self.task.job, problem=str(error))

    def _take(self, word: Word) -> None:
        match word:
            case Snapshot():
                self._board.publish(word)
            case Named(run):
                self._lines.run = run
            case Begun(run) if not self._begun:
                self._begin(run)
            case Outgrown():
                self._outgrown = True
        if isinstance(word, Last):
            self._last = word
            self._kill_after(SPARE, "its process did not end after the crawl")

    def _begin(self, run: str) -> None:
        self._begun = True
        if self.task.spec.max_time:
            late = self.task.spec.max_time + self.task.grace + SPARE
            self._kill_after(late, "its process went on after max_time")
        self._on_begun(run)

    async def _log(self, process: Process) -> None:
        async for line in _lines(process.stderr, LONGEST_LINE):
            self._lines.write(line)


def _write(process: Process, line: bytes) -> None:
    if process.stdin is not None:
        with suppress(BrokenPipeError, ConnectionResetError):  # it has ended, and its end says how
            process.stdin.write(line)


def _kill_group(process: Process) -> None:
    """With whatever it has started."""
    if not hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # macOS: nobody is left but its corpse
        os.killpg(process.pid, signal.SIGKILL)


async def _lines(stream: asyncio.StreamReader | None, longest: int) -> AsyncIterator[bytes]:
    """Those that are longer come in pieces."""
    rest = b""
    while stream and (chunk := await stream.read(AT_ONCE)):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > longest:
            yield rest
            rest = b""
    if rest:
        yield rest
