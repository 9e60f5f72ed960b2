"""The report says how a crawl ended, in figures and in what to do next."""

import io
import json
import time
from pathlib import Path

import pytest
from rich.console import Console

from scraper.cli.figures import time_span
from scraper.cli.report import summary, summary_event
from scraper.crawler import Result

RUN = "books-20251122-231500"
COUNTERS = {
    "requested": 17589,
    "queued": 12355,
    "done": 12345,
    "failed": 812,
    "failed/status 404": 700,
    "failed/read timeout": 100,
    "failed/body too large": 6,
    "failed/TLS failed": 3,
    "failed/connection lost": 2,
    "failed/network error": 1,
    "retried": 34,
    "retried/status 503": 34,
    "refused/robots": 10,
    "dropped/duplicate": 5201,
    "dropped/offsite": 33,
    "items": 11002,
    "items_rejected": 3,
    "items_dropped": 12,
    "items_dropped/too expensive": 12,
    "bytes": 512_300_000,
}


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A run's folder with its database, below the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / ".scrape" / "runs" / RUN
    folder.mkdir(parents=True)
    (folder / "frontier.db").touch()
    return folder


def ended(
    folder: Path, state="finished", reason="", counters=None, *, before=(), elapsed=83.4, until=None, code=0
) -> Result:
    """`before`: the counters when this life of the run began."""
    counters = {"done": 5} if counters is None else counters
    resumable = state != "finished" and (folder / "frontier.db").exists()
    return Result(RUN, folder, state, reason, counters, dict(before), elapsed, until, resumable, code)


def text(result: Result, *, feeds=(), width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(summary(result, feeds=feeds))
    return "\n".join(line.rstrip() for line in console.export_text().splitlines())


# ── how it ended ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "reason", "code", "headline"),
    [
        ("finished", "", 0, f"{RUN}  finished"),
        ("finished", "start() raised", 1, f"{RUN}  finished: start() raised  (exit code 1)"),
        ("stopped", "max_pages", 0, f"{RUN}  stopped: max_pages"),
        ("interrupted", "interrupted", 130, f"{RUN}  interrupted  (exit code 130)"),
        ("crashed", "The disk is full.", 1, f"{RUN}  crashed: The disk is full.  (exit code 1)"),
    ],
)
def test_the_headline_says_how_it_ended(folder, state, reason, code, headline):
    assert text(ended(folder, state, reason, code=code)).splitlines()[1] == headline


def test_a_waiting_run_says_until_when_on_the_clock_of_the_reader(folder):
    until = time.mktime((2031, 5, 6, 4, 15, 0, 0, 0, -1))
    result = ended(folder, "waiting", "only later work is left", until=until)
    assert f"{RUN}  waiting until 2031-05-06 04:15" in text(result)


def test_a_reason_can_not_steer_the_terminal(folder):
    assert "crashed: ·[2Jgone" in text(ended(folder, "crashed", "\x1b[2Jgone"))


# ── the figures ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_figures_are_the_counters(folder):
    lines = text(ended(folder, counters=COUNTERS), feeds=["books.jsonl", "Book:books.csv"]).splitlines()
    assert [" ".join(line.split()) for line in lines[3:15]] == [
        "pages done 12,345",
        "failed 812 700 status 404 · 100 read timeout · 6 body too large · 3 TLS failed",
        "· 2 connection lost (6.2% of the pages)",
        "retried 34 34 status 503",
        "refused 10 10 robots",
        "dropped 5,234 5,201 duplicate · 33 offsite",
        "items 11,002 in books.jsonl",
        "in Book:books.csv",
        "items rejected 3",
        "items dropped 12 12 too expensive",
        "received 512.3 MB",
        "elapsed 1 min 23 s 157.8 pages/s",
    ]


def test_what_did_not_happen_is_left_out_except_failures(folder):
    said = text(ended(folder))
    assert "failed" in said
    assert not any(word in said for word in ("retried", "refused", "dropped", "rejected"))


def test_without_a_feed_it_says_where_the_items_are(folder):
    assert "kept in the run; -o FILE writes them" in text(ended(folder))
    (folder / "frontier.db").unlink()
    assert "written nowhere; -o FILE writes them" in text(ended(folder))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_terminal(folder, width):
    said = text(ended(folder, counters=COUNTERS, code=1), feeds=["/a/rather/long/path" * 5], width=width)
    assert max(map(len, said.splitlines())) <= width


def test_a_resumed_runs_pace_is_that_of_its_own_pages(folder):
    said = text(ended(folder, counters={"done": 1050}, before={"done": 50}, elapsed=10.0))
    assert "pages done 1,050" in " ".join(said.split())
    assert "100.0 pages/s" in said


def test_a_crawl_that_did_nothing_has_a_report_too(folder):
    assert "0.0 pages/s" in text(ended(folder, counters={}, elapsed=0.0))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600 + 125, "1 h 02 min"),
        (86399, "23 h 59 min"),
        (3 * 86400 + 4 * 3600, "3 d 04 h"),
    ],
)
def test_durations_are_written_as_people_say_them(seconds, shown):
    assert time_span(seconds) == shown


# ── what now ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("state", ["stopped", "interrupted", "waiting", "crashed"])
def test_a_run_that_can_go_on_says_how(folder, state):
    assert f"To go on:           scrape resume {RUN}" in text(ended(folder, state))


def test_a_finished_run_has_nothing_to_go_on_with(folder):
    assert "scrape resume" not in text(ended(folder))


def test_a_run_in_memory_left_nothing_to_go_on_with(folder):
    (folder / "frontier.db").unlink()
    said = text(ended(folder, "stopped", "max_pages", COUNTERS))
    assert "scrape resume" not in said
    assert "scrape failed" not in said


def test_failed_pages_can_be_looked_at(folder):
    assert f"What failed:        scrape failed {RUN}" in text(ended(folder, counters=COUNTERS))


def test_rejected_items_can_be_looked_at(folder):
    path = Path(".scrape", "runs", RUN, "rejected.jsonl")
    assert f"What was rejected:  {path}" in text(ended(folder, counters=COUNTERS), width=80)


# ── for a machine ────────────────────────────────────────────────────────────────────────────────────────


def test_the_event_has_the_same_figures(folder):
    event = summary_event(ended(folder, "stopped", "max_pages", COUNTERS, code=1))
    assert event == {
        "run": RUN,
        "state": "stopped",
        "reason": "max_pages",
        "exit_code": 1,
        "waiting_until": None,
        "done": 12345,
        "failed": 812,
        "failed_reasons": {
            "status 404": 700,
            "read timeout": 100,
            "body too large": 6,
            "TLS failed": 3,
            "connection lost": 2,
        },
        "retried": 34,
        "refused": 10,
        "dropped": 5234,
        "items": 11002,
        "items_dropped": 12,
        "items_rejected": 3,
        "bytes": 512_300_000,
        "seconds": 83.4,
        "pages_per_second": 157.8,
    }


def test_the_event_is_json_with_the_same_fields_whatever_happened(folder):
    full = summary_event(ended(folder, counters=COUNTERS))
    waiting = summary_event(ended(folder, "waiting", counters={}, until=1_900_000_000.5))
    assert json.loads(json.dumps(waiting)).keys() == full.keys()
    assert waiting["waiting_until"] == "2030-03-17T17:46:40+00:00"
