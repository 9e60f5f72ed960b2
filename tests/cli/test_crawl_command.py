"""`scrape crawl`, `run` and `resume` as processes: what they write, how they end, and that nothing is lost."""

import csv
import json
import re
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scraper.runs import Run, Runs, State
from tests.cli.said import ended, records, refused
from tests.cli.shelf import PATIENCE
from tests.cli.terminal import on_a_terminal

ALL = 1_000  # books in the bundled shop; its catalogue has 50 pages more


def all_books(file: Path) -> bool:
    """Whether every book is there, and none twice."""
    urls = [book["url"] for book in records(file.read_text("utf-8"))]
    return (len(urls), len(set(urls))) == (ALL, ALL)


# ── where items go ───────────────────────────────────────────────────────────────────────────────────────


def test_the_first_crawl_brings_every_book(scrape, project):
    said = scrape("crawl", "books", "-o", "books.jsonl")
    books = records((project / "books.jsonl").read_text("utf-8"))
    assert (said.returncode, said.stdout) == (0, "")
    assert all_books(project / "books.jsonl")
    assert all(book["title"] and Decimal(book["price"]) > 0 and book["stock"] >= 0 for book in books)


def test_standard_output_holds_items_and_nothing_else(scrape):
    said = scrape("crawl", "books", "-o", "-", "--max-pages", "60")
    found = records(said.stdout)
    assert said.returncode == 0
    assert len(found) > 20
    assert {frozenset(book) for book in found} == {frozenset({"title", "price", "stock", "url"})}


def test_several_files_hold_the_same_items(typed, project):
    settings = project / "settings.toml"
    settings.write_text(
        settings.read_text("utf-8").replace("files = []", 'files = ["always.jsonl"]'), "utf-8"
    )
    files = ["-o", "a.jsonl", "-o", "b.json", "-o", "Book:c.csv", "-o", "Other:d.jsonl"]
    said = typed("crawl", "books", *files, "--max-pages", "40")
    lines = records((project / "a.jsonl").read_text("utf-8"))
    with (project / "c.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert said.returncode == 0
    assert records((project / "always.jsonl").read_text("utf-8")) == lines
    assert json.loads((project / "b.json").read_text("utf-8")) == lines
    assert rows == [{name: str(value) for name, value in book.items()} for book in lines]
    assert (project / "d.jsonl").read_text() == ""


def test_append_keeps_what_a_file_holds(typed, project):
    (project / "books.jsonl").write_text('{"title": "mine"}\n')
    typed("crawl", "books", "-o", "books.jsonl", "--append", "--max-pages", "5")
    titles = [book["title"] for book in records((project / "books.jsonl").read_text("utf-8"))]
    assert (titles[0], len(titles)) == ("mine", 5)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("books.xml", "'books.xml': a feed's ending says its format; use .jsonl, .ndjson, .json, .csv"),
        ("out/books.jsonl", "There is no folder '{project}/out' to write 'books.jsonl' in."),
        ("folder.jsonl", "'{project}/folder.jsonl' is a folder"),
        (
            "settings.toml/books.jsonl",
            "There is no folder '{project}/settings.toml' to write 'books.jsonl' in.",
        ),
    ],
)
def test_a_file_that_can_not_be_written_is_refused_before_the_crawl(typed, project, file, sentence):
    (project / "folder.jsonl").mkdir()
    assert refused(typed("crawl", "books", "-o", file)).startswith(sentence.format(project=project))
    assert not (project / ".scrape").exists()


@pytest.mark.parametrize(
    "mistake",
    [
        ["-s", "client=nope"],
        ["-s", 'pipelines=["pipelines.nope:Nope"]'],
        ["-s", 'pipelines=["pipelines.max_price:Nope"]'],
        ["-s", 'middlewares=["nope"]'],
        ["-o", "books.jsonl"],
    ],
)
def test_a_crawl_that_can_not_begin_leaves_files_and_runs_as_they_were(typed, project, mistake):
    (project / "books.jsonl").write_text('{"title": "mine"}\n')
    refused(typed("crawl", "books", "-o", "books.jsonl", *mistake))
    assert (project / "books.jsonl").read_text() == '{"title": "mine"}\n'
    assert not list((project / ".scrape").glob("runs/*"))


