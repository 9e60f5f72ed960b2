"""A run's folder: made once, locked while it lives, found again, and in the way of no other run's file."""

import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import portalocker
import pytest

from scraper.errors import RunError, StorageError
from scraper.resuming import check_changes
from scraper.runs import RESUMABLE, Run, RunInfo, Runs


@pytest.fixture
def runs(tmp_path) -> Runs:
    return Runs(tmp_path)


def ended(run: Run, state: str, *, started: float | None = None) -> Run:
    run.info = run.info.model_copy(update={"state": state, "started": started or run.info.started})
    run.save()
    return run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ── a new run ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_named_after_its_spider_and_its_time(runs):
    run = runs.create("books")
    assert run.info.id.startswith("books-2")
    assert run.folder.name == run.info.id
    assert (run.info.state, run.info.ended) == ("running", None)


def test_runs_that_begin_in_the_same_second_have_names_of_their_own(runs):
    names = {runs.create("books").info.id for _ in range(5)}
    assert len(names) == 5


def test_a_run_may_be_named(runs, tmp_path):
    assert runs.create("books", run_id="nightly").folder == tmp_path / ".scrape" / "runs" / "nightly"


def test_a_name_that_is_taken_is_refused_in_words(runs):
    runs.create("books", run_id="nightly")
    with pytest.raises(RunError, match="There is a run 'nightly' already: `scrape resume nightly`"):
        runs.create("books", run_id="nightly")


@pytest.mark.parametrize("name", ["../out", "a/b", "a\\b", ".hidden", "..", "x" * 1000])
def test_a_name_that_is_no_folders_is_refused_in_words(runs, tmp_path, name):
    with pytest.raises(RunError):
        runs.create("books", run_id=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of Unix")
def test_only_its_owner_may_look_into_a_run(runs):
    run = runs.create("books")
    assert mode(run.folder) == mode(run.folder.parent) == 0o700


def test_what_a_run_was_told_is_kept(runs):
    told = {
        "arguments": {"page": 3},
        "settings": {"concurrency": 5},
        "feeds": ["books.jsonl"],
        "append": True,
        "file": "books.py",
    }
    run = runs.create("books", **told)
    again = runs.get(run.info.id).info
    assert again == run.info
    assert again.model_dump(include=set(told)) == told


def test_a_folder_that_can_not_be_made_is_said_in_words(tmp_path):
    (tmp_path / ".scrape").write_text("a file")
    with pytest.raises(RunError, match="can't be written"):
        Runs(tmp_path).create("books")


def test_an_empty_folder_keeps_nobody_from_its_name(runs):
    (runs.folder / "nightly").mkdir(parents=True)
    assert runs.create("books", run_id="nightly").info.id == "nightly"


def test_a_folder_that_is_no_run_is_said_to_be_in_the_way(runs):
    (runs.folder / "nightly").mkdir(parents=True)
    (runs.folder / "nightly" / "frontier.db").touch()
    with pytest.raises(
        RunError, match=r"nightly is in the way, and is no run: it has no run\.json\. Move it away"
    ):
        runs.create("books", run_id="nightly")


def test_a_run_that_could_not_be_made_leaves_nothing(runs, monkeypatch):
    def full(run: Run) -> None:
        (run.folder / "run.new").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Run, "write", full)
    with pytest.raises(RunError, match="can't be written: No space left on device"):
        runs.create("books")
    assert list(runs.folder.iterdir()) == []


# ── run.json ─────────────────────────────────────────────────────────────────────────────────────────────


def test_saving_replaces_what_was_there_and_leaves_nothing_beside_it(runs):
    run = ended(runs.create("books", run_id="r"), "finished")
    assert runs.get("r").info.state == "finished"
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]


def test_a_folder_that_has_gone_is_said_in_words(runs):
    run = runs.create("books")
    (run.folder / "run.json").unlink()
    run.folder.rmdir()
    with pytest.raises(StorageError, match="can't be written"):
        run.save()


def test_what_a_newer_version_wrote_can_be_read(runs):
    run = runs.create("books", run_id="r")
    file = run.folder / "run.json"
    file.write_text(file.read_text().replace("{", '{"unheard_of": [1],', 1))
    assert runs.get("r").info == run.info


