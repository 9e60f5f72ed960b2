"""A crawl that ends early by itself keeps its word too."""

import asyncio
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import portalocker
import pytest

from scraper import Request, Response, Spider, committing
from scraper.errors import StorageError
from scraper.protocols import Incoming
from scraper.runs import Run, Runs
from scraper.testing import FakeClient, crawl
from tests.faults.shop import EVERYTHING, Shop

SITE = "https://long.example/"
MANY = 50


class Long(Spider):
    """A source that keeps its place: what it has yielded before, it does not yield again."""

    name = "long"

    async def start(self):
        for n in range(self.state.get("place", 0), MANY):
            yield Request(f"{SITE}{n}")
            self.state["place"] = n + 1
            if n == 0:
                await Down.asked.wait()
        Down.told.set()

    def parse(self, response: Response):
        yield {"n": int(response.url.removeprefix(SITE))}


class Down:
    """A database that is down: it says so when the source has come to its end."""

    asked: asyncio.Event
    told: asyncio.Event
    up = False

    async def process_item(self, item: Any, source: Any) -> Any:
        return item

    async def process_batch(self, items: Sequence[Any]) -> None:
        self.asked.set()
        await self.told.wait()
        if not self.up:
            raise ConnectionError("no database")


async def test_a_source_that_keeps_its_place_loses_no_seed_when_the_crawl_crashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The state is committed with the seeds that it knows of, or not at all."""
    monkeypatch.setattr(committing, "BATCH_ATTEMPTS", 1)
    monkeypatch.setattr(Down, "asked", asyncio.Event(), raising=False)
    monkeypatch.setattr(Down, "told", asyncio.Event(), raising=False)
    site = FakeClient({f"{SITE}{n}": "page" for n in range(MANY)})
    settings = {"pipelines": [f"{__name__}:Down"]}
    crashed = await crawl(Long, client=site, root=tmp_path, settings=settings)
    assert (crashed.result.state, crashed.items) == ("crashed", [])

    monkeypatch.setattr(Down, "up", True)
    run = Runs(tmp_path).get(crashed.result.run_id)
    resumed = await crawl(Long, client=site, root=tmp_path, settings=settings, resume=run)
    assert resumed.result.state == "finished"
    assert sorted(item["n"] for item in resumed.items) == list(range(MANY))


class Short(Long):
    async def start(self):
        yield Request(f"{SITE}0")


PAGE = {f"{SITE}0": "page"}


async def test_a_run_whose_end_can_not_be_written_down_is_resumed_and_ends(tmp_path: Path, monkeypatch):
    save = Run.save

    def fails_at_the_end(run: Run) -> None:
        if run.info.state == "finished":
            raise StorageError("The disk is full.")
        save(run)

    with monkeypatch.context() as patched:
        patched.setattr(Run, "save", fails_at_the_end)
        done = await crawl(Short, client=FakeClient(PAGE), root=tmp_path)
    assert (done.result.state, done.result.exit_code, done.result.resumable) == ("crashed", 1, True)
    assert done.result.reason == "The disk is full."
    resumed = await crawl(
        Short, client=FakeClient(PAGE), root=tmp_path, resume=Runs(tmp_path).get(done.result.run_id)
    )
    assert (resumed.result.state, resumed.items, resumed.urls) == ("finished", [{"n": 0}], [])


async def test_a_run_that_has_gone_can_not_be_resumed(tmp_path: Path):
    class Careless(Short):
        async def close(self, reason: str) -> None:
            shutil.rmtree(tmp_path / ".scrape")

    done = await crawl(Careless, client=FakeClient(PAGE), root=tmp_path)
    assert (done.result.state, done.result.exit_code, done.result.resumable) == ("crashed", 1, False)
    assert "frontier.db was removed or replaced" in done.result.reason
    assert done.items == [{"n": 0}]


async def test_a_lock_is_waited_for_once_however_many_pages_are_out(tmp_path: Path, monkeypatch):
    """Each wait holds up the whole crawl, Ctrl-C included."""
    refusals, waiting, all_wait = Refusals(), [], asyncio.Event()
    monkeypatch.setattr(sqlite3, "connect", refusals.connecting(sqlite3.connect))

    class Site(FakeClient):
        async def open(self, request: Request) -> Incoming:
            if request.url != f"{SITE}0":
                waiting.append(request)
                if len(waiting) == MANY - 1:
                    all_wait.set()
                return await asyncio.Future()
            await all_wait.wait()
            base = refusals.other = sqlite3.Connection(next(tmp_path.glob(".scrape/runs/*/frontier.db")))
            base.execute("BEGIN IMMEDIATE")
            return await super().open(request)

    class AtOnce(Short):
        async def start(self):
            for n in range(MANY):
                yield Request(f"{SITE}{n}")

    settings = {"per_host": MANY, "obey_robots": False}
    done = await crawl(AtOnce, client=Site(PAGE), root=tmp_path, settings=settings)
    refusals.other.close()
    assert "database is locked" in done.result.reason
    assert refusals.count <= 3


class Refusals:
    """How often a crawl's connections found the database locked; they do not wait."""

    other: sqlite3.Connection

    def __init__(self) -> None:
        self.count = 0

    def connecting(self, connect: Any) -> Any:
        refusals = self

        class Impatient(sqlite3.Connection):
            def execute(self, *statement: Any) -> sqlite3.Cursor:
                return refusals.counted(super().execute, statement)

            def executemany(self, *statement: Any) -> sqlite3.Cursor:
                return refusals.counted(super().executemany, statement)

        return lambda *args, **more: connect(*args, **{**more, "factory": Impatient, "timeout": 0})

    def counted(self, execute: Any, statement: tuple[Any, ...]) -> sqlite3.Cursor:
        try:
            return execute(*statement)
        except sqlite3.OperationalError:
            self.count += 1
            raise


class Stuck:
    """A part that can not be closed."""

    async def __aenter__(self) -> "Stuck":
        return self

    async def __aexit__(self, *_: object) -> None:
        raise ConnectionError("the last items were not taken")

    async def process_item(self, item: Any, source: Any) -> Any:
        return item


async def test_a_part_that_can_not_be_closed_is_a_crash(tmp_path: Path):
    """It may have kept items to itself until then."""
    done = await crawl(
        Short, client=FakeClient(PAGE), root=tmp_path, settings={"pipelines": [f"{__name__}:Stuck"]}
    )
    assert (done.result.state, done.result.exit_code) == ("crashed", 1)
    assert done.result.reason == "the last items were not taken"
    assert any(event["event"] == "the crawl could not be closed" for event in done.log)
    assert Runs(tmp_path).get(done.result.run_id).info.state == "crashed"


def test_a_crawl_that_was_refused_its_feed_leaves_the_other_one_its_own(shop: Shop):
    """Else the one that wrote it could not be resumed."""
    assert shop.type(*shop.crawl("-o", "all.jsonl", "--max-pages", "5")).code == 0
    with (shop.folder / "all.jsonl").open("ab") as held:
        portalocker.lock(held, portalocker.LOCK_EX | portalocker.LOCK_NB)
        refusal = shop.type("crawl", "buyer", "-a", f"url={shop.url}", "-o", "all.jsonl").refusal
    assert refusal.endswith("all.jsonl' is being written by another crawl, or by another feed of this one.")
    assert [run.name for run in shop.runs.iterdir()] == ["buyer"]
    assert shop.type("resume", "buyer").code == 0
    assert shop.titles() == EVERYTHING
