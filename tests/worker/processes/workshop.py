"""A project with jobs, workers in this process for what is asked of them, and real ones for what is done to them."""

import asyncio
import io
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from scraper.bell import Bell
from scraper.job_spec import JobSpec
from scraper.jobs.places import jobs_file, log_file
from scraper.jobs.store import SqliteJobs
from scraper.project import Project
from scraper.protocols import Job
from scraper.runs import Run, Runs
from scraper.settings import WorkerSettings
from scraper.worker.office import Office
from scraper.worker.supervisor import Supervisor, Terms
from tests.cli.conftest import environment
from tests.cli.shelf import SPIDER

PATIENCE = 30  # seconds for what takes one
LOOK = 0.01  # seconds between two looks at what rings no bell
LEASE = 1.0
GRACE = 20.0  # more than any test has patience for: what ends before has not waited for it
ODD = Path(__file__).with_name("odd_spiders.py")


async def until(claim: Callable[[], Any], what: str = "", *, patience: float = PATIENCE) -> Any:
    end = time.monotonic() + patience
    while not (found := claim()):
        assert time.monotonic() < end, f"it has not come true in {patience} s: {what}"
        await asyncio.sleep(LOOK)
    return found


def alive(pid: int) -> bool:
    """A corpse that its parent has not buried is not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
        return state not in "ZX"
    return False


class Workshop:
    def __init__(self, root: Path, url: str) -> None:
        (root / "spiders").mkdir(parents=True)
        (root / "settings.toml").write_text("obey_robots = false\n", "utf-8")
        (root / "spiders" / "__init__.py").touch()
        (root / "spiders" / "shelf.py").write_text(SPIDER, "utf-8")
        (root / "spiders" / "odd.py").write_text(ODD.read_text("utf-8"), "utf-8")
        self.root = root
        self.url = url
        self.out = io.StringIO()
        self.store = SqliteJobs(jobs_file(root), lease=LEASE)
        self.office = Office(Project(root), self.store, lambda: None)

    def add(self, spider: str = "shelf", **told: Any) -> str:
        """The new job's id. Its items go to <id>.jsonl."""
        arguments = {"url": self.url, **told.pop("arguments", {})}
        spec = JobSpec(spider=spider, arguments=arguments, feeds=["{job}.jsonl"], **told)
        return self.store.add(spec).id

    @asynccontextmanager
    async def worker(self, *, jobs: int = 2, grace: float = GRACE, **told: Any) -> AsyncIterator[Supervisor]:
        """One in this process; it is stopped at once where the test did not stop it."""
        bell = Bell()
        office = Office(self.office.project, SqliteJobs(jobs_file(self.root), lease=LEASE), bell.ring)
        terms = Terms(jobs, grace, WorkerSettings(lease=LEASE, **told))
        supervisor = Supervisor(office, terms, bell, out=self.out, look=0.05, tidy=_nothing)
        working = asyncio.create_task(supervisor.run())
        self.office = office
        try:
            yield supervisor
        finally:
            supervisor.stop()
            supervisor.stop()
            async with asyncio.timeout(PATIENCE):
                await working
            office.store.close()

    async def reaches(self, job_id: str, state: str) -> Job:
        def there() -> bool:
            found = self.job(job_id)
            ended = found.state in ("finished", "failed", "cancelled")
            assert found.state == state or not ended, f"job {job_id} has {found.state}: {found.reason}"
            return found.state == state

        await until(there, f"job {job_id} is {state}")
        return self.job(job_id)

    # ── what can be seen from outside ────────────────────────────────────────────────────────────────────

    def job(self, job_id: str) -> Job:
        return self.store.get(job_id)

    def run_of(self, job_id: str) -> Run:
        return Runs(self.root).get(self.job(job_id).run)

    def items(self, job_id: str) -> Counter[str]:
        return Counter((self.root / f"{job_id}.jsonl").read_text("utf-8").splitlines())

    def lines(self, job_id: str) -> list[dict[str, Any]]:
        """Of the job's log."""
        return [json.loads(line) for line in log_file(self.root, job_id).read_text("utf-8").splitlines()]

    @property
    def all_of_it(self) -> Counter[str]:
        """What a crawl of the shelf brings that nobody disturbs."""
        urls = [self.url, *(f"{self.url}{number}" for number in range(1, 21))]
        return Counter(json.dumps({"url": url}, separators=(",", ":")) for url in urls)


async def _nothing(spider: str, keep_runs: int) -> None:
    """Nothing to tidy."""


class Worker:
    """A real `scrape worker`."""

    def __init__(self, root: Path, said: Path) -> None:
        self._root = root
        self._said = said
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *typed: str, **variables: str) -> None:
        with self._said.open("wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "scraper", "worker", *(typed or ("--no-http",))),
                cwd=self._root,
                env=environment() | {"SCRAPER_WORKER__LEASE": str(LEASE)} | variables,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=asyncio.subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def events(self) -> list[dict[str, Any]]:
        whole = self._said.read_text("utf-8").rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    async def says(self, event: str, times: int = 1) -> dict[str, Any]:
        def found() -> list[dict[str, Any]]:
            there = [one for one in self.events if one["event"] == event]
            return there if len(there) >= times else []

        return (await until(found, f"{event!r} in {self._said}"))[times - 1]

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ends(self) -> int:
        assert self._process
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    async def close(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
