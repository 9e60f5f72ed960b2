"""The log of a job: whose each line is, how large its files become, and what must not be in them."""

import io
import json
import stat
from pathlib import Path

import pytest

from scraper.worker.hushed import Hushed
from scraper.worker.job_logs import JobLog


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def job_log(file: Path, out: io.StringIO, *, most: int = 10_000, kept: int = 2) -> JobLog:
    return JobLog(file, most=most, kept=kept, out=out, job="17", spider="books", run="books-job17")


def test_each_line_says_whose_it_is(tmp_path, out):
    lines = job_log(tmp_path / "jobs" / "17.log", out)
    lines.write(b'{"event": "page fetched", "status": 200, "job": "18"}')
    lines.write(b"Segmentation fault")
    lines.write(b'["no", "event"]')
    lines.close()
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {(one["job"], one["run"], one["spider"]) for one in said} == {("17", "books-job17", "books")}
    assert [(one["event"], one.get("text")) for one in said] == [
        ("page fetched", None),
        ("said", "Segmentation fault"),
        ("said", '["no", "event"]'),
    ]
    assert (tmp_path / "jobs" / "17.log").read_text("utf-8") == out.getvalue()


def test_a_log_is_for_its_owner_alone(tmp_path, out):
    job_log(tmp_path / "17.log", out).write(b"hello")
    assert stat.S_IMODE((tmp_path / "17.log").stat().st_mode) == 0o600


def test_files_are_rotated_by_size_and_the_oldest_goes(tmp_path, out):
    lines = job_log(tmp_path / "17.log", out, most=1_000, kept=2)
    for number in range(100):
        lines.write(json.dumps({"event": f"number {number}"}).encode())
    lines.close()
    files = [tmp_path / name for name in ("17.log.2", "17.log.1", "17.log")]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert all(file.stat().st_size <= 1_000 for file in files)
    kept = "".join(file.read_text("utf-8") for file in files)
    assert out.getvalue().endswith(kept)
    assert 10 < kept.count("\n") < 100


def test_a_log_goes_on_where_the_last_life_ended(tmp_path, out):
    for word in (b"one", b"two"):
        lines = job_log(tmp_path / "17.log", out)
        lines.write(word)
        lines.close()
    assert (tmp_path / "17.log").read_text("utf-8") == out.getvalue()


def test_a_file_that_can_not_be_written_is_told_once(tmp_path, out, log):
    (tmp_path / "jobs").write_text("a file in the way", "utf-8")
    lines = job_log(tmp_path / "jobs" / "17.log", out)
    lines.write(b"one")
    lines.write(b"two")
    assert len(out.getvalue().splitlines()) == 2
    assert [one["event"] for one in log] == ["the log of a job can't be written"]


def test_passwords_of_urls_are_not_written(tmp_path, out):
    job_log(tmp_path / "17.log", out).write(b"from socks5://anna:p@ss@proxy.test:1080/ and http://b:c@d.test")
    assert (
        json.loads(out.getvalue())["text"]
        == "from socks5://anna:***@proxy.test:1080/ and http://b:***@d.test"
    )


def test_a_secret_does_not_pass_in_any_spelling():
    kept = io.StringIO()
    hushed = Hushed(kept)
    hushed.hide(['let"me"in', "longer than let"])
    hushed.write('plain let"me"in, ')
    hushed.write(json.dumps({"password": 'let"me"in'}) + "\nthe longer than let")
    hushed.close()
    assert kept.getvalue() == 'plain ***, {"password": "***"}\nthe ***\n'