def test_a_damaged_run_is_said_in_words(runs):
    run = runs.create("books", run_id="r")
    (run.folder / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json is damaged .*start a new run"):
        runs.get("r")


def test_a_damaged_run_keeps_nobody_from_the_others(runs):
    ended(runs.create("books", run_id="good"), "interrupted")
    damaged = runs.create("books", run_id="damaged")
    (damaged.folder / "run.json").write_text("{")
    assert "good" in [run.info.id for run in runs.all()]
    assert runs.latest_resumable().info.id == "good"


# ── finding runs ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_project_without_runs_has_none(runs):
    assert runs.all() == []
    with pytest.raises(RunError, match="There is no run to resume"):
        runs.latest_resumable()


def test_runs_are_listed_from_the_newest(runs):
    for name, started in (("second", 2.0), ("third", 3.0), ("first", 1.0)):
        ended(runs.create("books", run_id=name), "finished", started=started)
    assert [run.info.id for run in runs.all()] == ["third", "second", "first"]


def test_what_is_no_run_is_not_listed(runs, tmp_path):
    runs.create("books", run_id="r")
    (tmp_path / ".scrape" / "runs" / "empty").mkdir()
    (tmp_path / ".scrape" / "runs" / "file").write_text("x")
    assert [run.info.id for run in runs.all()] == ["r"]


def test_a_run_that_is_only_being_made_is_none_yet(runs):
    run = runs.create("books", run_id="r")
    run.folder.rename(run.folder.with_name(".new-r"))
    assert runs.all() == []
    with pytest.raises(RunError, match="There is no run"):
        runs.get(".new-r")


@pytest.mark.parametrize("name", ["nightly", "", ".", "..", "../runs/r", "r/"])
def test_a_run_that_there_is_not_is_said_with_those_that_there_are(runs, name):
    runs.create("books", run_id="r")
    with pytest.raises(RunError, match=r"There is no run .* The latest: r\."):
        runs.get(name)


def test_the_latest_run_is_resumed(runs):
    ended(runs.create("books", run_id="old"), "interrupted", started=1.0)
    ended(runs.create("books", run_id="new"), "stopped", started=2.0)
    ended(runs.create("quotes", run_id="other"), "crashed", started=3.0)
    assert runs.latest_resumable("books").info.id == "new"
    assert runs.latest_resumable().info.id == "other"


def test_runs_that_have_finished_are_passed_over(runs):
    ended(runs.create("books", run_id="old"), "interrupted", started=1.0)
    ended(runs.create("books", run_id="new"), "finished", started=2.0)
    assert runs.latest_resumable("books").info.id == "old"


def test_where_every_run_has_finished_the_latest_is_named(runs):
    ended(runs.create("books", run_id="old"), "finished", started=1.0)
    ended(runs.create("books", run_id="new"), "finished", started=2.0)
    with pytest.raises(
        RunError, match=r"no run of spider 'books' to resume\. The latest, new, is finished\."
    ):
        runs.latest_resumable("books")


def test_a_spider_without_runs_is_said_in_words(runs):
    runs.create("books")
    with pytest.raises(RunError, match="There is no run of spider 'quotes' to resume"):
        runs.latest_resumable("quotes")


@pytest.mark.parametrize("state", RESUMABLE)
def test_a_run_that_did_not_finish_goes_on(state):
    assert RunInfo(id="r", spider="s", started=0.0, state=state).resumable


@pytest.mark.parametrize(
    "told", [{"state": "finished"}, {"state": "crashed", "settings": {"frontier": {"kind": "memory"}}}]
)
def test_a_run_that_finished_or_kept_nothing_does_not(told):
    assert not RunInfo(id="r", spider="s", started=0.0, **told).resumable


# ── one process at a time ────────────────────────────────────────────────────────────────────────────────

HOLDER = """
import sys
from pathlib import Path
from scraper.runs import Runs
with Runs(Path(sys.argv[1])).get(sys.argv[2]).living():
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process(root: Path, run: Run):
    """Another process that works on the run."""
    command = [sys.executable, "-c", HOLDER, str(root), run.info.id]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            assert process.stdout.readline() == "locked\n"
            yield process
        finally:
            process.kill()


def test_a_run_that_another_process_works_on_is_locked_until_that_has_died(runs, tmp_path):
    run = runs.create("books")
    with another_process(tmp_path, run) as process:
        assert run.alive
        with pytest.raises(RunError, match=f"Run {run.info.id} is being worked on by another process"):
            run.locked().__enter__()
        process.kill()
        process.wait()
        assert not run.alive
        with run.locked():
            pass


def test_a_run_is_locked_against_a_second_crawl_of_this_process_too(runs):
    run = runs.create("books", run_id="r")
    with run.locked():
        assert run.alive
        with pytest.raises(RunError), runs.get("r").locked():
            pass
    assert not run.alive


def test_looking_whether_a_run_is_alive_does_not_lock_it(runs):
    run = runs.create("books")
    assert not run.alive
    with run.locked():
        pass


def test_who_only_looks_keeps_nobody_from_a_run(runs, monkeypatch):
    run = runs.create("books")
    with run.locked():
        pass
    looking = (run.folder / "lock").open("rb")
    portalocker.lock(looking, portalocker.LOCK_SH | portalocker.LOCK_NB)
    waits = []
    monkeypatch.setattr("time.sleep", lambda seconds: (waits.append(seconds), looking.close()))
    with run.locked():
        assert len(waits) == 1


def test_looking_leaves_no_trace(runs):
    run = runs.create("books")
    assert not run.alive
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]


def test_a_run_whose_folder_has_gone_can_not_be_worked_on(runs):
    run = runs.create("books")
    (run.folder / "run.json").unlink()
    run.folder.rmdir()
    assert not run.alive
    with pytest.raises(RunError, match=f"{run.info.id} can't be written"), run.locked():
        pass


def test_a_run_whose_crawl_raised_is_free_again(runs):
    run = runs.create("books")
    with pytest.raises(ZeroDivisionError), run.locked():
        raise ZeroDivisionError
    assert not run.alive


def test_a_run_knows_whether_its_last_life_was_killed(runs, tmp_path):
    run = runs.create("books")
    with run.living():
        assert not run.was_killed
    with pytest.raises(ZeroDivisionError), run.living():
        raise ZeroDivisionError
    with run.locked():
        assert not run.was_killed
    with another_process(tmp_path, run) as process:
        process.kill()
        process.wait()
    with run.locked():  # who only looks, or puts something right
        assert run.was_killed
    with run.living():
        assert run.was_killed
    with run.living():
        assert not run.was_killed


# ── who wrote a feed last ────────────────────────────────────────────────────────────────────────────────


def test_a_feed_that_nobody_has_claimed_may_be_written(runs, tmp_path):
    runs.check_feed(tmp_path / "books.jsonl", runs.create("books"))


def test_a_feed_may_be_written_on_by_the_run_that_wrote_it_last(runs, tmp_path):
    run = runs.create("books")
    runs.claim_feed(tmp_path / "books.jsonl", run)
    runs.check_feed(tmp_path / "books.jsonl", run)


def test_a_feed_that_another_run_has_written_since_is_refused_in_words(runs, tmp_path):
    feed = tmp_path / "books.jsonl"
    first, second = runs.create("books", run_id="first"), runs.create("books", run_id="second")
    runs.claim_feed(feed, first)
    runs.claim_feed(feed, second)
    runs.check_feed(feed, second)
    with pytest.raises(RunError, match=r"books\.jsonl has been written by run second since"):
        runs.check_feed(feed, first)


def test_a_feed_that_is_given_back_is_again_its_last_writers(runs, tmp_path):
    feed, other = tmp_path / "books.jsonl", tmp_path / "other.jsonl"
    first, second = runs.create("books", run_id="first"), runs.create("books", run_id="second")
    runs.claim_feed(feed, first)
    later = Runs(tmp_path)
    later.claim_feed(feed, second)
    later.claim_feed(other, second)
    later.claims.give_back()
    runs.check_feed(feed, first)
    runs.check_feed(other, first)
    with pytest.raises(RunError, match="written by run first since"):
        runs.check_feed(feed, second)


def test_a_claim_that_can_not_be_kept_is_said_in_words(runs, tmp_path):
    run = runs.create("books")
    (tmp_path / ".scrape" / "feeds").write_text("a file")
    with pytest.raises(StorageError, match=r"The notes in .*feeds can't be kept"):
        runs.claim_feed(tmp_path / "books.jsonl", run)


def test_feeds_of_different_paths_do_not_meet(runs, tmp_path):
    first, second = runs.create("books", run_id="first"), runs.create("books", run_id="second")
    runs.claim_feed(tmp_path / "a.jsonl", first)
    runs.claim_feed(tmp_path / "b.jsonl", second)
    runs.check_feed(tmp_path / "a.jsonl", first)


@pytest.mark.parametrize("name", ["ü \n.jsonl", "x" * 200, "..jsonl"])
def test_a_feed_may_have_any_name(runs, tmp_path, name):
    run = runs.create("books")
    runs.claim_feed(tmp_path / name, run)
    runs.check_feed(tmp_path / name, run)


# ── a resume ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_resume_may_go_at_another_speed_through_other_proxies():
    check_changes({"concurrency": 5, "delay": 1, "proxies": {}, "timeouts": {}, "log": "json"})


@pytest.mark.parametrize(
    "key", ["client", "middlewares", "pipelines", "frontier", "feeds", "max_depth", "typo"]
)
def test_a_resume_changes_nothing_else(key):
    with pytest.raises(RunError, match=rf"keeps the run's '{key}'; -s may change: .*concurrency, delay, "):
        check_changes({"concurrency": 5, key: 1})
