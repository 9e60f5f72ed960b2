"""The lives of a crawl: one run of `scrape`, in as many processes as it takes."""

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from scraper.runs import Run, Runs
from tests.cli.conftest import environment
from tests.kills.evidence import Evidence
from tests.kills.harvest import ENDINGS, Harvest, harvest
from tests.kills.maze import Maze

PATIENCE = 60  # seconds for what takes one
LOOK = 0.002  # seconds between two looks at a file: it rings no bell
RUN = "maze"


async def until(claim: Callable[[], object]) -> None:
    while not claim():  # noqa: ASYNC110
        await asyncio.sleep(LOOK)


class Crawl:
    """A spider's file in a folder of its own, and its run. `kind`: the items of the CSV table, which takes one kind.

    What a life prints is in `life-1.log` …; `story` says how each of them ended.
    """

    def __init__(self, folder: Path, spider: Path, site: Maze, *told: str, kind: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.site = site
        self.feeds = [folder / f"items{ending}" for ending in ENDINGS]
        self.story: list[str] = []
        self.start_up = 0.0
        """Seconds from the last life's start to its first request."""
        self._file = folder / spider.name
        self._file.write_text(spider.read_text("utf-8"), "utf-8")
        self._told = [*told, *self._outputs(kind)]
        self.deaths = 0
        """Lives that were ended by SIGKILL."""
        self.stages_met: set[str] = set()
        """How lives have left the stage of the hub: open, live, dropped."""
        self._lives = 0
        self._process: asyncio.subprocess.Process | None = None
        self._at_risk: set[int] = set()

    def _outputs(self, kind: str) -> list[str]:
        named = (f"{kind}:{feed}" if feed.suffix == ".csv" else str(feed) for feed in self.feeds)
        return [word for feed in named for word in ("-o", feed)]

    # ── a life ───────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self, *told: str) -> None:
        """Starts the run, or goes on with it."""
        assert not self.done, f"It has finished before its time: {self.said}"
        self._lives += 1
        self._born, self._heard = time.monotonic(), self.site.requests
        words = ["resume", RUN] if self.begun else ["run", str(self._file), "--run", RUN, *self._told]
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "scraper", *words, *told, "--log", "json"),
                cwd=self.folder,
                env=environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def first_request(self) -> None:
        await self.site.until(lambda: self.site.requests > self._heard)
        self.start_up = time.monotonic() - self._born

    async def reach(self, moment: Awaitable[Any]) -> None:
        """Waits for the moment. A life that is over before it, and has not finished the run, is a failure."""
        waiting, over = asyncio.ensure_future(moment), asyncio.ensure_future(self.process.wait())
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait({waiting, over}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                waiting.result()
            else:
                assert self.done, f"over with {self.process.returncode} before its time: {self.said}"
        finally:
            waiting.cancel()
            over.cancel()

    async def end(self) -> int:
        """Waits for it; the exit code."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
        left = self.evidence
        self.stages_met.update(state for state, _ in left.stages)
        told = f"{code} after {self.site.requests} requests, out {sorted(left.out.values())}, stages {left.stages}"
        self.story.append(f"life {self._lives}: {told}")
        return code

    async def kill(self) -> None:
        """Now; or, where a page is out with which a process has died alone, when that has ended: another would bury it.

        Whatever the site has held is let go.
        """
        if spared := self._at_risk & set(self.evidence.out):
            self.story.append(f"life {self._lives}: {len(spared)} that may not see another death, let go")
            self.site.release()
            await self.reach(until(lambda: not spared & set(self.evidence.out)))
        if self.process.returncode is None:
            self.process.kill()
        self.deaths += await self.end() == -signal.SIGKILL
        self.site.release()
        self._at_risk = {seq for seq, began in self.evidence.out.items() if began}

    async def close(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    # ── whole lives ──────────────────────────────────────────────────────────────────────────────────────

    async def killed(self, moment: Awaitable[Any]) -> None:
        """A life that is ended at this moment."""
        await self.begin()
        await self.reach(moment)
        await self.kill()

    async def finished(self) -> Harvest:
        """A life to the end, unless that has been reached; what the run has brought in all its lives."""
        if not self.done:
            await self.begin()
            await self.reach(self.first_request())
            assert await self.end() == 0, self.said
        return self.harvest

    # ── what can be seen from outside ────────────────────────────────────────────────────────────────────

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process, "begin() comes first"
        return self._process

    @property
    def run(self) -> Run:
        return Runs(self.folder).get(RUN)

    @property
    def begun(self) -> bool:
        return (self._run_folder / "run.json").is_file()

    @property
    def harvest(self) -> Harvest:
        return harvest(self.run, self.feeds, self.site)

    @property
    def done(self) -> bool:
        return self.begun and self.run.info.state == "finished"

    @property
    def evidence(self) -> Evidence:
        return Evidence(self._run_folder / "frontier.db")

    @property
    def _run_folder(self) -> Path:
        return self.folder / ".scrape" / "runs" / RUN

    @property
    def _log(self) -> Path:
        return self.folder / f"life-{self._lives}.log"

    @property
    def said(self) -> str:
        return "\n".join([*self.story, *self._log.read_text("utf-8").splitlines()[-20:]])
