"""However long the queue is, a statement of the crawl seeks what it wants: none reads a table from its top."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from scraper.frontiers import schema, seen
from scraper.frontiers.sqlite import SqliteFrontier
from scraper.protocols import Batch, Buried, Deferred, Refused
from tests.frontiers.fakes import Crawl, children, item, page

ONE_ROW_A_FEED = {"marks"}  # a table as long as there are -o
ONE_ROW_A_STAGE = {"stages"}  # pages of more than 10,000 outputs, in a row
ONE_ROW = {"ledger"}
SHORT = ONE_ROW | ONE_ROW_A_FEED | ONE_ROW_A_STAGE


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """What the frontier's own connection runs."""
    heard: list[str] = []

    class Heard(sqlite3.Connection):
        def __init__(self, *given, **named) -> None:
            super().__init__(*given, **named)
            self.set_trace_callback(heard.append)

    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    monkeypatch.setattr(
        schema.sqlite3, "connect", lambda path, **named: connect(path, **{"factory": Heard, **named})
    )
    return heard


async def everything_a_crawl_does(crawl: Crawl) -> None:
    """Every outcome, stages, delays, duplicates, marks and memory; enough identities for them to move on."""
    await crawl.seed(*children(range(20)), *children(["later"], not_before=crawl.time.at + 10))
    done, again, dead, refused, wide, failed, back, *_ = await crawl.lease(7)
    await crawl.frontier.stage(wide, [*children(f"s{n}" for n in range(3000)), item(1)])
    await crawl.frontier.stage(failed, children(["x"]))
    await crawl.frontier.give_back([back])
    await crawl.commit(
        page(done, children=children(["a", "0"]), items=[item(2)]),
        page(again, Deferred(crawl.time.at + 5, "why")),
        page(dead, Buried("why")),
        page(refused, Refused("why")),
        page(wide, staged=True),
        page(failed, Deferred(crawl.time.at, "why"), staged=True),
        marks={"feed": {"seq": 1}},
        changes={"owner": {"key": 1, "gone": None}},
    )
    await crawl.drain()
    crawl.time.at += 20
    await crawl.crawl_to_the_end()
    await crawl.frontier.items(0, 10)
    await crawl.frontier.commit(Batch(marks={"feed": {"seq": 2}}))


@pytest.mark.parametrize("life", ["first", "second"])
async def test_no_statement_of_a_crawl_reads_a_table_from_its_top(
    statements, monkeypatch, tmp_path: Path, clock, time, life
):
    monkeypatch.setattr(seen, "GENERATION", 100)
    path = tmp_path / "frontier.db"
    if life == "second":
        async with SqliteFrontier(path, clock, window=4, now=time) as frontier:
            crawl = Crawl(frontier, clock, time)
            await crawl.seed(*children(f"old{n}" for n in range(300)))
            await crawl.lease(3)  # out when the life ends: suspects of the next
    async with SqliteFrontier(path, clock, window=4, keep_items=False, now=time) as frontier:
        statements.clear()  # a life may begin with a look at all that it keeps in memory
        crawl = Crawl(frontier, clock, time)
        await crawl.crawl_to_the_end()
        await everything_a_crawl_does(crawl)
    touched = plans(path, statements)
    tables = {"queue", "delayed", "seen", "recent", "pages", "attempts", "dead", "items", "stages", "staged"}
    assert {table for table in tables if any(f" {table} " in f"{text} " for text in statements)} == tables
    assert {(text, step) for text, step in touched if scans(step)} == set()


def plans(path: Path, statements: list[str]) -> list[tuple[str, str]]:
    """Each different statement with each step of its plan."""
    asked = {text for text in statements if text.split()[0] in ("SELECT", "INSERT", "DELETE", "UPDATE")}
    with closing(sqlite3.connect(path)) as base:
        return [
            (text[:200], step) for text in asked for *_, step in base.execute(f"EXPLAIN QUERY PLAN {text}")
        ]


def scans(step: str) -> bool:
    words = step.split()
    return words[0] == "SCAN" and words[1] not in SHORT and words[1] != "CONSTANT"


def test_a_scan_is_told_from_a_seek(tmp_path: Path):
    schema.connect(tmp_path / "run.db").close()
    told = {
        text: any(scans(step) for _, step in plans(tmp_path / "run.db", [text]))
        for text in (
            "SELECT count(*) FROM queue",
            "SELECT min(lane) FROM queue WHERE lane > 'a'",
            "SELECT 1 FROM pages WHERE url = 'x'",
            "SELECT 1 FROM pages WHERE seq = 1",
            "DELETE FROM items WHERE seq <= 5",
        )
    }
    assert list(told.values()) == [True, False, True, False, False]
