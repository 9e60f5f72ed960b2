"""`scrape worker` as a service manager has it: signals, kills, and another worker that goes on."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest

from scraper.protocols import JobState
from scraper.worker.tidying import JOBS_KEPT
from tests.worker.processes.workshop import alive, until

MANY = int(os.environ.get("MANY_JOBS", "1000"))


async def asked(shelf, path: str) -> None:
    await asyncio.to_thread(shelf.wait_for, path)


class Manager:
    """systemd's end of the socket. It reads at once: the queue of such a socket holds few messages."""

    def __init__(self, listening: socket.socket) -> None:
        self.address = listening.getsockname()
        self.heard: list[str] = []
        self._listening = listening

    def hear(self) -> None:
        self.heard.append(self._listening.recv(1000).decode())

    @property
    def steps(self) -> list[str]:
        return [one.partition("\n")[0] for one in self.heard if one != "WATCHDOG=1"]


@pytest.fixture
async def systemd(tmp_path) -> AsyncIterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        manager = Manager(listening)
        asyncio.get_running_loop().add_reader(listening, manager.hear)
        yield manager
        asyncio.get_running_loop().remove_reader(listening)


async def test_a_killed_worker_loses_nothing(shop, shelf, worker):
    shelf.hold("/7")
    job = shop.add()
    first = worker()
    await first.start("--no-http", "--grace", "0s")
    await asked(shelf, "/7")
    pid = (await first.says("process started"))["pid"]
    first.send(signal.SIGKILL)
    await until(lambda: not alive(pid), "the crawl ends with its worker")
    assert shop.job(job).state == "running"  # whose worker is no more
    shelf.release.set()
    async with shop.worker():
        ended = await shop.reaches(job, "finished")
    assert shop.items(job) == shop.all_of_it
    assert (ended.deaths, ended.run) == (0, f"shelf-job{job}")


async def test_a_terminated_worker_lets_pages_finish_and_gives_its_jobs_back(shop, shelf, worker, systemd):
    shelf.hold("/7")
    job = shop.add(settings=["per_host=1"])
    one = worker()
    await one.start("--no-http", "--grace", "20s", NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="200000")
    await asked(shelf, "/7")
    started = await one.says("process started")
    one.send(signal.SIGTERM)
    await one.says("stopping")
    second = shop.add()
    shelf.release.set()
    assert await one.ends() == 0
    assert not alive(started["pid"])
    assert (shop.job(job).state, shop.job(second).state) == ("queued", "queued")
    assert f'{{"url":"{shop.url}7"}}' in shop.items(job)  # it was in flight
    assert shop.run_of(job).info.state == "interrupted"
    assert systemd.steps == ["READY=1", "STOPPING=1"]
    assert systemd.heard.count("WATCHDOG=1") > 3
    async with shop.worker():
        await shop.reaches(job, "finished")
    assert shop.items(job) == shop.all_of_it


@pytest.mark.long
async def test_a_second_signal_stops_at_once_and_loses_nothing(shop, shelf, worker):
    shelf.hold("/7")
    job = shop.add()
    one = worker()
    await one.start("--no-http", "--grace", "10m")
    await asked(shelf, "/7")
    one.send(signal.SIGINT)
    await one.says("stopping")
    one.send(signal.SIGINT)
    assert await one.ends() == 0
    assert shop.job(job).state == "queued"
    shelf.release.set()
    async with shop.worker():
        await shop.reaches(job, "finished")
    assert shop.items(job) == shop.all_of_it


@pytest.mark.long
async def test_signals_to_the_whole_group_are_for_the_worker_alone(shop, shelf, worker):
    shelf.hold("/7")
    job = shop.add()
    one = worker()
    await one.start()
    await asked(shelf, "/7")
    pid = (await one.says("process started"))["pid"]
    assert os.getpgid(pid) == pid != os.getpgid(one.pid)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    shelf.release.set()
    ended = await shop.reaches(job, "finished")
    assert (ended.deaths, shop.items(job)) == (0, shop.all_of_it)