def test_a_reader_that_goes_away_is_no_traceback(started):
    crawl = started("crawl", "books", "-o", "-", "--log", "json")
    crawl.stdout.readline()
    crawl.stdout.close()
    log = crawl.stderr.read()
    assert crawl.wait(PATIENCE) == 1
    assert "Standard output was closed by the program that read it." in log
    assert "Traceback" not in log


# ── where it ends of itself ──────────────────────────────────────────────────────────────────────────────


def test_max_pages_are_exactly_so_many_and_resume_brings_the_rest(scrape, project):
    stopped = scrape("crawl", "books", "-o", "books.jsonl", "--max-pages", "10", "--log", "json")
    resumed = scrape("resume", "--log", "json")
    first, second = ended(stopped), ended(resumed)
    assert (stopped.returncode, first["state"], first["reason"]) == (0, "stopped", "max_pages")
    assert (first["done"], first["items"]) == (10, 9)
    assert (resumed.returncode, second["state"], second["run"]) == (0, "finished", first["run"])
    assert (second["done"], second["failed"], second["items"]) == (1050, 0, ALL)
    assert all_books(project / "books.jsonl")


def test_max_items_end_it_after_the_page_that_reaches_them(typed):
    event = ended(typed("crawl", "books", "--max-items", "5", "--log", "json"))
    assert (event["state"], event["reason"], event["items"]) == ("stopped", "max_items", 5)


def test_max_time_ends_it_though_a_page_hangs(typed, shelf):
    shelf.hold("/7")
    said = typed("crawl", "shelf", "-a", f"url={shelf.url}", "--max-time", "300ms", "--log", "json")
    assert (said.returncode, ended(said)["state"], ended(said)["reason"]) == (0, "stopped", "max_time")


def test_many_failed_pages_are_exit_code_1(typed, shelf):
    shelf.missing |= {"/3", "/4"}
    said = typed("crawl", "shelf", "-a", f"url={shelf.url}", "--log", "json")
    assert (said.returncode, ended(said)["state"]) == (1, "finished")
    assert ended(said)["failed_reasons"] == {"status 404": 2}


def test_a_spider_that_can_not_open_crashes_and_says_why(typed, project):
    spider = project / "spiders" / "books.py"
    spider.write_text(
        spider.read_text("utf-8").replace("self.url = await", "raise OSError('no shop')  #"), "utf-8"
    )
    said = typed("crawl", "books", "--log", "json")
    assert (said.returncode, ended(said)["state"], ended(said)["reason"]) == (1, "crashed", "no shop")


# ── what may happen to it ────────────────────────────────────────────────────────────────────────────────


def in_its_middle(started, *typed: str) -> subprocess.Popen[str]:
    """A crawl that has brought 300 books and can't go on for long: nobody reads its standard output."""
    crawl = started(*typed, stderr=subprocess.DEVNULL)
    for _ in range(300):
        assert crawl.stdout.readline()
    return crawl


def test_interrupted_once_it_ends_in_order_and_can_go_on(scrape, started, project):
    crawl = in_its_middle(started, "crawl", "books", "-o", "-", "-o", "books.jsonl")
    crawl.send_signal(signal.SIGINT)
    crawl.communicate(timeout=PATIENCE)
    kept = len(records((project / "books.jsonl").read_text("utf-8")))
    resumed = scrape("resume", "--log", "json")
    assert (crawl.returncode, 300 <= kept < ALL) == (130, True)
    assert (resumed.returncode, ended(resumed)["state"], ended(resumed)["done"]) == (0, "finished", 1050)
    assert all_books(project / "books.jsonl")


def test_terminated_it_ends_as_if_interrupted(started):
    crawl = in_its_middle(started, "crawl", "books", "-o", "-", "--run", "mine")
    crawl.terminate()
    crawl.communicate(timeout=PATIENCE)
    assert crawl.returncode == 130


