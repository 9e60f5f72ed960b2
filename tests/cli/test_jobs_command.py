"""`scrape jobs`: what is asked of a worker, how that stands, and how to change one's mind."""

import json
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest

from scraper.cli.jobs import _ids
from scraper.jobs.places import jobs_file, log_file
from scraper.jobs.store import SqliteJobs
from scraper.runs import Runs
from tests.cli.said import listed, refused
from tests.cli.shelf import PATIENCE

SECRETIVE = """
from pydantic import SecretStr
from scraper import Spider

class Members(Spider):
    name = "members"
    start_urls = ["http://127.0.0.1:1/"]
    password: SecretStr
    page: int = 1
"""


@pytest.fixture
def store(project):
    """The store as a worker has it open."""
    with closing(SqliteJobs(jobs_file(project))) as jobs:
        yield jobs


def add(typed, *words):
    """The job that was added."""
    return listed(typed, "jobs", "add", "books", *words)


# ── add ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_is_added_and_it_says_what_runs_it(typed, store):
    said = typed("jobs", "add", "books", "-o", "books.jsonl")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "Job 1 is queued: `scrape worker` runs it.\n"
    assert store.get("1").spec.feeds == ["books.jsonl"]


def test_everything_that_can_be_told_is_kept(typed, store):
    before = time.time()
    job = add(
        typed, "-o", "Book:b-{job}.csv", "-o", "all-{date}-{run}.jsonl", "--append", "-s", "concurrency=5",
        "-s", "delay=1s",
        "--priority", "-5", "--every", "1h30m", "--timezone", "Europe/Berlin", "--max-pages", "10", "--max-items", "20",
        "--max-time", "10m", "--max-memory", "512MB", "--resumes", "7",
    )  # fmt: skip  # as it is typed
    assert job["spec"] == {
        "spider": "books",
        "arguments": {},
        "settings": ["concurrency=5", "delay=1s"],
        "feeds": ["Book:b-{job}.csv", "all-{date}-{run}.jsonl"],
        "append": True,
        "priority": -5,
        "at": None,
        "every": 5_400.0,
        "cron": "",
        "timezone": "Europe/Berlin",
        "max_pages": 10,
        "max_items": 20,
        "max_time": 600.0,
        "max_memory": 512_000_000,
        "resumes": 7,
    }
    assert (job["id"], job["state"], job["series"]) == ("1", "queued", "1")
    assert before <= job["due"] == job["created"] <= time.time()
    assert store.get("1").spec.model_dump(mode="json") == job["spec"]


def test_arguments_are_the_spiders(typed, project, store):
    (project / "spiders" / "members.py").write_text(SECRETIVE, "utf-8")
    typed("jobs", "add", "members", "-a", "password=a=b", "-a", "page=2")
    assert store.get("1").spec.arguments == {"password": "a=b", "page": "2"}


def test_a_job_for_later_says_when(typed):
    said = typed("jobs", "add", "books", "--at", "2999-01-31T03:00:00Z").stdout
    assert said.startswith("Job 1 is queued, due 2999-01-3")
    job = add(typed, "--at", "2999-01-31 03:00", "--timezone", "Europe/Berlin")
    assert job["due"] == datetime(2999, 1, 31, 2, tzinfo=UTC).timestamp()


def test_a_job_on_a_cron_waits_for_its_first_tick(typed):
    job = add(typed, "--cron", "0 3 * * *")
    assert 0 < job["due"] - job["created"] <= 86_400
    assert time.gmtime(job["due"])[3:5] == (3, 0)


