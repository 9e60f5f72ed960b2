"""`scrape runs check` and `scrape export`: what is wrong with a run, and that what can be saved is saved."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import environment, on_shelf
from tests.cli.damage import database, leaves, overwrite, pages, root, statement
from tests.cli.said import listed, records, refused

pytestmark = pytest.mark.long

BOOKS = 1_000  # of the bundled shop


def checked(typed, run: str = "mine") -> dict[str, Any]:
    """What a check says; that it agrees with the exit code."""
    said = typed("runs", "check", run, "--json")
    told: dict[str, Any] = json.loads(said.stdout)
    assert (said.returncode, said.stderr) == (0 if told["sound"] else 1, "")
    return told


def wrong(told: dict[str, Any]) -> dict[str, str]:
    return {Path(one["about"]).name: one["says"] for one in told["findings"] if not one["right"]}


def scrape_in(project: Path, *typed: str) -> None:
    command = [sys.executable, "-m", "scraper", *typed]
    subprocess.run(command, cwd=project, env=environment(), stderr=subprocess.DEVNULL, check=False)


@pytest.fixture(scope="module")
def crawled_once(scaffold, tmp_path_factory) -> Path:
    """A project that has crawled a shelf (21 pages, one of them failed) as `mine`, and a shop as `shop`."""
    project = Path(shutil.copytree(scaffold, tmp_path_factory.mktemp("once") / "shop"))
    with on_shelf(project) as shelf:
        shelf.missing |= {"/3"}
        scrape_in(project, "crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    scrape_in(project, "crawl", "books", "-o", "books.jsonl", "--run", "shop")
    return project


@pytest.fixture
def crawled(crawled_once, project) -> Path:
    """This test's own, as if it had crawled here."""
    shutil.copytree(crawled_once, project, dirs_exist_ok=True)
    shutil.rmtree(project / ".scrape" / "feeds")
    for run in ("mine", "shop"):
        told = project / ".scrape" / "runs" / run / "run.json"
        told.write_text(told.read_text("utf-8").replace(str(crawled_once), str(project)), "utf-8")
        moved = f"UPDATE marks SET feed = replace(feed, '{crawled_once}', '{project}')"
        statement(project, run, moved)
    return project


# ── a sound one ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_sound_run_is_said_to_be_sound_thing_by_thing(typed, crawled):
    said = typed("runs", "check", "mine")
    *lines, verdict = said.stdout.splitlines()
    assert (said.returncode, verdict) == (0, "Run mine is sound.")
    assert all(line.startswith("✓ ") for line in lines)
    assert "✓ pages: 21 ended, 1 of them failed" in lines
    assert "✓ items: 20 can be read" in lines
    assert "✓ all.jsonl: holds the run's items up to number 20" in lines


@pytest.mark.parametrize("feed", ["all.json", "all.csv", "all.sqlite", "-"])
def test_every_kind_of_file_can_be_checked(typed, shelf, project, feed):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", feed, "--run", "mine")
    assert checked(typed)["sound"]


def test_a_run_that_stopped_in_its_middle_is_sound(typed, shelf):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "--max-pages", "9")
    told = checked(typed)
    assert (told["sound"], told["items_readable"], told["items_expected"]) == (True, 9, 9)


def test_a_run_whose_page_is_still_on_its_stage_is_sound(typed, project):
    (project / "spiders" / "many.py").write_text(MANY, "utf-8")
    typed("crawl", "many", "--run", "mine", "-s", "frontier.page_in_memory=100", "--max-pages", "1")
    told = checked(typed)
    assert told["sound"], told
    assert "on a stage" in json.dumps(told)


MANY = """
from scraper import Request, Spider
from scraper.demo import bookshop


class Many(Spider):
    name = "many"

    async def open(self):
        self.url = await self.enter(bookshop(self.state))

    async def start(self):
        yield Request(self.url)

    def parse(self, response):
        for n in range(20_000):
            yield {"n": n}
            yield Request(f"{self.url}?{n // 2}")
"""


def test_a_live_run_is_checked_as_of_its_last_commit_and_goes_on(started, typed, shelf, project):
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    shelf.wait_for("/7")
    told = checked(typed)
    shelf.release.set()
    assert crawl.wait(30) == 0
    assert told["advice"] == ["Run mine is sound; it is being worked on, and this is its last commit."]
    assert checked(typed)["advice"] == ["Run mine is sound."]


