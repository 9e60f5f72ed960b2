"""One file, many processes: the command line, workers and HTTP use it at once."""

import multiprocessing
import os
import signal
import sqlite3
import threading
from contextlib import closing

import pytest

from scraper.errors import StorageError
from scraper.jobs.store import SqliteJobs
from tests.jobs.conftest import spec

pytestmark = pytest.mark.long

PATIENCE = 30.0  # seconds
SPAWN = multiprocessing.get_context("spawn")


def claim_all(path, worker, start, taken):
    """What a process does: opens the store, takes what it gets, and says what that was."""
    start.wait(PATIENCE)
    with closing(SqliteJobs(path)) as jobs:
        while job := jobs.claim(worker):
            taken.put((worker, job.id))
            jobs.end(job.id, worker, "finished", "")
    taken.put((worker, None))


def add_some(path, number, start):
    start.wait(PATIENCE)
    with closing(SqliteJobs(path)) as jobs:
        for _ in range(number):
            jobs.add(spec())


def add_for_ever(path, told):
    with closing(SqliteJobs(path)) as jobs:
        while True:
            told.send(jobs.add(spec()).id)


def add_many(jobs):
    for _ in range(10_000):
        jobs.add(spec(arguments={"text": "x" * 1_000}))


def test_processes_that_claim_at_once_never_share_a_job(path):
    with closing(SqliteJobs(path)) as jobs:
        for _ in range(60):
            jobs.add(spec())
    start, taken = SPAWN.Barrier(4), SPAWN.Queue()
    workers = [SPAWN.Process(target=claim_all, args=(path, f"w{n}", start, taken)) for n in range(4)]
    for worker in workers:
        worker.start()
    said = []
    while len([job for _, job in said if job is None]) < len(workers):
        said.append(taken.get(timeout=PATIENCE))
    for worker in workers:
        worker.join(PATIENCE)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert sorted(int(job) for _, job in said if job) == list(range(1, 61))


def test_threads_that_claim_at_once_never_share_a_job(path):
    taken = []
    with closing(SqliteJobs(path)) as jobs:
        for _ in range(100):
            jobs.add(spec())

        def work(name):
            while job := jobs.claim(name):
                taken.append(job.id)

        threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert sorted(map(int, taken)) == list(range(1, 101))


def test_processes_that_make_the_file_at_once_lose_no_job(path):
    start = SPAWN.Barrier(4)
    adders = [SPAWN.Process(target=add_some, args=(path, 10, start)) for _ in range(4)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join(PATIENCE)
    assert [adder.exitcode for adder in adders] == [0] * 4
    with closing(SqliteJobs(path)) as jobs:
        assert jobs.counts()["queued"] == 40


def test_threads_that_make_the_file_at_once_all_get_it(path):
    start, wrong = threading.Barrier(8), []

    def make():
        start.wait(PATIENCE)
        try:
            SqliteJobs(path).close()
        except StorageError as error:
            wrong.append(error)

    for _ in range(10):
        threads = [threading.Thread(target=make) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert wrong == []
        for file in path.parent.iterdir():
            file.unlink()


def test_an_accepted_job_outlives_the_kill_of_whoever_took_it(path):
    told, tell = SPAWN.Pipe(duplex=False)
    adder = SPAWN.Process(target=add_for_ever, args=(path, tell))
    adder.start()
    accepted = [told.recv() for _ in range(20)]
    os.kill(adder.pid, signal.SIGKILL)
    adder.join(PATIENCE)
    tell.close()
    while told.poll():
        try:
            accepted.append(told.recv())
        except EOFError:
            break
    with closing(SqliteJobs(path)) as jobs:
        assert set(accepted) <= {job.id for job in jobs.list(limit=-1)}
        assert jobs.claim("w1").id == "1"


# ── a disk that fails ────────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk_is_one_sentence_and_takes_nothing_back(jobs):
    jobs.add(spec())
    pages = jobs._base.execute("PRAGMA page_count").fetchone()[0]
    jobs._base.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="can't be used: database or disk is full") as told:
        add_many(jobs)
    assert "\n" not in str(told.value)
    there = jobs.counts()["queued"]
    assert there >= 1
    jobs._base.execute("PRAGMA max_page_count = 1000000")
    assert int(jobs.add(spec()).id) == there + 1


def test_a_file_that_another_process_holds_is_one_sentence(jobs, path):
    jobs.add(spec())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        jobs._base.execute("PRAGMA busy_timeout = 20")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="can't be used: database is locked"):
            jobs.add(spec())
        assert jobs.get("1").state == "queued"  # whoever only looks waits for nobody
        other.execute("ROLLBACK")
    assert jobs.add(spec()).id == "2"


def test_a_disk_that_is_read_only_is_one_sentence(jobs):
    jobs.add(spec())
    jobs._base.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError, match="attempt to write a readonly database"):
        jobs.add(spec())
    assert [job.id for job in jobs.list()] == ["1"]


def test_a_folder_that_can_not_be_made_is_one_sentence(tmp_path):
    (tmp_path / ".scrape").write_text("a file", "utf-8")
    with pytest.raises(StorageError, match=r"jobs.sqlite can't be made: "):
        SqliteJobs(tmp_path / ".scrape" / "jobs.sqlite")


def test_a_file_that_is_no_database_is_one_sentence(path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database at all\n" * 100)
    with pytest.raises(StorageError, match=r"is damaged .*put it back from a backup"):
        SqliteJobs(path)


def test_a_file_of_another_version_is_left_alone(jobs, path):
    jobs.add(spec())
    jobs._base.execute("PRAGMA user_version = 7")
    with pytest.raises(StorageError, match=r"another version of the framework \(format 7, not 1\)"):
        SqliteJobs(path)


def test_a_job_that_can_not_be_read_is_one_sentence(jobs):
    jobs.add(spec())
    jobs._base.execute("""UPDATE jobs SET spec = '{"spider": 5}'""")
    with pytest.raises(StorageError, match="Job 1 can't be read from the jobs' database"):
        jobs.get("1")


def test_only_their_owner_can_read_jobs(jobs, path):
    jobs.add(spec(arguments={"password": "secret"}))
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}


def test_what_is_accepted_is_on_the_disk(jobs):
    assert jobs._base.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert jobs._base.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_a_network_disk_is_refused(path, monkeypatch):
    monkeypatch.setattr("scraper.jobs.schema.network_filesystem", lambda _: "nfs4 at /mnt")
    with pytest.raises(StorageError, match="network file system \\(nfs4 at /mnt\\)"):
        SqliteJobs(path)