def test_a_file_is_named_from_the_folder_it_was_typed_in(typed, project, store):
    (project / "data").mkdir()
    for feed in ("x.jsonl", "Book:../x.csv", str(project / "y.jsonl")):
        assert typed("jobs", "add", "books", "-o", feed, at=project / "data").returncode == 0
    told = [job.spec.feeds for job in reversed(store.list())]
    assert told == [["data/x.jsonl"], ["Book:data/../x.csv"], ["y.jsonl"]]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["boks"], "No spider named 'boks'. Did you mean 'books'?"),
        (["books", "-a", "x=1"], "Spider 'books' has no argument 'x'."),
        (["books", "-a", "x"], "-a takes key=value"),
        (
            ["books", "-s", "concurency=5"],
            "-s: there is no setting 'concurency'. Did you mean 'concurrency'?",
        ),
        (["books", "-s", "concurrency=many"], "-s: concurrency = 'many'"),
        (["books", "-o", "../b.jsonl"], "leads out of the project"),
        (["books", "-o", "/tmp/b.jsonl"], "leads out of the project"),
        (["books", "-o", ".scrape/jobs.sqlite"], ".scrape is where jobs and runs are kept"),
        (["books", "-o", "-"], "a job has no standard output"),
        (["books", "-o", "b.txt"], "a feed's ending says its format"),
        (["books", "-o", "{jb}.jsonl"], "Did you mean {job}?"),
        (["books", "-o", "b.jsonl", "--every", "10m"], "Put {job}, {run} or {date} in its name"),
        (["books", "--at", "tomorrow"], "--at: "),
        (["books", "--at", "9999-12-31T00:00"], "in the years 1971 to 9998"),
        (["books", "--every", "often"], "--every: 'often' is no duration"),
        (["books", "--every", "0s"], "--every 0s: a schedule needs a time between two jobs"),
        (["books", "--cron", "61 * * * *"], "--cron: '61 * * * *' is no cron expression"),
        (["books", "--cron", "0 0 30 2 *"], "--cron: "),
        (["books", "--timezone", "Berlin"], "--timezone: there is no time zone 'Berlin'"),
        (["books", "--every", "1h", "--cron", "0 3 * * *"], "a job has one of at, every and cron"),
        (["books", "--priority", "1001"], "--priority: "),
        (["books", "--max-time", "-1"], "--max-time: '-1' is no duration"),
        (["books", "--max-memory", "much"], "--max-memory: 'much' is no size"),
        (["books", "--resumes", "-1"], "--resumes: "),
    ],
)
def test_what_can_not_be_done_is_one_sentence_and_adds_nothing(typed, project, words, sentence):
    assert sentence in refused(typed("jobs", "add", *words))
    assert listed(typed, "jobs", "list") == []
    assert not (project / ".scrape").exists()


def test_a_schedule_without_its_library_says_what_to_install(typed, monkeypatch):
    monkeypatch.setitem(sys.modules, "cronsim", None)
    said = refused(typed("jobs", "add", "books", "--cron", "0 3 * * *"))
    assert said == "cron needs an optional library: run `pip install 'scrapeloom[worker]'`."
    assert typed("jobs", "add", "books", "--every", "10m").returncode == 0


def test_outside_a_project_there_are_no_jobs(typed, tmp_path):
    for words in (["add", "books"], ["list"], ["show", "1"], ["cancel", "1"], ["retry", "1"], ["logs", "1"]):
        assert "There is no project here" in refused(typed("jobs", *words, at=tmp_path))


def test_a_disk_that_fails_is_one_sentence(typed, project):
    (project / ".scrape").write_text("", "utf-8")
    said = typed("jobs", "add", "books")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("scrape: The jobs' database ")
    assert "Traceback" not in said.stderr


# ── list ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_where_there_is_no_job_it_says_how_to_ask_for_one(typed, project):
    assert "scrape jobs add SPIDER" in typed("jobs", "list").stdout
    assert not (project / ".scrape").exists()


def test_jobs_are_listed_newest_first(typed, store):
    for _ in range(3):
        add(typed)
    store.claim("w1")
    store.begun("1", "w1", "books-7")
    store.claim("w1")
    store.end("2", "w1", "failed", "the site is down")
    store.cancel("1")
    head, *rows = [line.split() for line in typed("jobs", "list").stdout.splitlines()]
    assert head == ["job", "state", "spider", "due", "took", "run", "reason"]
    assert [row[:3] for row in rows] == [
        ["3", "queued", "books"],
        ["2", "failed", "books"],
        ["1", "stopping", "books"],
    ]
    assert rows[1][-4:] == ["the", "site", "is", "down"]
    assert rows[2][-1] == "books-7"