def test_a_run_that_was_killed_is_left_as_it_is(started, typed, shelf, project):
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    shelf.wait_for("/7")
    crawl.kill()
    crawl.wait()
    folder = project / ".scrape" / "runs" / "mine"
    before = {
        file.name: file.read_bytes() for file in folder.glob("frontier.db*") if file.suffix != ".db-shm"
    }
    assert checked(typed)["sound"]
    after = {file.name: file.read_bytes() for file in folder.glob("frontier.db*") if file.suffix != ".db-shm"}
    assert before == after
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_a_run_is_checked_where_there_is_room_for_its_copy(typed, crawled, monkeypatch):
    nothing = shutil.disk_usage("/")._replace(free=0)
    monkeypatch.setattr("shutil.disk_usage", lambda _: nothing)
    said = typed("runs", "check", "mine")
    assert said.returncode == 1
    assert said.stderr.startswith("scrape: A copy of run mine needs 0 MB, and neither ")
    assert "TMPDIR=/a/folder scrape runs check" in said.stderr


# ── what does not fit together ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "about", "says"),
    [
        ("DELETE FROM items WHERE seq IN (5, 6)", "items", "2 of 20 are missing"),
        ("DELETE FROM items WHERE seq = 20", "items", "1 of 20 are missing"),
        (
            "UPDATE items SET seq = 30 WHERE seq = 20",
            "items",
            "there are items after the last that was committed",
        ),
        ("UPDATE items SET json = X'7B' WHERE seq = 7", "items", "1 can't be understood"),
        ("DELETE FROM pages WHERE seq = 9", "pages", "19 pages are done, the counters say 20"),
        ("DELETE FROM dead", "pages", "1 failed pages have no dead letter"),
        ("UPDATE pages SET seq = 400 WHERE seq = 9", "duplicates", "1 of pages are unknown"),
        ("DELETE FROM recent", "duplicates", "0 identities are known"),
        (
            "UPDATE marks SET mark = json_set(CAST(mark AS TEXT), '$.seq', 99)",
            "marks",
            "is 99, after the last item",
        ),
        ("UPDATE marks SET mark = 'x'", "marks", "can't be understood"),
        ("DELETE FROM ledger", "ledger", "is empty"),
        (
            "INSERT INTO queue SELECT 'h:80', 0, seq, id, parent, 0, request FROM dead",
            "queue",
            "1 requests wait, 0 of them for their time; the ledger says 0; 1 requests can't be understood",
        ),
        (
            "INSERT INTO delivered VALUES (3, 'h:80', 0, 1, 0)",
            "queue",
            "1 that were on the wire are not in the queue",
        ),
        (
            "UPDATE ledger SET state = json_set(CAST(state AS TEXT), '$[5].done', 19)",
            "counters",
            "21 queued ≠ 19 done + 1 failed + 0 refused + 0 waiting",
        ),
        (
            "UPDATE ledger SET state = json_set(CAST(state AS TEXT), '$[5].requested', 99)",
            "counters",
            "99 requested ≠ 21 queued + 0 dropped",
        ),
        ("DROP TABLE attempts; DROP TABLE pages", "pages", "can't be read: no such table: pages"),
    ],
)
def test_what_contradicts_itself_is_told(typed, crawled, change, about, says):
    statement(crawled, "mine", *change.split("; "))
    told = checked(typed)
    assert says in wrong(told)[about]
    assert told["advice"][0].endswith("wrong with run mine.")
    assert not told["damaged"]


def test_a_contradiction_is_the_frameworks_mistake_and_its_items_can_be_saved(typed, crawled):
    statement(crawled, "mine", "DELETE FROM items WHERE seq IN (5, 6)")
    said = typed("runs", "check", "mine")
    assert said.stdout.splitlines()[-3:] == [
        "1 thing is wrong with run mine.",
        "The database is whole, but contradicts itself. 18 of 20 items can be read:"
        " `scrape export mine -o FILE` writes them.",
        "That is a mistake in the framework: please report it, with these lines.",
    ]


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def change(file: Path) -> None:
    octets = file.read_bytes()
    file.write_bytes(octets[:-20] + b"x" + octets[-19:])


def change_a_row(file: Path) -> None:
    with closing(sqlite3.connect(file)) as base, base:
        base.execute("UPDATE items SET url = 'x' WHERE rowid = 20")


