"""A job's log is read whole, whatever is rotated while it is read."""

import pytest

from scraper.errors import NoSuchJob
from scraper.jobs.log_files import follow, read, rotated
from scraper.jobs.places import log_file, logs_folder


@pytest.fixture
def file(tmp_path):
    path = log_file(tmp_path, "17")
    path.parent.mkdir(parents=True)
    return path


def rotate(file):
    """As a job's process does it: each becomes older by one."""
    for n in range(5, 0, -1):
        older = file.with_name(f"{file.name}.{n}")
        if older.exists():
            older.rename(file.with_name(f"{file.name}.{n + 1}"))
    file.rename(file.with_name(f"{file.name}.1"))


def write(file, text):
    with file.open("a", encoding="utf-8") as lines:
        lines.write(text)


def followed(file, *steps):
    """What is read while, between two looks, the steps happen; after the last one the job has ended."""
    waiting = list(steps)
    return b"".join(follow(file, ended=lambda: not waiting, pause=lambda: waiting.pop(0)())).decode()


def test_a_log_lies_among_the_projects_jobs(tmp_path):
    assert log_file(tmp_path, "17") == logs_folder(tmp_path) / "17.log"


@pytest.mark.parametrize("told", ["", "x", "../17", "1/2", "017", "-1", "1.log", "\u0661", "1\n"])
def test_what_is_no_id_never_becomes_a_path(tmp_path, told):
    with pytest.raises(NoSuchJob):
        log_file(tmp_path, told)


def test_a_job_that_has_logged_nothing_has_no_files(tmp_path):
    file = log_file(tmp_path, "17")
    assert rotated(file) == []
    assert b"".join(read(file)) == b""


def test_the_oldest_comes_first(file):
    for text in ("a\n", "b\n", "c\n"):
        write(file, text)
        rotate(file)
    write(file, "d\n")
    assert b"".join(read(file)) == b"a\nb\nc\nd\n"


def test_a_long_log_is_read_whole(file):
    write(file, "x" * 300_000)
    assert sum(map(len, read(file))) == 300_000


def test_what_is_added_is_read_until_the_job_has_ended(file):
    write(file, "a\n")
    assert followed(file, lambda: write(file, "b\n"), lambda: write(file, "c\n")) == "a\nb\nc\n"


def test_a_log_that_begins_later_is_followed_from_its_beginning(file):
    assert followed(file, lambda: None, lambda: write(file, "a\n")) == "a\n"


def test_a_rotation_loses_nothing_and_repeats_nothing(file):
    def grow(text):
        write(file, f"{text}1\n")
        rotate(file)
        write(file, f"{text}2\n")

    write(file, "a\n")
    assert followed(file, lambda: grow("b"), lambda: grow("c")) == "a\nb1\nb2\nc1\nc2\n"


def test_several_rotations_between_two_looks_lose_nothing(file):
    def grow():
        for text in "bcd":
            write(file, f"{text}\n")
            rotate(file)

    write(file, "a\n")
    assert followed(file, grow, lambda: write(file, "e\n")) == "a\nb\nc\nd\ne\n"


def test_what_was_deleted_meanwhile_was_read_before(file):
    def grow():
        rotate(file)
        file.with_name(f"{file.name}.1").unlink()
        write(file, "b\n")

    write(file, "a\n")
    assert followed(file, grow) == "a\nb\n"
