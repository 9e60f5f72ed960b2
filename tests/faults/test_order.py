"""What reaches the disk before what: a mark never says more than is there."""

import os
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

import orjson
import pytest

from scraper.crawler import Crawler
from scraper.runs import Run
from scraper.sinks import append_file
from tests.faults.life import RUN, an_order

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SYNCED, FOLDER, COMMITTED, SAID = "synced", "folder synced", "committed", "said"


class Order:
    """What happened, in the order in which it had happened: (what, of which file, details)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, Any]] = []
        self._lock = threading.Lock()
        self._uncommitted: dict[str, Any] = {}

    def note(self, what: str, name: str, details: Any = None) -> None:
        with self._lock:
            self.events.append((what, name, details))

    def around(self, sync: Any) -> Any:
        def noted(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            size = path.stat().st_size
            sync(descriptor)
            self.note(FOLDER if path.is_dir() else SYNCED, str(path), size)

        return noted

    def of_statements(self, base: Any, sql: str, values: tuple[Any, ...]) -> None:
        """Before it runs: nothing may be missing when a COMMIT begins."""
        if "INTO marks" in sql:
            self._uncommitted[values[0]] = orjson.loads(values[1])
        elif sql == "COMMIT":
            self.note(COMMITTED, "marks", self._uncommitted)
            self._uncommitted = {}

    def before(self, event: int, what: str, name: str) -> list[Any]:
        return [details for kind, of, details in self.events[:event] if (kind, of) == (what, name)]


@pytest.fixture
def order(monkeypatch) -> Order:
    order = Order()

    class Noting(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            order.of_statements(self, sql, *values or ((),))
            return super().execute(sql, *values)

    connect, save = sqlite3.connect, Run.save

    def saved(run: Run) -> None:
        save(run)
        order.note(SAID, run.info.state)

    for name in ("fsync", "fdatasync"):
        if hasattr(os, name):
            monkeypatch.setattr(os, name, order.around(getattr(os, name)))
    monkeypatch.setattr(append_file, "_fdatasync", getattr(os, "fdatasync", os.fsync))
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **more: connect(*args, **{**more, "factory": Noting})
    )
    monkeypatch.setattr(Run, "save", saved)
    return order


async def crawled(root: Path, url: str, **limits: Any) -> str:
    order = an_order(root, url, "feeds.sync=0")
    for name, value in limits.items():
        object.__setattr__(order, name, value)
    return (await Crawler(order).run()).state


def file_of(feed: str, root: Path) -> Path:
    own = root / ".scrape" / "runs" / RUN / "rejected.jsonl"
    return own if feed == "!rejected" else Path(feed.rpartition(":")[2])


async def test_what_a_mark_covers_is_on_the_disk_before_the_mark_is_committed(order, market, tmp_path):
    assert await crawled(tmp_path, market.url("order"), max_pages=9) == "stopped"
    assert await crawled(tmp_path, market.url("order")) == "finished"
    checked = 0
    for n, (what, _, marks) in enumerate(order.events):
        for feed, mark in marks.items() if what == COMMITTED else ():
            if "offset" in mark["sink"]:
                file = str(file_of(feed, tmp_path))
                covered = mark["sink"]["offset"]
                assert max(order.before(n, SYNCED, file), default=-1) >= covered, (feed, mark)
                assert order.before(n, FOLDER, str(Path(file).parent)), feed
                checked += covered > 0
    assert checked > 5


async def test_a_run_is_called_finished_when_everything_is_on_the_disk(order, market, tmp_path):
    """Somebody who reads the database keeps SQLite from putting the log into it at the end."""
    assert await crawled(tmp_path, market.url("end"), max_pages=9) == "stopped"
    database = tmp_path / ".scrape" / "runs" / RUN / "frontier.db"
    reader = sqlite3.connect(database)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM ledger").fetchone()
    try:
        assert await crawled(tmp_path, market.url("end")) == "finished"
        end = next(n for n, (what, name, _) in enumerate(order.events) if (what, name) == (SAID, "finished"))
        last_commit = max(n for n, (what, *_) in enumerate(order.events[:end]) if what == COMMITTED)
        assert (SYNCED, f"{database}-wal") in [event[:2] for event in order.events[last_commit:end]]
        for feed in (tmp_path / "all.jsonl", tmp_path / "all.json", tmp_path / "stalls.csv"):
            assert max(order.before(end, SYNCED, str(feed))) == feed.stat().st_size
    finally:
        reader.close()