def test_interrupted_twice_it_waits_for_nothing_and_can_go_on(scrape, started, shelf, project):
    shelf.hold("/7", "/8")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--log", "json")
    shelf.wait_for("/7")
    shelf.wait_for("/8")
    crawl.send_signal(signal.SIGINT)
    assert json.loads(crawl.stderr.readline())["event"] == "stopping"
    crawl.send_signal(signal.SIGINT)
    log = crawl.communicate(timeout=PATIENCE)[1]
    shelf.release.set()
    resumed = scrape("resume", "--log", "json")
    urls = [page["url"] for page in records((project / "all.jsonl").read_text())]
    assert (crawl.returncode, json.loads(log.splitlines()[-1])["state"]) == (130, "interrupted")
    assert (resumed.returncode, ended(resumed)["state"]) == (0, "finished")
    assert (len(urls), len(set(urls))) == (21, 21)


@pytest.mark.long
def test_killed_again_and_again_it_loses_nothing_and_brings_nothing_twice(scrape, started, project):
    crawl = in_its_middle(started, "crawl", "books", "-o", "-", "-o", "books.jsonl")
    crawl.kill()
    crawl.wait(PATIENCE)
    again = in_its_middle(started, "resume")
    again.kill()
    again.wait(PATIENCE)
    last = scrape("resume", "--log", "json")
    assert (crawl.returncode, again.returncode, last.returncode) == (-9, -9, 0)
    assert (ended(last)["state"], ended(last)["done"], ended(last)["items"]) == ("finished", 1050, ALL)
    assert all_books(project / "books.jsonl")


def test_a_live_run_is_not_resumed_by_another_process(typed, started, shelf, project):
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    shelf.wait_for("/7")
    assert refused(typed("resume")) == "Run mine is being worked on by another process."
    assert "is being written by another crawl" in refused(typed("crawl", "books", "-o", "all.jsonl"))
    shelf.release.set()
    crawl.communicate(timeout=PATIENCE)
    assert crawl.returncode == 0
    assert len(records((project / "all.jsonl").read_text())) == 21


# ── resume ───────────────────────────────────────────────────────────────────────────────────────────────


def another_run(project: Path, name: str, state: State) -> Run:
    """As a crawl leaves it that began now."""
    run = Runs(project).create("books", run_id=name)
    run.info = run.info.model_copy(update={"state": state})
    run.save()
    return run


@pytest.mark.parametrize("words", [["resume", "mine"], ["crawl", "books", "--resume", "--run", "mine"]])
def test_a_finished_run_has_nothing_to_resume(typed, project, words):
    another_run(project, "mine", "finished")
    assert refused(typed(*words)) == "Run mine is finished: there is nothing to resume."


def test_a_later_run_that_finished_does_not_hide_one_that_can_go_on(typed, project):
    first = another_run(project, "first", "interrupted")
    another_run(project, "second", "finished")
    with first.locked():
        assert refused(typed("resume")) == "Run first is being worked on by another process."


def test_a_resume_may_change_the_speed_but_not_what_is_crawled(typed, project):
    another_run(project, "mine", "stopped")
    sentence = refused(typed("resume", "-s", "user_agent=me"))
    assert sentence.startswith("A resume keeps the run's 'user_agent'; -s may change: ")
    assert " concurrency, delay, " in sentence


def test_crawl_with_resume_is_the_same_and_writes_a_deleted_file_again(typed, shelf, project):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine", "--max-pages", "9")
    (project / "all.jsonl").unlink()
    resumed = typed("crawl", "shelf", "--resume", "--log", "json")
    assert (resumed.returncode, ended(resumed)["run"], ended(resumed)["state"]) == (0, "mine", "finished")
    assert len({page["url"] for page in records((project / "all.jsonl").read_text())}) == 21


