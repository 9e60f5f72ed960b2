"""Storage that fails: a sentence and an exit code, and a resume that loses nothing."""

import json
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from scraper.version import __version__
from tests.faults.market import Market
from tests.faults.shop import EVERYTHING, RUN, Said, Shop

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform == "win32", reason="the nursery forks")]

FEED = "all.jsonl"


def check_resumed(shop: Shop) -> None:
    """Nothing is lost, nothing comes twice."""
    resumed = shop.type("resume", RUN)
    assert resumed.code == 0, resumed.text
    assert shop.titles() == EVERYTHING


def test_an_undisturbed_crawl_brings_everything(shop: Shop):
    assert shop.type(*shop.crawl("-o", FEED)).code == 0
    assert shop.titles() == EVERYTHING


# ── a full disk ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_the_feeds_disk_is_full(shop: Shop):
    (shop.folder / FEED).symlink_to("/dev/full")
    assert shop.type(*shop.crawl("-o", FEED)).crash.endswith(
        f"{FEED}' can't be written: No space left on device."
    )
    (shop.folder / FEED).unlink()
    check_resumed(shop)


def test_the_feed_can_not_grow(shop: Shop):
    old = b'{"title": "old"}\n' * 100_000
    (shop.folder / FEED).write_bytes(old)
    words = shop.crawl("-o", FEED, "--append")
    assert (
        f"{FEED}' can't be written: File too large."
        in shop.type(*words, files_no_larger_than=len(old) + 999).crash
    )
    assert shop.type("resume", RUN).code == 0
    assert shop.titles() == EVERYTHING | {"old": 100_000}


@pytest.mark.parametrize(
    ("hindered", "why"),
    [
        ({"files_no_larger_than": 150_000}, "disk I/O error"),  # as the log grows
        ({"files_no_larger_than": 20_000}, "disk I/O error"),  # as it is made
    ],
)
def test_the_runs_disk_is_full(shop: Shop, hindered: dict[str, int], why: str):
    said = shop.type(*shop.crawl("-o", FEED), **hindered).crash
    assert f"frontier.db can't be used: {why}. What was committed is safe; put it right and resume." in said
    check_resumed(shop)


def test_the_runs_disk_is_full_when_it_is_resumed(shop: Shop):
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "5")).code == 0
    said = shop.type("resume", RUN, databases_no_larger_than=1).crash  # than they are
    assert "frontier.db can't be used: database or disk is full." in said
    check_resumed(shop)


def test_a_disk_that_stays_full_makes_no_page_a_suspect(shop: Shop):
    """Nothing has killed the process: however often it is tried, every page is fetched in the end."""
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "1")).code == 0
    for _ in range(4):
        assert "is full" in shop.type("resume", RUN, databases_no_larger_than=1).crash
    check_resumed(shop)


def test_a_disk_without_room_for_a_run_is_left_as_it_was(shop: Shop):
    refusal = shop.type(*shop.crawl("-o", FEED), files_no_larger_than=1_000).refusal
    assert refusal == f"The folder {shop.runs} can't be written: File too large."
    assert list(shop.runs.iterdir()) == []
    assert not (shop.folder / FEED).exists()


# ── what may only be read ────────────────────────────────────────────────────────────────────────────────


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & 0o555)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_project_that_may_only_be_read(shop: Shop):
    with read_only(shop.folder):
        refusal = shop.type(*shop.crawl(), obeys_modes=True).refusal
    assert refusal == f"The folder {shop.runs} can't be written: Permission denied."
    assert shop.type(*shop.crawl("-o", FEED)).code == 0


def test_a_run_that_may_only_be_read(shop: Shop):
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "5")).code == 0
    with read_only(shop.run):
        said = shop.type("resume", RUN, obeys_modes=True)
    assert said.code in (1, 2)
    assert re.fullmatch(rf"scrape: The .*{shop.run}.* can't be .*\n", said.text)
    check_resumed(shop)


