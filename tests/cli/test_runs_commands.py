"""`scrape runs` and `scrape stats`: what ran and how it stands, for a person and for the next program."""

import re
import time

import pytest

from scraper.runs import Runs
from tests.cli.damage import no_database
from tests.cli.said import listed, refused


def test_a_project_that_has_run_nothing_has_no_runs(typed):
    assert listed(typed, "runs") == []
    assert refused(typed("stats")) == "There is no run in this project yet: `scrape crawl NAME` makes one."


def test_runs_are_listed_with_how_they_stand(started, typed, shelf):
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    shelf.wait_for("/7")
    (live,) = listed(typed, "runs")
    crawl.kill()
    crawl.wait()
    (killed,) = listed(typed, "runs")
    assert (live["run"], live["state"], killed["state"]) == ("mine", "running", "crashed")
    assert (live["ended"], live["resumable"], killed["resumable"]) == (None, False, True)
    assert killed["started"] <= killed["ended"] <= time.time()
    assert re.search(r"mine +crashed +\d+ +0 +\d+", typed("runs").stdout)


def test_a_run_that_has_ended_says_when_and_what_it_takes(typed, shelf, project):
    shelf.missing |= {"/3"}
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "--max-pages", "9")
    (run,) = listed(typed, "runs")
    folder = project / ".scrape" / "runs" / "mine"
    assert run["pages"] + run["failed"] + run["waiting"] == 21
    assert (run["state"], run["reason"], run["resumable"]) == ("stopped", "max_pages", True)
    assert run["bytes"] == sum(file.stat().st_size for file in folder.iterdir())
    assert run["seconds"] == pytest.approx(run["ended"] - run["started"], abs=0.01)
    titles, line = typed("runs").stdout.splitlines()
    assert titles.split() == [
        "run",
        "state",
        "pages",
        "failed",
        "items",
        "waiting",
        "started",
        "took",
        "size",
    ]
    assert re.search(rf"mine +stopped +{run['pages']} +{run['failed']} .* MB$", line)


def test_a_run_put_back_into_work_is_no_longer_what_it_was(started, typed, shelf):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "--max-pages", "3")
    shelf.hold("/20")
    crawl = started("resume", "mine")
    shelf.wait_for("/20")
    (live,) = listed(typed, "runs")
    crawl.kill()
    crawl.wait()
    assert (live["state"], live["reason"], live["ended"]) == ("running", "", None)
    assert re.search(r"^mine +crashed *$", typed("stats", "mine").stdout, re.MULTILINE)


def test_a_damaged_run_keeps_nobody_from_the_others(typed, shelf, project):
    for name in ("good", "bad"):
        typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", name)
    no_database(project, "bad")
    bad, good = listed(typed, "runs")
    said = typed("stats", "bad")
    assert (good["run"], good["problem"], good["waiting"]) == ("good", "", 0)
    assert (bad["run"], bad["pages"], bad["waiting"]) == ("bad", 21, None)
    assert bad["problem"].startswith("The database of run bad is damaged (file is not a database).")
    assert re.search(r"bad +damaged +21 ", typed("runs").stdout)
    assert (said.returncode, said.stderr.strip()) == (0, bad["problem"])


# ── which run is meant ───────────────────────────────────────────────────────────────────────────────────


def test_the_beginning_of_a_name_will_do_while_it_is_one_runs(typed, project):
    for name in ("nightly-1", "nightly-2", "weekly", "week"):
        Runs(project).create("books", run_id=name, settings={"frontier": {"kind": "memory"}})
    assert listed(typed, "stats", "weekl")["run"] == "weekly"
    assert listed(typed, "stats", "week")["run"] == "week"
    sentence = refused(typed("stats", "nightly"))
    assert sentence.startswith("2 runs begin with 'nightly': nightly-2, nightly-1. Write more of the name.")


def test_without_a_name_the_latest_is_meant(typed, project):
    for name in ("first", "second"):
        Runs(project).create("books", run_id=name)
    assert listed(typed, "stats")["run"] == "second"


@pytest.mark.parametrize(
    "words",
    ["failed mine", "retry mine", "export mine -o x.jsonl", "why mine x", "stats mine", "runs check mine"],
)
def test_commands_about_a_run_that_is_not_there(typed, words):
    assert refused(typed(*words.split())) == "There is no run 'mine' in this project. The latest: none."


@pytest.mark.parametrize("words", ["failed mine", "export mine -o x.jsonl", "why mine x", "runs check mine"])
def test_a_run_in_memory_has_left_nothing_to_look_into(typed, shelf, words):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "-s", "frontier=memory")
    assert refused(typed(*words.split())) == "Run mine was in memory: nothing of it was kept."
    assert listed(typed, "stats", "mine")["done"] == 21


# ── the figures of one ───────────────────────────────────────────────────────────────────────────────────


def test_the_figures_of_a_run_are_shown_again(typed, shelf):
    shelf.missing |= {"/3"}
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    figures = listed(typed, "stats", "mine")
    shown = typed("stats", "mine").stdout
    assert (figures["state"], figures["done"], figures["failed_reasons"]) == (
        "finished",
        20,
        {"status 404": 1},
    )
    assert (figures["waiting"], figures["counters"]["status/200"]) == (0, 20)
    assert re.search(r"pages done +20\b", shown)
    assert re.search(r"failed +1 +1 status 404 \(4\.8% of the pages\)", shown)
    assert re.search(r"items +20 +in .*all\.jsonl", shown)
    assert re.search(r"What failed: +scrape failed mine", shown)


def test_the_figures_of_a_crawl_that_goes_on_are_those_of_its_last_commit(started, typed, shelf):
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    shelf.wait_for("/7")
    figures = listed(typed, "stats", "mine")
    shown = typed("stats", "mine").stdout
    crawl.kill()
    crawl.wait()
    assert (figures["state"], figures["ended"]) == ("running", None)
    assert figures["done"] + figures["waiting"] == 21
    assert re.search(r"took .* – now\b", shown)
    assert "To go on" not in shown
