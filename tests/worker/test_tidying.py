"""What old jobs leave behind goes, and nothing that anybody still needs."""

import time
from contextlib import closing

import pytest

from scraper.errors import StorageError
from scraper.jobs.places import jobs_file, log_file, logs_folder
from scraper.jobs.store import SqliteJobs
from scraper.project import Project
from scraper.runs import Run, Runs
from scraper.worker import tidying
from scraper.worker.tidying import tidy
from tests.jobs.conftest import spec


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def store(project):
    with closing(SqliteJobs(jobs_file(project.root))) as jobs:
        yield jobs


@pytest.fixture
def run(project):
    """A run as a crawl has left it, each newer than the one before."""
    began = time.time() - 1_000

    def make(name, state="finished", spider="books") -> Run:
        nonlocal began
        began += 1
        run = Runs(project.root).create(spider, run_id=name)
        run.info = run.info.model_copy(update={"state": state, "started": began, "ended": began})
        run.save()
        return run

    return make


@pytest.fixture
def ended(project, store, run):
    """A job that has ended, with its run and its log; its id."""

    def make(name, state="finished", spider="books") -> str:
        run(name, spider=spider)
        job_id = running(name, spider)
        store.end(job_id, "w1", state, "")
        return job_id

    def running(name, spider="books") -> str:
        job_id = store.add(spec(spider, priority=1)).id
        assert store.claim("w1").id == job_id
        store.begun(job_id, "w1", name)
        file = log_file(project.root, job_id)
        file.parent.mkdir(exist_ok=True)
        for path in (file, file.with_name(f"{file.name}.1")):
            path.write_text("{}\n", "utf-8")
        return job_id

    make.running = running
    return make


def left(project) -> set[str]:
    return {path.name for path in (project.root / ".scrape" / "runs").iterdir()}


def logs(project) -> set[str]:
    return {path.name for path in logs_folder(project.root).iterdir()}


def test_finished_runs_beyond_the_newest_go_with_their_logs(project, store, ended):
    for n in range(1, 5):
        ended(f"books-{n}")
    tidy(project, store, "books", keep_runs=2)
    assert left(project) == {"books-3", "books-4"}
    assert logs(project) == {"3.log", "3.log.1", "4.log", "4.log.1"}
    assert [job.id for job in store.list()] == ["4", "3", "2", "1"]


def test_no_number_of_runs_to_keep_keeps_all(project, store, ended):
    for n in range(1, 4):
        ended(f"books-{n}")
    tidy(project, store, "books", keep_runs=0)
    assert left(project) == {"books-1", "books-2", "books-3"}
    assert len(logs(project)) == 6


def test_each_spider_has_its_own_number(project, store, ended):
    for n in range(1, 4):
        ended(f"books-{n}")
        ended(f"quotes-{n}", spider="quotes")
    tidy(project, store, "books", keep_runs=1)
    assert left(project) == {"books-3", "quotes-1", "quotes-2", "quotes-3"}


@pytest.mark.parametrize("state", ["waiting", "stopped", "interrupted", "crashed", "running"])
def test_a_run_that_can_be_resumed_stays_and_takes_no_place(project, store, run, ended, state):
    run("half", state)
    ended("books-1")
    ended("books-2")
    tidy(project, store, "books", keep_runs=1)
    assert left(project) == {"half", "books-2"}


def test_a_run_in_which_a_process_works_stays(project, store, ended):
    for n in range(1, 4):
        ended(f"books-{n}")
    with Runs(project.root).get("books-1").locked():
        tidy(project, store, "books", keep_runs=1)
        assert left(project) == {"books-1", "books-3"}
        assert {"1.log", "1.log.1"} < logs(project)


def test_a_run_that_a_job_under_way_points_to_stays(project, store, run, ended):
    ended("books-1", "failed")
    ended("books-2")
    run("books-3")
    ended.running("books-3")
    ended("books-4")
    store.retry("1")
    tidy(project, store, "books", keep_runs=1)
    assert left(project) == {"books-1", "books-3", "books-4"}


def test_a_run_that_can_not_be_deleted_is_left_and_the_others_go(project, store, ended, monkeypatch):
    for n in range(1, 4):
        ended(f"books-{n}")
    delete = tidying.delete

    def fails_once(one, runs):
        if one.run.info.id == "books-1":
            raise StorageError("the folder can't be deleted")
        delete(one, runs)

    monkeypatch.setattr(tidying, "delete", fails_once)
    tidy(project, store, "books", keep_runs=1)
    assert left(project) == {"books-1", "books-3"}


def test_old_jobs_are_forgotten_and_their_logs_go(project, store, ended, monkeypatch):
    monkeypatch.setattr(tidying, "JOBS_KEPT", 2)
    for n in range(1, 5):
        ended(f"books-{n}")
    ended.running("books-4")
    tidy(project, store, "books", keep_runs=0)
    assert [job.id for job in store.list()] == ["5", "4", "3"]
    assert {name.split(".")[0] for name in logs(project)} == {"3", "4", "5"}
    assert len(left(project)) == 4


def test_logs_of_jobs_without_a_run_stay_as_long_as_the_job_is_known(project, store, ended, monkeypatch):
    job_id = store.add(spec()).id
    store.claim("w1")
    store.end(job_id, "w1", "failed", "the crawl can't begin")
    ended("books-1")
    ended("books-2")
    log_file(project.root, job_id).write_text("{}\n", "utf-8")
    tidy(project, store, "books", keep_runs=1)
    assert left(project) == {"books-2"}
    assert f"{job_id}.log" in logs(project)
    monkeypatch.setattr(tidying, "JOBS_KEPT", 1)
    tidy(project, store, "books", keep_runs=1)
    assert logs(project) == {"3.log", "3.log.1"}


def test_files_that_are_no_logs_of_jobs_are_left_alone(project, store, ended):
    ended("books-1")
    ended("books-2")
    strange = {"007.log", "notes.log", "1.log.bak", "1.txt", "9.logs"}
    for name in strange:
        (logs_folder(project.root) / name).write_text("", "utf-8")
    tidy(project, store, "books", keep_runs=1)
    assert logs(project) == strange | {"2.log", "2.log.1"}


def test_where_nothing_has_run_there_is_nothing_to_do(project, store):
    tidy(project, store, "books", keep_runs=1)
    assert list(project.root.iterdir()) == [project.root / ".scrape"]