def test_the_list_can_be_of_states_and_of_a_spider(typed, store):
    for _ in range(3):
        add(typed)
    store.claim("w1")
    store.cancel("3")

    def ids(*words):
        return [job["id"] for job in listed(typed, "jobs", "list", *words)]

    assert ids("--state", "running", "--state", "cancelled") == ["3", "1"]
    assert ids("--state", "queued", "--spider", "books") == ["2"]
    assert ids("--limit", "2") == ["3", "2"]
    assert ids("--limit", "0") == ids() == ["3", "2", "1"]
    assert listed(typed, "jobs", "list", "--spider", "other") == []
    assert typed("jobs", "list", "--spider", "other").stdout == "There is no such job.\n"
    assert "--limit 0 shows all" in typed("jobs", "list", "--limit", "2").stdout


def test_a_state_that_there_is_not_is_told_with_the_nearest(typed):
    assert refused(typed("jobs", "list", "--state", "runing")) == (
        "There is no state 'runing'. Did you mean 'running'? There are: queued, running, finished, failed, cancelled."
    )


# ── show ─────────────────────────────────────────────────────────────────────────────────────────────────


def shown(typed, job_id):
    """What `show` says, by the words at its lines' beginnings."""
    lines = typed("jobs", "show", job_id).stdout.splitlines()
    return {name: text for name, _, text in (line.partition("  ") for line in lines)}


def test_a_job_shows_what_it_was_told_and_how_it_stands(typed, store):
    add(
        typed, "-o", "b-{job}.jsonl", "-s", "delay=1s", "--every", "1h", "--max-pages", "5", "--priority", "3"
    )
    store.claim("w1")
    store.begun("1", "w1", "books-7")
    store.give_back("1", "w1", died="killed by signal 9")
    lines = {name: text.strip() for name, text in shown(typed, "1").items()}
    assert lines["state"] == "queued: killed by signal 9"
    assert (lines["files"], lines["settings"], lines["priority"]) == ("b-{job}.jsonl", "delay=1s", "3")
    assert (lines["schedule"], lines["limits"], lines["run"]) == ("every 1 h 00 min", "5 pages", "books-7")
    assert lines["deaths"] == "1 of its process; 3 are forgiven"
    assert lines["To cancel it:"] == "scrape jobs cancel 1"


def test_the_files_of_a_job_are_those_of_its_run(typed, project, store):
    add(typed, "-o", "b-{job}.jsonl")
    Runs(project).create("books", run_id="books-7", feeds=["/srv/shop/b-1.jsonl"])
    store.claim("w1")
    store.begun("1", "w1", "books-7")
    assert shown(typed, "1")["files"].strip() == "/srv/shop/b-1.jsonl"


def test_what_failed_says_how_to_try_again(typed, store):
    add(typed)
    store.claim("w1")
    store.end("1", "w1", "failed", "no\x1b[31m more")
    said = typed("jobs", "show", "1").stdout
    assert "scrape jobs retry 1" in said
    assert "\x1b" not in said


def test_secrets_are_never_shown(typed, project):
    (project / "spiders" / "members.py").write_text(SECRETIVE, "utf-8")
    words = ("-a", "password=hunter2", "-s", "headers.X-Key=hunter2")
    outputs = [
        typed("jobs", "add", "members", *words, "--json"),
        typed("jobs", "show", "1"),
        typed("jobs", "show", "1", "--json"),
        typed("jobs", "list", "--json"),
        typed("jobs", "cancel", "1", "--json"),
    ]
    (project / "spiders" / "members.py").unlink()
    outputs.append(typed("jobs", "show", "1"))
    assert [said.returncode for said in outputs] == [0] * 6
    assert all("password" in said.stdout and "hunter2" not in said.stdout for said in outputs)


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "logs"])
@pytest.mark.parametrize("told", ["7", "x", "../../etc/passwd", "0"])
def test_an_id_that_is_none_is_one_sentence(typed, project, command, told):
    assert f"There is no job {told!r}" in refused(typed("jobs", command, told))
    add(typed)
    assert f"There is no job {told!r}" in refused(typed("jobs", command, told))


# ── cancel, retry ────────────────────────────────────────────────────────────────────────────────────────


