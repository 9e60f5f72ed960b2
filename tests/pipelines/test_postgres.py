"""PostgreSQL as the place where items go: one row each, whatever dies in between."""

import asyncio
import itertools
import json
import re
import runpy
import shutil
import signal
import sys
import tomllib
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from pipelines.postgres import Postgres
from scraper import Item, Request
from scraper.errors import UsageError
from scraper.frontiers.archive import Archive
from scraper.item import Source
from scraper.parts import build_all
from scraper.runs import Runs
from scraper.settings import Settings
from tests.faulty import FaultySite
from tests.pipelines.postgres_server import PostgresServer

REPOSITORY = Path(__file__).parents[2]
numbers = itertools.count()


@pytest.fixture(scope="module")
def server():
    with PostgresServer() as server:
        yield server


@pytest.fixture
def table(server):
    """A table of the test's own."""
    return f"items{next(numbers)}"


@pytest.fixture
async def pipeline(server, table):
    async with Postgres(server.dsn, table) as pipeline:
        yield pipeline


class Book(Item):
    title: str


def source(n: int) -> Source:
    return Source(n.to_bytes(16, "big"), f"https://shop.example/{n}", Request("https://shop.example/"))


async def test_an_item_is_a_row(server, table, pipeline):
    await pipeline.process_batch([(Book(title="Emma"), source(1)), ({"any": ["thing", None]}, source(2))])
    assert server.ask(f"SELECT kind, url, item FROM {table} ORDER BY item_id") == [
        ("Book", "https://shop.example/1", {"title": "Emma"}),
        ("dict", "https://shop.example/2", {"any": ["thing", None]}),
    ]


async def test_an_item_that_comes_again_is_the_same_row_with_its_new_values(server, table, pipeline):
    await pipeline.process_batch([(Book(title="Emma"), source(1)), (Book(title="Persuasion"), source(2))])
    await pipeline.process_batch([(Book(title="Emma, 2nd edition"), source(1))])
    titles = server.ask(f"SELECT item ->> 'title' FROM {table} ORDER BY item_id")
    assert titles == [("Emma, 2nd edition",), ("Persuasion",)]


async def test_yesterdays_table_is_taken_on(server, table, pipeline):
    await pipeline.process_batch([(Book(title="Emma"), source(1))])
    async with Postgres(server.dsn, f"public.{table}") as today:
        await today.process_batch([(Book(title="Persuasion"), source(2))])
    assert server.ask(f"SELECT count(*) FROM {table}") == [(2,)]


async def test_a_batch_is_written_whole_or_not_at_all(server, table, pipeline):
    server.ask(f"ALTER TABLE {table} ADD CHECK (item ->> 'title' <> 'bad')")
    with pytest.raises(psycopg.IntegrityError):
        await pipeline.process_batch([(Book(title="good"), source(1)), (Book(title="bad"), source(2))])
    assert server.ask(f"SELECT count(*) FROM {table}") == [(0,)]
    await pipeline.process_batch([(Book(title="good"), source(1))])
    assert server.ask(f"SELECT count(*) FROM {table}") == [(1,)]


async def test_a_connection_that_was_lost_is_made_again(server, table, pipeline):
    await pipeline.process_batch([(Book(title="Emma"), source(1))])
    server.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    batch = [(Book(title="Persuasion"), source(2))]
    with pytest.raises(psycopg.OperationalError):
        await pipeline.process_batch(batch)
    await pipeline.process_batch(batch)
    assert server.ask(f"SELECT count(*) FROM {table}") == [(2,)]


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\0b", "a\ufffdb"), ("\0\0", "\ufffd\ufffd"), ("\\u0000", "\\u0000"), ("\\\0", "\\\ufffd")],
)
async def test_a_nul_which_postgres_cannot_hold_is_replaced(server, table, pipeline, text, kept):
    await pipeline.process_batch([(Book(title=text), source(1))])
    assert server.ask(f"SELECT item ->> 'title' FROM {table}") == [(kept,)]


async def test_no_server_is_told_before_the_crawl(tmp_path):
    with pytest.raises(UsageError, match=r"pipelines/postgres\.py can't begin: .*No such file"):
        await Postgres(f"host={tmp_path} user=postgres").__aenter__()


def test_a_missing_driver_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UsageError, match=r"pip install 'psycopg\[binary\]'"):
        runpy.run_path(str(REPOSITORY / "pipelines" / "postgres.py"))


def test_the_line_that_the_manual_shows_makes_the_pipeline():
    places = (REPOSITORY / "docs" / "durability.md", REPOSITORY / "pipelines" / "postgres.py")
    lines = [re.search(r"^pipelines = .*", place.read_text("utf-8"), re.MULTILINE)[0] for place in places]
    assert lines[0] == lines[1]
    [made] = build_all(tomllib.loads(lines[0])["pipelines"], Settings(), {}, "pipelines")
    assert type(made).__name__ == "Postgres"


# ── a crawl that is killed when its items are in PostgreSQL and not yet committed ────────────────────────

KILLER = """
import os, signal
from pathlib import Path

class Killer:
    async def process_item(self, item, source):
        return item

    async def process_batch(self, items):
        batches = Path("batches")
        with batches.open("a") as file:
            file.write("one more\\n")
        if batches.read_text().count("one") in (1, 3):
            os.kill(os.getpid(), signal.SIGKILL)
"""
SPIDER = """
from scraper import Request, Spider

class Pages(Spider):
    name = "pages"
    url: str

    async def start(self):
        yield Request(self.url)

    def parse(self, response):
        yield {"url": response.url, "half": 1}
        yield {"url": response.url, "half": 2}
        yield from response.follow_all("a")
"""
SETTINGS = """
obey_robots = false
frontier.commit_pages = 7
pipelines = [{{ use = "pipelines.postgres:Postgres", dsn = "{dsn}", table = "{table}" }}, "pipelines.killer:Killer"]
"""


@pytest.fixture
def project(tmp_path, server, table) -> Path:
    shutil.copytree(REPOSITORY / "pipelines", tmp_path / "pipelines")
    (tmp_path / "pipelines" / "killer.py").write_text(KILLER)
    (tmp_path / "pages.py").write_text(SPIDER)
    (tmp_path / "settings.toml").write_text(SETTINGS.format(dsn=server.dsn, table=table))
    return tmp_path


async def scrape(*typed: str, at: Path) -> int:
    with (at / "log.txt").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "scraper", *typed, cwd=at, stdout=log, stderr=log
        )
        return await process.wait()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
async def test_a_crawl_killed_before_its_commit_has_each_item_once(project, server, table, site: FaultySite):
    start = f"{site.url}/links?n=40&prefix=/ok/"
    assert (
        await scrape(*f"run pages.py --run one -a url={start} -o all.jsonl".split(), at=project)
        == -signal.SIGKILL
    )
    [(written,)] = server.ask(f"SELECT count(*) FROM {table}")
    [run] = Runs(project).all()
    assert (written, await Archive(run.database).items(0, 100)) == (2, [])  # in PostgreSQL, not in the run
    ends = [await scrape("resume", "one", at=project) for _ in range(2)]
    assert ends == [-signal.SIGKILL, 0], (project / "log.txt").read_text()
    urls = [start, *(f"{site.url}/ok/{n}" for n in range(40))]
    rows = server.ask(f"SELECT item ->> 'url', (item ->> 'half')::int FROM {table}")
    assert Counter(rows) == Counter((url, half) for url in urls for half in (1, 2))
    fed = [json.loads(line) for line in (project / "all.jsonl").read_text().splitlines()]
    assert Counter((item["url"], item["half"]) for item in fed) == Counter(rows)