@pytest.mark.parametrize(
    ("feed", "accident", "says"),
    [
        ("all.jsonl", Path.unlink, "is gone"),
        ("all.jsonl", cut, "is cut: "),
        ("all.jsonl", change, "is not what this run wrote"),
        ("all.csv", change, "is not what this run wrote"),
        ("all.sqlite", Path.unlink, "is gone"),
        ("all.sqlite", change_a_row, "is not what this run wrote"),
        ("all.sqlite", lambda file: file.write_bytes(b"x" * 9000), "is not what this run wrote, or damaged"),
    ],
)
def test_a_file_that_is_not_what_the_run_wrote_is_told_and_can_be_written_again(
    typed, shelf, project, feed, accident, says
):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", feed, "--run", "mine")
    accident(project / feed)
    told = checked(typed)
    assert set(wrong(told)) == {feed}
    assert says in wrong(told)[feed]
    assert told["advice"] == [
        "1 thing is wrong with run mine.",
        f"`scrape export mine -o …` writes {feed} again.",
    ]


def test_the_file_of_a_run_that_can_go_on_is_written_again_by_that(typed, shelf, project):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine", "--max-pages", "9")
    (project / "all.jsonl").unlink()
    assert checked(typed)["advice"][-1] == "`scrape resume mine` writes all.jsonl again."


def test_of_items_that_were_to_be_forgotten_no_file_can_be_written_again(typed, shelf, project):
    typed(
        "crawl",
        "shelf",
        "-a",
        f"url={shelf.url}",
        "-o",
        "all.jsonl",
        "--run",
        "mine",
        "-s",
        "feeds.keep_items=false",
    )
    assert checked(typed)["sound"]
    (project / "all.jsonl").unlink()
    assert checked(typed)["advice"][-1].startswith(
        "Of all.jsonl nothing can be written again: the run was told"
    )


def test_a_file_that_another_run_has_written_since_is_not_this_ones_fault(typed, shelf):
    for name in ("mine", "later"):
        typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", name)
    told = checked(typed)
    assert told["sound"]
    assert "belongs to run later now" in json.dumps(told)


# ── damage ───────────────────────────────────────────────────────────────────────────────────────────────


def promised(typed) -> int:
    """The items that a check of a damaged run says can be read."""
    told = checked(typed, "shop")
    assert (told["damaged"], told["sound"], told["items_expected"]) == (True, False, BOOKS)
    assert told["advice"][-1] == "A resume would meet the damage again: start a new run."
    return told["items_readable"]


def exported(typed, project) -> list[dict[str, Any]]:
    """What an export writes; that all of it is what the crawl wrote."""
    typed("export", "shop", "-o", "saved.jsonl")
    saved = (project / "saved.jsonl").read_text("utf-8").splitlines()
    written = (project / "books.jsonl").read_text("utf-8").splitlines()
    assert set(saved) <= set(written)
    assert len(set(saved)) == len(saved)
    return [json.loads(line) for line in saved]


def test_pages_of_items_that_can_not_be_read_take_only_themselves_along(typed, crawled):
    table = root(crawled, "shop", "items")
    with pages(crawled, "shop") as octets:
        below = leaves(octets, table)
        for page in (below[0], below[5], below[6], below[-1]):
            overwrite(octets, page)
    readable = promised(typed)
    assert BOOKS * 0.8 < readable < BOOKS
    assert len(exported(typed, crawled)) == readable


def test_a_database_whose_first_page_is_gone_gives_every_item(typed, crawled):
    with pages(crawled, "shop") as octets:
        overwrite(octets, 1)
    assert "can't be opened: file is not a database" in wrong(checked(typed, "shop"))["database"]
    assert promised(typed) == len(exported(typed, crawled)) == BOOKS