def test_a_feed_in_a_folder_that_may_only_be_read(shop: Shop):
    out = shop.folder / "out"
    out.mkdir()
    with read_only(out):
        refusal = shop.type(*shop.crawl("-o", f"out/{FEED}"), obeys_modes=True).refusal
    assert refusal == f"'{out / FEED}' can't be written: Permission denied."
    assert not shop.runs.exists()


def test_a_feed_that_may_only_be_read(shop: Shop):
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "5")).code == 0
    with read_only(shop.folder / FEED):
        refusal = shop.type("resume", RUN, obeys_modes=True).refusal
    assert refusal == f"'{shop.folder / FEED}' can't be written: Permission denied."
    check_resumed(shop)


# ── a database that another process has locked ───────────────────────────────────────────────────────────


@contextmanager
def locked(shop: Shop) -> Iterator[None]:
    with closing(sqlite3.connect(shop.run / "frontier.db", isolation_level=None)) as base:
        base.execute("BEGIN IMMEDIATE")
        yield
        base.execute("ROLLBACK")


@contextmanager
def half_way(shop: Shop, market: Market, *more: str, **hindered: float) -> Iterator[list[Said]]:
    """Inside, a crawl waits for its last pages; what it said in the end is put into the list."""
    said: list[Said] = []
    crawl = shop.url.rpartition("/")[2]
    with market.holding("stall/7", "crate/13"):
        shop.begin(*shop.crawl("-o", FEED, *more), **hindered)
        market.wait_for(f"/{crawl}/stall/7")
        market.wait_for(f"/{crawl}/crate/13")
        yield said
    said.append(shop.end())


def test_a_database_that_is_locked_for_too_long(shop: Shop, market: Market):
    with half_way(shop, market, waits_for_locks=0.1) as said:
        base = sqlite3.connect(shop.run / "frontier.db", isolation_level=None)
        base.execute("BEGIN IMMEDIATE")
    base.close()
    assert "frontier.db can't be used: database is locked." in said[0].crash
    check_resumed(shop)


def test_a_database_that_is_locked_when_its_run_is_resumed(shop: Shop):
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "5")).code == 0
    with locked(shop):
        assert "database is locked" in shop.type("resume", RUN, waits_for_locks=0.1).crash
    check_resumed(shop)


# ── what somebody does to a feed under the crawl ─────────────────────────────────────────────────────────


def remove(feed: Path) -> None:
    feed.unlink()


def move(feed: Path) -> None:
    feed.rename(feed.with_suffix(".old"))


def replace(feed: Path) -> None:
    other = feed.with_suffix(".new")
    other.write_text('{"title": "other"}\n' * 5_000)
    other.replace(feed)


def empty(feed: Path) -> None:
    os.truncate(feed, 0)


def cut(feed: Path) -> None:
    os.truncate(feed, feed.stat().st_size - 1)


def extend(feed: Path) -> None:
    with feed.open("ab") as file:
        file.write(b'{"title": "other"}\n')


@pytest.mark.parametrize(
    ("tamper", "how"),
    [
        (remove, "removed"),
        (move, "removed"),
        (replace, "replaced"),
        (empty, "cut"),
        (cut, "cut"),
        (extend, "cut or extended by another program"),
    ],
)
def test_a_feed_that_somebody_meddles_with_under_the_crawl(shop: Shop, market: Market, tamper, how: str):
    with half_way(shop, market) as said:
        tamper(shop.folder / FEED)
    assert f"{FEED}' was {how}" in said[0].crash
    assert said[0].crash.endswith("while it was written. A resume writes it anew.")
    check_resumed(shop)


def test_a_feed_that_is_gone_though_the_run_has_forgotten_its_items(shop: Shop, market: Market):
    with half_way(shop, market, "-s", "feeds.keep_items=false") as said:
        (shop.folder / FEED).rename(shop.folder / "moved")
    assert f"{FEED}' was removed" in said[0].crash
    refusal = shop.type("resume", RUN).refusal
    assert refusal.endswith("(feeds.keep_items = false): put the file back as it was, and resume.")
    (shop.folder / "moved").rename(shop.folder / FEED)
    check_resumed(shop)


