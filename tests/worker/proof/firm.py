"""A firm: a project with its spiders, whoever asks its worker for jobs, and what they have brought."""

import asyncio
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from scraper.job_spec import JobSpec
from scraper.jobs.places import jobs_file, log_file
from scraper.jobs.store import SqliteJobs
from scraper.protocols import Job
from scraper.runs import Run, Runs
from scraper.worker.job_runs import counters_of
from tests.cli.conftest import environment
from tests.kills.harvest import Harvest, harvest
from tests.worker.processes.workshop import LEASE, LOOK, PATIENCE, Worker, until
from tests.worker.proof.sites import Site

HERE = Path(__file__).parent
SPIDERS = (
    HERE.parents[2] / "spiders" / "books.py",
    HERE.parents[1] / "kills" / "explorer.py",
    HERE / "rogues.py",
)
TOKEN = "correct horse battery staple"
ENDED = ("finished", "failed", "cancelled")


class Firm:
    def __init__(self, root: Path) -> None:
        (root / "spiders").mkdir(parents=True)
        (root / "settings.toml").write_text("", "utf-8")
        (root / "spiders" / "__init__.py").touch()
        for file in SPIDERS:
            (root / "spiders" / file.name).write_text(file.read_text("utf-8"), "utf-8")
        (root / "token").write_text(TOKEN, "utf-8")
        self.root = root
        self.store = SqliteJobs(jobs_file(root), lease=LEASE)
        self.workers: list[Worker] = []
        self._others: list[asyncio.subprocess.Process] = []

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────────

    async def worker(self, *typed: str, **variables: str) -> Worker:
        """One that is ready."""
        one = Worker(self.root, self.root.parent / f"worker-{len(self.workers) + 1}.log")
        self.workers.append(one)
        listen = [] if "--no-http" in typed else ["--listen", "127.0.0.1:0", "--token-file", "token"]
        await one.start(*listen, *typed, **variables)
        await one.says("worker ready")
        return one

    async def worker_into(self, said: int, *typed: str) -> None:
        """One whose standard output is that file."""
        self._others.append(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "scraper", "worker", *typed),
                cwd=self.root,
                env=environment() | {"SCRAPER_WORKER__LEASE": str(LEASE)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.DEVNULL,
            )
        )

    async def close(self) -> None:
        for one in self.workers:
            await one.close()
        for other in self._others:
            if other.returncode is None:
                other.kill()
            await other.wait()
        self.store.close()

    def crawls(self) -> list[int]:
        """Their processes, in the words even of a worker that has said something else at its end."""
        said = "".join(file.read_text("utf-8") for file in self.root.parent.glob("worker-*.log"))
        return [int(pid) for pid in re.findall(r'"pid": (\d+), "event": "process started"', said)]

    # ── who asks for jobs ────────────────────────────────────────────────────────────────────────────────

    def add(self, spider: str, **told: Any) -> str:
        return self.store.add(JobSpec(spider=spider, **{"feeds": ["{job}.jsonl"], **told})).id

    async def type(self, *words: str, code: int = 0) -> str:
        """What `scrape` prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "scraper", *words),
            cwd=self.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            out, said = await process.communicate()
        assert process.returncode == code, said.decode()
        return out.decode()

    async def add_by_command(self, site: Site, *more: str) -> str:
        told = await self.type("jobs", "add", *site.words, "-o", "{job}.jsonl", *more, "--json")
        return json.loads(told)["id"]

    async def add_over_http(self, site: Site, **more: Any) -> str:
        spider, *words = site.words
        pairs = list(zip(words[::2], words[1::2], strict=True))
        spec = {
            "spider": spider,
            "arguments": dict(pair.split("=", 1) for option, pair in pairs if option == "-a"),
            "settings": [pair for option, pair in pairs if option == "-s"],
            "feeds": ["{job}.jsonl"],
        }
        status, body = await self.ask("POST", "/api/jobs", json=spec | more)
        assert status == 201, body
        return json.loads(body)["id"]

    async def ask(
        self, method: str, path: str, *, worker: Worker | None = None, **more: Any
    ) -> tuple[int, str]:
        """Of the newest worker."""
        base = (await (worker or self.workers[-1]).says("worker ready"))["listen"]
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
            session.request(method, base.rstrip("/") + path, headers=headers, **more) as response,
        ):
            return response.status, await response.text()

    async def answers(
        self, path: str, status: int = 200, body: str = "", *, patience: float = PATIENCE
    ) -> None:
        """Waits until the newest worker answers so."""
        end = time.monotonic() + patience
        while (answer := await self.ask("GET", path))[0] != status or body not in answer[1]:
            assert time.monotonic() < end, f"{path} has not answered {status} in {patience} s, but {answer}"
            await asyncio.sleep(LOOK)

    # ── what can be seen ─────────────────────────────────────────────────────────────────────────────────

    def job(self, job_id: str) -> Job:
        return self.store.get(job_id)

    async def reaches(self, job_id: str, state: str, **patience: float) -> Job:
        def there() -> bool:
            found = self.job(job_id)
            assert found.state == state or found.state not in ENDED, f"{found.state}: {found.reason}"
            return found.state == state

        await until(there, f"job {job_id} is {state}", **patience)
        return self.job(job_id)

    async def process_of(self, job_id: str, *, life: int = 1, worker: Worker | None = None) -> int:
        """The process of the job's so many-th life with the newest worker."""
        one = worker or self.workers[-1]

        def started() -> list[int]:
            told = [e["pid"] for e in one.events if e["event"] == "process started" and e["job"] == job_id]
            return told if len(told) >= life else []

        return (await until(started, f"job {job_id} has its process"))[life - 1]

    def run_of(self, job_id: str) -> Run:
        return Runs(self.root).get(self.job(job_id).run)

    def counters(self, job_id: str) -> Mapping[str, int]:
        """Of all the lives of the job's run."""
        return counters_of(self.run_of(job_id)) if self.job(job_id).run else {}

    def lines(self, job_id: str) -> Counter[str]:
        return Counter((self.root / f"{job_id}.jsonl").read_text("utf-8").splitlines())

    def log(self, job_id: str) -> list[dict[str, Any]]:
        text = log_file(self.root, job_id).read_text("utf-8") if log_file(self.root, job_id).exists() else ""
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]

    async def waits_for_another(self, job_id: str) -> None:
        """Returns when the job's newest process has found an older one at work on the run."""
        told = "another process still works on the run"
        await until(
            lambda: told in {line["event"] for line in self.log(job_id)}, f"job {job_id}'s process waits"
        )

    def harvest(self, job_id: str, site: Site) -> Harvest:
        return brought(self.run_of(job_id), self.root / f"{job_id}.jsonl", site)

    async def quiet(self, site: Site, name: str) -> Harvest:
        """What a crawl brings that nobody disturbs."""
        await self.type("crawl", *site.words, "-o", f"{name}.jsonl", "--run", name)
        return brought(Runs(self.root).get(name), self.root / f"{name}.jsonl", site)

    async def metrics(self) -> "Metrics":
        status, body = await self.ask("GET", "/metrics")
        assert status == 200, body
        return Metrics(body)


def brought(run: Run, feed: Path, site: Site) -> Harvest:
    """Each site has a port of its own, of which the items know."""
    lines = feed.read_text("utf-8").replace(site.base, "").splitlines()
    return {"items": Counter(lines), **harvest(run, [], site)}


class Metrics:
    def __init__(self, text: str) -> None:
        self._samples = [one for family in text_string_to_metric_families(text) for one in family.samples]

    def total(self, name: str, **labels: str) -> float:
        return sum(
            one.value for one in self._samples if one.name == name and labels.items() <= one.labels.items()
        )