def test_a_database_that_lost_its_end_gives_what_is_left(typed, crawled):
    with pages(crawled, "shop") as octets:
        del octets[len(octets) // 2 :]
    readable = promised(typed)
    assert 100 < readable < BOOKS
    assert len(exported(typed, crawled)) == readable


def test_without_its_ledger_nobody_knows_how_many_there_were(typed, crawled):
    with pages(crawled, "shop") as octets:
        overwrite(octets, root(crawled, "shop", "ledger"))
    told = checked(typed, "shop")
    assert (told["items_readable"], told["items_expected"]) == (BOOKS, None)
    assert "1,000 items can be read: `scrape export shop -o FILE` writes them." in told["advice"][1]
    said = typed("export", "shop", "-o", "saved.jsonl")
    assert said.returncode == 1
    assert "The database of run shop is damaged: nobody knows whether these are all." in said.stderr


def test_where_the_table_of_items_has_lost_its_root_none_can_be_read(typed, crawled):
    with pages(crawled, "shop") as octets:
        overwrite(octets, root(crawled, "shop", "items"))
    assert promised(typed) == len(exported(typed, crawled)) == 0
    assert "None of 1,000 items can be read." in checked(typed, "shop")["advice"][1]


def test_a_file_that_is_no_database_at_all_is_said_to_be_none(typed, crawled):
    database(crawled, "mine").write_bytes(b"nothing of ours " * 1000)
    told = checked(typed)
    assert told["damaged"]
    assert told["items_readable"] == 0
    assert wrong(told)["all.jsonl"].endswith("what they should be can't be read. Keep them")


def test_other_commands_say_that_a_damaged_run_should_be_checked(typed, crawled):
    database(crawled, "mine").write_bytes(b"nothing of ours " * 1000)
    for words in ("failed mine", "why mine x"):
        said = typed(*words.split())
        assert (said.returncode, said.stdout) == (1, "")
        assert said.stderr == (
            "scrape: The database of run mine is damaged (file is not a database)."
            " `scrape runs check mine` says what can be saved.\n"
        )


# ── another format ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", ["runs check mine", "failed mine", "why mine x", "export mine -o x.jsonl"])
def test_a_run_of_another_format_is_for_the_version_that_wrote_it(typed, crawled, words):
    statement(crawled, "mine", "PRAGMA user_version = 99")
    assert refused(typed(*words.split())) == (
        "Run mine was written by another version of the framework (format 99, not 1): use that version to read it."
    )


def test_a_run_that_died_at_once_has_nothing_in_it(typed, crawled):
    database(crawled, "mine").write_bytes(b"")
    for end in ("-wal", "-shm"):
        database(crawled, "mine").with_name(f"frontier.db{end}").unlink(missing_ok=True)
    assert refused(typed("runs", "check", "mine")) == (
        "Run mine ended before its first commit: there is nothing in it."
    )
    assert {run["run"]: run["waiting"] for run in listed(typed, "runs")} == {"mine": None, "shop": 0}


# ── export ───────────────────────────────────────────────────────────────────────────────────────────────


def test_items_are_exported_without_crawling_again(typed, crawled):
    said = typed("export", "mine", "-o", "again.jsonl", "-o", "again.csv", "-o", "again.sqlite")
    assert (said.returncode, said.stderr.splitlines()) == (
        0,
        [f"Wrote 20 items to again.{ending}." for ending in ("jsonl", "csv", "sqlite")],
    )
    assert (crawled / "again.jsonl").read_bytes() == (crawled / "all.jsonl").read_bytes()
    assert len((crawled / "again.csv").read_text().splitlines()) == 21


def test_items_are_exported_to_standard_output(typed, crawled):
    said = typed("export", "mine", "-o", "-")
    assert said.stdout == (crawled / "all.jsonl").read_text()
    assert said.stderr == "Wrote 20 items to standard output.\n"


def test_what_a_live_run_has_so_far_can_be_exported(started, typed, shelf, project):
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    shelf.wait_for("/7")
    said = typed("export", "mine", "-o", "sofar.jsonl")
    own = typed("export", "mine", "-o", "all.jsonl")
    crawl.kill()
    crawl.wait()
    assert (said.returncode, len(records((project / "sofar.jsonl").read_text())) >= 1) == (0, True)
    assert "is being written by another crawl" in refused(own)


def test_an_item_that_does_not_fit_is_counted_and_the_exit_code_says_so(typed, crawled):
    statement(crawled, "mine", """UPDATE items SET json = CAST('{"other": 1}' AS BLOB) WHERE seq IN (3, 4)""")
    said = typed("export", "mine", "-o", "again.csv")
    assert said.returncode == 1
    assert said.stderr.splitlines()[0] == "Wrote 18 items to again.csv."
    assert said.stderr.splitlines()[1].startswith("2 did not fit: 'again.csv' has the columns 'url'")


def test_a_file_that_was_exported_is_not_cut_by_the_run_that_wrote_it_before(typed, shelf, project):
    words = ["crawl", "shelf", "-a", f"url={shelf.url}"]
    typed(*words, "-o", "all.jsonl", "--run", "first", "--max-pages", "9")
    typed(*words, "--run", "second")
    typed("export", "second", "-o", "all.jsonl")
    assert "all.jsonl has been written by run second since" in refused(typed("resume", "first"))
    assert len(records((project / "all.jsonl").read_text())) == 21


def test_a_run_that_forgot_its_items_has_none_to_export(typed, shelf):
    words = ["-o", "all.jsonl", "--run", "mine", "-s", "feeds.keep_items=false"]
    typed("crawl", "shelf", "-a", f"url={shelf.url}", *words)
    assert refused(typed("export", "mine", "-o", "again.jsonl")) == (
        "Run mine was told to forget its items (feeds.keep_items = false)."
    )