# ── the run's own folder ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gone", [".scrape", f".scrape/runs/{RUN}", f".scrape/runs/{RUN}/frontier.db"])
def test_a_run_that_is_deleted_under_its_crawl(shop: Shop, market: Market, gone: str):
    with half_way(shop, market) as said:
        path = shop.folder / gone
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "frontier.db was removed or replaced while the crawl was at work" in said[0].crash
    assert shop.titles() <= EVERYTHING
    shutil.rmtree(shop.folder / ".scrape", ignore_errors=True)
    assert shop.type(*shop.crawl("-o", FEED)).code == 0
    assert shop.titles() == EVERYTHING


@pytest.mark.parametrize("text", ["", "{", '{"id": "buyer"}', "\0" * 300])
def test_a_run_whose_notes_are_damaged(shop: Shop, text: str):
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "5")).code == 0
    (shop.run / "run.json").write_text(text)
    refusal = shop.type("resume", RUN).refusal
    assert refusal.startswith(f"{shop.run / 'run.json'} is damaged (")
    assert refusal.endswith("Put the file back from a backup, or start a new run.")


# ── another machine's disk ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mounts(shop: Shop, tmp_path: Path) -> str:
    """What Linux says when the project lies on NFS, and nothing else does."""
    file = tmp_path / "mountinfo"
    file.write_text(
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        f"40 22 0:41 / {shop.folder} rw,relatime shared:9 master:2 - nfs4 server:/export rw,vers=4.2\n"
    )
    return str(file)


def test_a_project_on_a_network_file_system(shop: Shop, mounts: str, tmp_path: Path):
    refusal = shop.type(*shop.crawl("-o", FEED), has_mounts=mounts).refusal
    assert f"{shop.runs} is on a network file system (nfs4 at {shop.folder})" in refusal
    assert f"Make {shop.folder / '.scrape'} a link to a folder on a local disk" in refusal
    assert sorted(path.name for path in shop.folder.iterdir()) == ["settings.toml", "spiders"]

    local = tmp_path / "local"
    local.mkdir()
    (shop.folder / ".scrape").symlink_to(local)
    assert shop.type(*shop.crawl("-o", FEED), has_mounts=mounts).code == 0
    assert shop.titles() == EVERYTHING


def test_a_run_on_a_network_file_system(shop: Shop, mounts: str):
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "5")).code == 0
    assert "network file system (nfs4" in shop.type("resume", RUN, has_mounts=mounts).refusal
    check_resumed(shop)


def test_a_run_in_memory_needs_no_local_disk(shop: Shop, mounts: str):
    assert shop.type(*shop.crawl("-o", FEED, "-s", "frontier=memory"), has_mounts=mounts).code == 0
    assert shop.titles() == EVERYTHING


# ── another version ──────────────────────────────────────────────────────────────────────────────────────


def begun_by_another_version(shop: Shop) -> None:
    assert shop.type(*shop.crawl("-o", FEED, "--max-pages", "5")).code == 0
    file = shop.run / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"version": "0.0.9"}))


def test_a_run_of_another_format_is_refused_with_both_versions(shop: Shop):
    begun_by_another_version(shop)
    with closing(sqlite3.connect(shop.run / "frontier.db")) as base:
        base.execute("PRAGMA user_version = 99")
    refusal = shop.type("resume", RUN).refusal
    assert "0.0.9 (format 99)" in refusal
    assert f"{__version__} (format " in refusal
    assert "Resume it with 0.0.9, or start a new run." in refusal


def test_a_run_of_another_version_with_the_same_format_goes_on_and_says_so(shop: Shop):
    begun_by_another_version(shop)
    said = shop.type("resume", RUN)
    assert said.code == 0, said.text
    assert '"began": "0.0.9"' in said.text
    assert shop.titles() == EVERYTHING
