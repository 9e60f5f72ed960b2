"""`scrape runs prune`: what it deletes, what it leaves alone, and that it never does half."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from scraper.pruning import STALE
from scraper.runs import Run, Runs, State
from tests.cli.said import listed, refused
from tests.cli.terminal import on_a_terminal

DAY = 86_400.0


@pytest.fixture
def run(project):
    """A run as a crawl of long ago has left it."""
    began = time.time() - 100 * DAY

    def make(name: str, state: State = "finished", *, days: float = 1, **told) -> Run:
        nonlocal began
        began += 1
        run = Runs(project).create(told.pop("spider", "books"), run_id=name, **told)
        ended = None if state == "running" else time.time() - days * DAY
        run.info = run.info.model_copy(update={"state": state, "started": began, "ended": ended})
        run.save()
        (run.folder / "rejected.jsonl").write_bytes(b"x" * 100_000)
        return run

    return make


def left(project) -> set[str]:
    """The runs that are there, and whatever else lies beside them."""
    return {path.name for path in (project / ".scrape" / "runs").iterdir()}


def test_finished_runs_are_deleted_and_it_says_what_that_frees(typed, project, run):
    for name, state in (("old", "finished"), ("older", "finished"), ("half", "interrupted")):
        run(name, state)
    said = typed("runs", "prune", "--yes")
    *rows, total, deleted = said.stdout.splitlines()
    assert (said.returncode, left(project)) == (0, {"half"})
    assert [row.split()[0] for row in rows] == ["run", "older", "old"]
    assert (total, deleted) == ("2 runs, 0.2 MB.", "Deleted 2, freed 0.2 MB.")


@pytest.mark.parametrize("state", ["crashed", "running", "waiting", "stopped", "interrupted"])
def test_a_run_that_could_go_on_is_deleted_only_when_that_is_said(typed, project, run, state):
    run("half", state)
    assert typed("runs", "prune", "--yes").stdout == "There is nothing to delete.\n"
    assert left(project) == {"half"}
    typed("runs", "prune", "--unfinished", "--yes")
    assert left(project) == set()


def test_a_run_in_memory_has_nothing_to_go_on_with(typed, project, run):
    run("gone", "interrupted", settings={"frontier": {"kind": "memory"}})
    typed("runs", "prune", "--yes")
    assert left(project) == set()


def test_a_run_that_is_worked_on_is_never_deleted(typed, project, run):
    live = run("live", "finished")
    with live.locked():
        assert typed("runs", "prune", "--unfinished", "--yes").stdout == "There is nothing to delete.\n"
    assert left(project) == {"live"}


def test_the_newest_of_each_spider_are_kept(typed, project, run):
    for name, spider in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
        run(name, spider=spider)
    run("a4", "interrupted", spider="a")
    typed("runs", "prune", "--keep", "2", "--yes")
    assert left(project) == {"a2", "a3", "a4", "b1"}


def test_only_those_that_ended_long_ago(typed, project, run):
    run("week", days=7)
    run("month", days=31)
    typed("runs", "prune", "--older-than", "30d", "--yes")
    assert left(project) == {"week"}


def test_a_dry_run_deletes_nothing(typed, project, run):
    run("old")
    beside = project / ".scrape" / "runs" / ".pruned-x"
    beside.mkdir()
    said = typed("runs", "prune", "--dry-run")
    assert said.stdout.splitlines()[-1] == "1 run, 0.1 MB: nothing was deleted (--dry-run)."
    assert left(project) == {"old", ".pruned-x"}


def test_where_nobody_can_be_asked_nothing_is_deleted(scrape, project, run):
    run("old")
    said = scrape("runs", "prune")
    assert said.returncode == 2
    assert "Nothing was deleted: nobody can be asked here. Add --yes to delete these runs." in said.stderr
    assert left(project) == {"old"}


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix")
@pytest.mark.parametrize(("answer", "after"), [(b"n\n", {"old"}), (b"y\n", set())])
def test_a_person_is_asked(started, project, run, answer, after):
    run("old")
    process, terminal = on_a_terminal(started, "runs", "prune")
    terminal.read_until(r"Delete them\? \[y/N\]: ")
    terminal.type(answer)
    terminal.read_to_the_end()
    process.wait()
    assert left(project) == after


@pytest.mark.parametrize("words", ["--older-than soon", "--keep -1"])
def test_what_is_no_number_is_refused(typed, words):
    said = typed("runs", "prune", *words.split())
    assert said.returncode == 2
    assert words.split()[0] in said.stderr


# ── not half ─────────────────────────────────────────────────────────────────────────────────────────────

KILLED = """
import os, shutil, sys
from scraper.cli import main
shutil.rmtree = lambda *_: os._exit(9)
sys.argv = ["scrape", "runs", "prune", "--yes"]
main()
"""


def test_a_run_whose_deletion_was_killed_is_no_run_any_more_and_goes_with_the_next(typed, project, run):
    run("old")
    died = subprocess.run([sys.executable, "-c", KILLED], cwd=project, stdin=subprocess.DEVNULL, check=False)
    (leftover,) = left(project)
    assert (died.returncode, listed(typed, "runs")) == (9, [])
    assert leftover.startswith(".pruned-old-")
    assert typed("runs", "prune", "--yes").stdout == "There is nothing to delete.\n"
    assert left(project) == set()


def test_what_others_are_at_work_on_is_left_until_it_is_old(typed, project):
    runs = project / ".scrape" / "runs"
    for name in (".check-new", ".check-old", ".new-new", ".new-old"):
        (runs / name).mkdir(parents=True)
    for name in (".check-old", ".new-old"):
        os.utime(runs / name, (0, time.time() - STALE - 1))
    typed("runs", "prune", "--yes")
    assert left(project) == {".check-new", ".new-new"}


def test_a_run_that_went_on_while_a_person_thought_about_it_stays(typed, project, run, monkeypatch):
    old = run("old")

    def meanwhile(*_: object, **__: object) -> bool:
        old.info = old.info.model_copy(update={"state": "stopped"})
        old.save()
        return True

    monkeypatch.setattr("typer.confirm", meanwhile)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    said = typed("runs", "prune")
    assert said.stderr == "Left as it is: Run old has changed meanwhile.\n"
    assert said.stdout.splitlines()[-1] == "Deleted 0, freed 0.0 MB."
    assert left(project) == {"old"}


def test_a_folder_that_can_not_be_deleted_is_said_in_words(typed, project, run, monkeypatch):
    folder = run("old").folder

    def busy(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", busy)
    said = typed("runs", "prune", "--yes")
    assert (said.returncode, said.stderr) == (1, f"scrape: {folder} can't be deleted: Permission denied.\n")
    assert listed(typed, "runs") == []


# ── the notes about feeds ────────────────────────────────────────────────────────────────────────────────


def notes(project) -> int:
    return len(list((project / ".scrape" / "feeds").iterdir()))


def test_notes_about_the_files_of_runs_that_are_gone_go_too(typed, project, run):
    kept, gone = run("kept", "interrupted"), run("gone")
    Runs(project).claim_feed(project / "kept.jsonl", kept)
    Runs(project).claim_feed(project / "gone.jsonl", gone)
    typed("runs", "prune", "--yes")
    assert notes(project) == 1


def test_a_file_that_a_deleted_run_has_written_is_still_not_overwritten_by_an_older_one(
    typed, project, shelf
):
    file = project / "all.jsonl"
    words = ["crawl", "shelf", "-a", f"url={shelf.url}", "-o", file]
    typed(*words, "--run", "first", "--max-pages", "9")
    typed(*words, "--run", "second")
    theirs = file.read_bytes()
    typed("runs", "prune", "--yes")
    assert left(project) == {"first"}
    assert re.match(rf"{file} has been written by run second since", refused(typed("resume", "first")))
    assert file.read_bytes() == theirs


def test_after_a_run_was_deleted_by_hand_its_notes_go_with_the_next_prune(typed, project, run):
    gone = run("gone")
    Runs(project).claim_feed(project / "gone.jsonl", gone)
    shutil.rmtree(gone.folder)
    typed("runs", "prune", "--yes")
    assert notes(project) == 0
