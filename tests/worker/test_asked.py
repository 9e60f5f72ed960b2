"""What a worker says to a job that the project can't run, before it takes it."""

import sys
from datetime import date
from pathlib import Path

import pytest

from scraper.errors import ArgumentError, FeedError, ProjectError, SettingsError
from scraper.job_spec import JobSpec
from scraper.jobs.store import SqliteJobs
from scraper.project import Project
from scraper.worker.asked import check, date_of, feed_names
from tests.cli.conftest import forget_user_code

SPIDER = """
from scraper import Spider

class Books(Spider):
    name = "books"
    start_urls = ["http://127.0.0.1:1/"]
    max_price: int = 100
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    root = tmp_path / "shop"
    (root / "spiders").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "settings.toml").write_text("", "utf-8")
    (root / "spiders" / "__init__.py").write_text("", "utf-8")
    (root / "spiders" / "asked_books.py").write_text(SPIDER, "utf-8")
    monkeypatch.chdir(tmp_path)  # a feed's name is read from the project's root, wherever the process is
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget_user_code()
    yield Project(root)
    forget_user_code()


def spec(**told):
    return JobSpec.model_validate({"spider": "books", **told})


def files(project) -> set[Path]:
    return {path for path in project.root.rglob("*") if "__pycache__" not in path.parts}


# ── spider, arguments, settings ──────────────────────────────────────────────────────────────────────────


def test_what_the_project_can_run_is_taken_and_leaves_no_trace(project):
    before = files(project)
    check(
        spec(
            arguments={"max_price": "20"},
            settings=["concurrency=5"],
            feeds=["books.jsonl", "Book:data/books.csv", "{spider}-{job}-{run}-{date}.json"],
        ),
        project,
    )
    assert files(project) == before


def test_an_unknown_spider_is_told_with_the_nearest(project):
    with pytest.raises(ProjectError, match=r"No spider named 'boks'\. Did you mean 'books'\?"):
        check(spec(spider="boks"), project)


def test_an_argument_of_a_wrong_type_is_told(project):
    with pytest.raises(ArgumentError, match="argument max_price='cheap' is no int"):
        check(spec(arguments={"max_price": "cheap"}), project)


def test_an_argument_that_there_is_not_is_told_with_those_there_are(project):
    with pytest.raises(ArgumentError, match=r"no argument 'max'\. It takes: max_price: int"):
        check(spec(arguments={"max": "5"}), project)


def test_a_setting_that_there_is_not_is_told_with_the_nearest(project):
    with pytest.raises(SettingsError, match=r"no setting 'concurency'\. Did you mean 'concurrency'\?"):
        check(spec(settings=["concurency=5"]), project)


def test_a_setting_of_a_wrong_type_is_told(project):
    with pytest.raises(SettingsError, match="-s: concurrency = 'many'"):
        check(spec(settings=["concurrency=many"]), project)


@pytest.mark.parametrize("when", [{"at": "0001-01-01T00:00"}, {"at": "9999-01-01T00:00"}])
def test_a_time_that_never_comes_is_told(project, when):
    with pytest.raises(ArgumentError, match="A job's"):
        check(spec(**when), project)


# ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "feed",
    [
        "../books.jsonl",
        "data/../../books.jsonl",
        "Book:../books.jsonl",
        "/tmp/books.jsonl",
        "Book:/tmp/books.csv",
        "{job}/../../../books.jsonl",
    ],
)
def test_a_feed_outside_the_project_is_refused(project, feed):
    with pytest.raises(FeedError, match="leads out of the project") as told:
        check(spec(feeds=[feed]), project)
    assert repr(feed) in str(told.value)


def test_links_that_lead_out_of_the_project_are_refused(project, tmp_path):
    (tmp_path / "outside").mkdir()
    (project.root / "folder").symlink_to(tmp_path / "outside")
    (project.root / "file.jsonl").symlink_to(tmp_path / "outside" / "not-there-yet.jsonl")
    for feed in ("folder/books.jsonl", "file.jsonl", "data/../folder/books.jsonl"):
        with pytest.raises(FeedError, match="leads out of the project"):
            check(spec(feeds=[feed]), project)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_within_the_project_and_an_absolute_path_into_it_are_taken(project):
    (project.root / "folder").symlink_to(project.root / "data")
    check(spec(feeds=["folder/books.jsonl", str(project.root / "books.jsonl"), "data/../b.jsonl"]), project)


def test_a_project_that_is_itself_reached_by_a_link_takes_its_feeds(project, tmp_path):
    (tmp_path / "link").symlink_to(project.root)
    check(spec(feeds=["books.jsonl"]), Project(tmp_path / "link"))


@pytest.mark.parametrize("feed", [".scrape/jobs.sqlite", "data/../.scrape/x.jsonl", ".SCRAPE/jobs.sqlite"])
def test_what_the_project_keeps_of_its_jobs_is_no_feed(project, feed):
    (project.root / ".scrape").mkdir()
    with pytest.raises(FeedError, match=r"\.scrape is where jobs and runs are kept"):
        check(spec(feeds=[feed]), project)


@pytest.mark.parametrize("feed", ["-", "Book:-"])
def test_standard_output_is_no_feed_of_a_job(project, feed):
    with pytest.raises(FeedError, match="a job has no standard output"):
        check(spec(feeds=[feed]), project)


def test_feeds_that_are_set_by_a_setting_are_no_way_around(project):
    with pytest.raises(FeedError, match="leads out of the project"):
        check(spec(settings=['feeds.files=["/tmp/books.jsonl"]']), project)


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        ("books.txt", "a feed's ending says its format"),
        ("", "names no file"),
        ("data", "a feed's ending says its format"),
        ("none/books.jsonl", "There is no folder"),
        ("{date}/books.jsonl", "There is no folder"),
        ("boo\0ks.jsonl", "is no file's name"),
        ("s3://bucket/books.jsonl", "a feed is a local file, not an address"),
        ("x" * 300 + ".jsonl", "can't be written"),
    ],
)
def test_a_feed_that_can_not_be_written_is_told_at_once(project, feed, words):
    with pytest.raises(FeedError, match=words):
        check(spec(feeds=[feed]), project)


def test_a_feed_that_is_a_folder_or_a_circle_of_links_is_told(project):
    (project.root / "folder.jsonl").mkdir()
    (project.root / "circle.jsonl").symlink_to(project.root / "circle.jsonl")
    for feed in ("folder.jsonl", "circle.jsonl"):
        with pytest.raises(FeedError):
            check(spec(feeds=[feed]), project)


def test_a_field_that_there_is_not_is_told_with_the_nearest(project):
    with pytest.raises(FeedError, match=r"there is no \{dat\} .* Did you mean \{date\}\?"):
        check(spec(feeds=["{dat}.jsonl"]), project)


# ── schedules ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("when", [{"every": "1d"}, {"cron": "0 3 * * *"}])
@pytest.mark.parametrize("feed", ["books.jsonl", "{spider}.jsonl", "Book:{spider}.csv"])
def test_a_schedule_whose_file_would_be_written_over_is_refused(project, when, feed):
    with pytest.raises(FeedError, match=r"would write over the file of the one before.*\{job\}") as told:
        check(spec(feeds=["ok-{run}.jsonl", feed], **when), project)
    assert repr(feed) in str(told.value)


@pytest.mark.parametrize("when", [{"every": "1d"}, {"cron": "0 3 * * *"}, {"cron": "0 3 * * 1"}])
@pytest.mark.parametrize("field", ["{job}", "{run}", "{date}"])
def test_a_schedule_with_a_file_for_each_job_is_taken(project, when, field):
    check(spec(feeds=[f"data/books-{field}.jsonl"], **when), project)


@pytest.mark.parametrize("when", [{"every": "10m"}, {"cron": "0 3,15 * * *"}, {"cron": "*/5 * * * 0"}])
def test_a_date_is_not_enough_for_several_jobs_a_day(project, when):
    with pytest.raises(FeedError, match="more than one job a day"):
        check(spec(feeds=["books-{date}.jsonl"], **when), project)
    check(spec(feeds=["books-{date}-{job}.jsonl"], **when), project)


def test_a_schedule_may_append_to_one_file(project):
    check(spec(feeds=["books.jsonl"], every="10m", append=True), project)


def test_a_schedule_would_write_over_the_projects_own_feeds_too(project):
    (project.root / "settings.toml").write_text('[feeds]\nfiles = ["books.jsonl"]\n', "utf-8")
    check(spec(), project)
    with pytest.raises(FeedError, match=r"'books.jsonl': each job of a schedule"):
        check(spec(every="1d"), project)


def test_a_job_that_runs_once_needs_no_field(project):
    check(spec(feeds=["books.jsonl"], at="2030-01-01T00:00:00"), project)


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fields_of_a_feeds_name_are_filled_in():
    told = spec(feeds=["Book:data/{spider}-{job}-{date}.csv", "{run}.jsonl", "plain.json"])
    names = feed_names(told, job="17", run="books-20270115", date=date(2027, 1, 5))
    assert names == ["Book:data/books-17-2027-01-05.csv", "books-20270115.jsonl", "plain.json"]


def test_what_is_filled_in_is_not_read_again():
    assert feed_names(spec(spider="{job}", feeds=["{spider}.csv"]), job="1", run="r", date=date.min) == [
        "{job}.csv"
    ]


def test_the_date_of_a_job_is_that_of_its_tick_in_its_own_time_zone(tmp_path):
    jobs = SqliteJobs(tmp_path / "jobs.sqlite")
    for zone, day in (("UTC", 15), ("Asia/Tokyo", 16)):
        job = jobs.add(spec(at="2027-01-15T20:00:00+00:00", timezone=zone))
        assert date_of(job) == date(2027, 1, day)
    jobs.close()