def test_a_file_that_another_run_has_written_since_is_left_alone(typed, shelf, project):
    file = project / "all.jsonl"
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", file, "--max-pages", "9", "--run", "first")
    Runs(project).claim_feed(file, another_run(project, "second", "finished"))
    file.write_text("theirs\n")
    assert refused(typed("resume", "first")).startswith(f"{file} has been written by run second since")
    assert file.read_text() == "theirs\n"


# ── a single file ────────────────────────────────────────────────────────────────────────────────────────


def test_a_single_file_needs_no_project(typed, shelf, project, tmp_path):
    spider = (project / "spiders" / "shelf.py").read_text().replace('    name = "shelf"\n', "")
    (tmp_path / "alone.py").write_text(spider)
    arguments = ["-a", f"url={shelf.url}", "-o", "all.jsonl", "--log", "json"]
    said = typed("run", "alone.py", *arguments, "--max-pages", "9", at=tmp_path)
    resumed = typed("resume", "--log", "json", at=tmp_path)
    assert (said.returncode, ended(said)["run"].partition("-")[0]) == (0, "alone")
    assert (resumed.returncode, ended(resumed)["done"]) == (0, 21)
    assert len(records((tmp_path / "all.jsonl").read_text())) == 21


# ── what it says meanwhile ───────────────────────────────────────────────────────────────────────────────


TALKING = """
        if response.url.endswith("/4"):
            password = "hunter2"
            logging.getLogger("a_library").warning("careful")
            raise ValueError(f"{len(password)} letters")
"""


def talk(typed, shelf, project) -> list[dict[str, Any]]:
    """The JSON log of a crawl with a page that is missing and one whose callback logs and raises."""
    shelf.missing |= {"/3"}
    spider = project / "spiders" / "shelf.py"
    spider.write_text(f"import logging\n{spider.read_text()}{TALKING}")
    said = typed("crawl", "shelf", "-a", f"url={shelf.url}", "--log", "json", "-s", "log_level=debug")
    return records(said.stderr)


def test_every_line_of_a_json_log_is_json_those_of_libraries_too(typed, shelf, project):
    events = {event["event"]: event for event in talk(typed, shelf, project)}
    assert {"page failed", "callback raised", "careful", "crawl ended"} <= events.keys()
    assert all({"level", "timestamp"} <= event.keys() for event in events.values())
    assert events["page failed"]["run"] == events["crawl ended"]["run"]


def test_a_traceback_in_a_json_log_tells_where_but_no_values(typed, shelf, project):
    events = {event["event"]: json.dumps(event) for event in talk(typed, shelf, project)}
    assert "7 letters" in events["callback raised"]
    assert "shelf.py" in events["callback raised"]
    assert "hunter2" not in "".join(events.values())


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix")
def test_a_person_sees_the_crawl_live_and_a_summary_at_its_end(started, shelf):
    shelf.hold("/7")
    crawl, terminal = on_a_terminal(
        started, "crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "-o", "all.jsonl"
    )
    terminal.read_until(r"done +20\b[\s\S]*in flight +1\b")
    live = terminal.shown
    shelf.release.set()
    terminal.read_to_the_end()
    summary = terminal.shown.removeprefix(live)
    assert crawl.wait(PATIENCE) == 0
    assert "shelf · mine" in live
    assert re.search(r"mine +finished", summary)
    assert re.search(r"pages done +21", summary)
    assert re.search(r"items +21 +in .*all\.jsonl", summary)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix")
def test_a_person_who_interrupts_is_told_how_to_stop_at_once_and_how_to_go_on(started, shelf):
    shelf.hold("/7")
    crawl, terminal = on_a_terminal(started, "crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    shelf.wait_for("/7")
    terminal.read_until("in flight")
    crawl.send_signal(signal.SIGINT)
    terminal.read_until("press Ctrl-C again to stop at once")
    crawl.send_signal(signal.SIGINT)
    terminal.read_to_the_end()
    assert crawl.wait(PATIENCE) == 130
    assert re.search(r"mine +interrupted +\(exit code 130\)", terminal.shown)
    assert re.search(r"To go on: +scrape resume mine", terminal.shown)