@pytest.mark.long
async def test_hangup_reads_settings_and_spiders_again_for_new_jobs(shop, worker, systemd):
    one = worker()
    await one.start("--no-http", NOTIFY_SOCKET=systemd.address)
    await one.says("worker ready")
    await until(lambda: systemd.steps == ["READY=1"])
    (shop.root / "settings.toml").write_text("worker = { jobs = 'many' }\n", "utf-8")
    one.send(signal.SIGHUP)
    refused = await one.says("the settings can't be read again: the old ones stay")
    assert "worker.jobs = 'many'" in refused["problem"]
    (shop.root / "settings.toml").write_text("obey_robots = false\nworker = { jobs = 7 }\n", "utf-8")
    (shop.root / "spiders" / "new.py").write_text(
        (shop.root / "spiders" / "shelf.py").read_text("utf-8").replace('"shelf"', '"new"'), "utf-8"
    )
    one.send(signal.SIGHUP)
    assert (await one.says("settings read again"))["jobs"] == 7
    job = await shop.reaches(shop.add("new"), "finished")
    assert shop.items(job.id) == shop.all_of_it
    assert systemd.steps == ["READY=1", *["RELOADING=1", "READY=1"] * 2]


@pytest.mark.long
async def test_a_worker_prunes_the_runs_of_ended_jobs(shop, worker):
    one = worker()
    await one.start("--no-http", "--jobs", "2", SCRAPER_WORKER__KEEP_RUNS="1")
    for job in [shop.add() for _ in range(3)]:
        await shop.reaches(job, "finished")
    runs = shop.root / ".scrape" / "runs"
    await until(lambda: len([run for run in runs.iterdir() if not run.name.startswith(".")]) == 1)


@pytest.mark.long
async def test_a_crawl_that_blocks_does_not_outlive_a_killed_worker(shop, worker):
    shop.add("blocking")
    one = worker()
    await one.start("--no-http", "--grace", "0s")
    pid = (await one.says("process started"))["pid"]
    await one.says("printed")
    one.send(signal.SIGKILL)
    await until(lambda: not alive(pid))


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_a_thousand_jobs_leave_nothing_behind(shop, worker):
    """A job is one page. The figures are those of the worker before its first jobs and after its last."""
    one = worker()
    await one.start("--no-http", "--jobs", "4", SCRAPER_WORKER__KEEP_RUNS="20")
    await one.says("worker ready")
    for job in [shop.add("one") for _ in range(8)]:
        await shop.reaches(job, "finished")
    before, began = Held.by(one.pid), time.monotonic()
    jobs = [shop.add("one") for _ in range(MANY)]
    await until(lambda: shop.store.counts()["queued"] + shop.store.counts()["running"] == 0, patience=1_700)
    took = time.monotonic() - began
    await until(
        lambda: len(runs_of(shop)) <= 20 and len(list((shop.root / ".scrape" / "jobs").iterdir())) <= 20
    )
    after = Held.by(one.pid)
    print(f"\n{MANY} jobs in {took:.0f} s: {took / MANY:.2f} s a job\nbefore: {before}\nafter:  {after}")
    assert shop.store.counts() == dict.fromkeys(get_args(JobState), 0) | {
        "finished": min(MANY + 8, JOBS_KEPT)
    }
    assert all(shop.items(job) == {f'{{"url":"{shop.url}"}}': 1} for job in jobs)
    assert (after.processes, after.files) == (before.processes, before.files)
    assert after.memory < before.memory + 30_000_000


@dataclass(frozen=True)
class Held:
    """What a worker holds: the processes below it, its open files, its memory in bytes."""

    processes: int
    files: int
    memory: int

    @classmethod
    def by(cls, pid: int) -> "Held":
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
        return cls(
            len(below), len(list(Path(f"/proc/{pid}/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")
        )


def runs_of(shop) -> list[Path]:
    return [run for run in (shop.root / ".scrape" / "runs").iterdir() if not run.name.startswith(".")]