def test_a_queued_job_is_cancelled(typed, store):
    add(typed)
    assert typed("jobs", "cancel", "1").stdout == "Job 1 is cancelled.\n"
    assert store.get("1").state == "cancelled"


def test_a_queued_job_is_cancelled_with_its_series(typed):
    add(typed, "--every", "1h")
    assert typed("jobs", "cancel", "1").stdout == "Job 1 is cancelled, and its series with it.\n"


def test_a_running_job_is_asked_to_stop(typed, store):
    add(typed, "--every", "1h")
    store.claim("w1")
    said = typed("jobs", "cancel", "1").stdout
    assert said.startswith(
        "Job 1 is asked to stop, once what is in flight is finished. The next one of its series"
    )
    assert store.get("1").cancelling


def test_what_has_ended_is_not_cancelled(typed):
    add(typed)
    typed("jobs", "cancel", "1")
    assert refused(typed("jobs", "cancel", "1")) == "Job 1 is cancelled: there is nothing to cancel."


def test_a_cancelled_job_is_queued_again(typed, store):
    add(typed)
    store.claim("w1")
    store.begun("1", "w1", "books-7")
    store.end("1", "w1", "cancelled", "cancelled")
    assert typed("jobs", "retry", "1").stdout == (
        "Job 1 is queued: `scrape worker` runs it. It goes on with run books-7 where that can be.\n"
    )
    assert listed(typed, "jobs", "show", "1")["state"] == "queued"


def test_a_job_that_did_not_fail_is_not_tried_again(typed):
    add(typed)
    assert refused(typed("jobs", "retry", "1")) == (
        "Job 1 is queued: only one that failed or was cancelled is retried."
    )


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_that_has_logged_nothing_says_so(typed):
    add(typed)
    said = typed("jobs", "logs", "1")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "Job 1 has logged nothing yet.\n")


def test_logs_are_shown_oldest_first_whatever_was_rotated(typed, project):
    add(typed)
    file = log_file(project, "1")
    file.parent.mkdir()
    for ending, line in (("", "e"), (".1", "d"), (".2", "c"), (".10", "a"), (".9", "b"), (".bak", "no")):
        file.with_name(file.name + ending).write_text(f'{{"event": "{line}"}}\n', "utf-8")
    said = typed("jobs", "logs", "1").stdout
    assert [json.loads(line)["event"] for line in said.splitlines()] == ["a", "b", "c", "d", "e"]
    assert "scrape jobs logs 1" in typed("jobs", "show", "1").stdout


def test_logs_are_followed_until_the_job_has_ended(started, scrape, project, store):
    scrape("jobs", "add", "books")
    store.claim("w1")
    file = log_file(project, "1")
    file.parent.mkdir()
    file.write_text("one\n", "utf-8")
    following = started("jobs", "logs", "1", "--follow")
    enough = threading.Timer(PATIENCE, following.kill)
    enough.start()
    assert following.stdout.readline() == "one\n"
    with file.open("a", encoding="utf-8") as lines:
        lines.write("two\n")
    assert following.stdout.readline() == "two\n"
    file.rename(file.with_name(f"{file.name}.1"))
    file.write_text("three\n", "utf-8")
    assert following.stdout.readline() == "three\n"
    store.end("1", "w1", "finished", "")
    assert following.communicate() == ("", "")
    enough.cancel()
    assert following.returncode == 0


# ── the shell ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_shell_completes_ids(typed, project, tmp_path, monkeypatch):
    assert typed("jobs", "list").returncode == 0
    assert _ids("") == []
    for _ in range(11):
        add(typed)
    assert _ids("1") == ["11", "10", "1"]
    assert _ids("x") == []
    monkeypatch.chdir(tmp_path)
    assert _ids("") == []


def test_help_explains_itself(typed):
    said = typed("jobs", "add", "--help").stdout
    for words in ("{spider}, {job}, {run} and {date}", "--cron", "--timezone", "--max-memory", "--resumes"):
        assert words in said
    said = typed("jobs", "--help").stdout
    assert all(command in said for command in ("add", "list", "show", "cancel", "retry", "logs"))
