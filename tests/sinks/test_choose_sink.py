"""What a user writes after `-o`, and what is said about it before the crawl."""

from pathlib import Path

import pytest

from scraper.errors import FeedError
from scraper.sinks.choose import FeedSpec, check_writable, make_sink, parse_feed
from scraper.sinks.csv_table import CsvTable
from scraper.sinks.json_array import JsonArray
from scraper.sinks.jsonl import JsonLines
from scraper.sinks.sqlite_tables import SqliteTables
from scraper.sinks.stdout import StandardOutput


@pytest.mark.parametrize(
    ("text", "kind", "file"),
    [
        ("books.jsonl", None, "books.jsonl"),
        ("out/books.json", None, "out/books.json"),
        ("Book:books.csv", "Book", "books.csv"),
        ("Book:/data/books.csv", "Book", "/data/books.csv"),
        ("dict:rest.ndjson", "dict", "rest.ndjson"),
        ("Kniha_č1:knihy.JSONL", "Kniha_č1", "knihy.JSONL"),
        (r"C:\books.csv", None, r"C:\books.csv"),
        ("c:/books.csv", None, "c:/books.csv"),
        (r"Book:C:\books.csv", "Book", r"C:\books.csv"),
        ("C:books.csv", "C", "books.csv"),
        ("2024-01-01T10:00.jsonl", None, "2024-01-01T10:00.jsonl"),
        ("./Book:books.csv", None, "./Book:books.csv"),
    ],
)
def test_a_feed_is_a_file_and_perhaps_a_kind_of_item(text, kind, file):
    assert parse_feed(text) == FeedSpec(kind, Path(file).absolute())


def test_a_dash_is_standard_output():
    assert parse_feed("-") == FeedSpec()
    assert parse_feed("Book:-") == FeedSpec("Book")


@pytest.mark.parametrize("text", ["-", "Book:-", "books.jsonl", "Book:books.csv"])
def test_a_spec_is_written_as_it_is_read(text):
    spec = parse_feed(text)
    assert parse_feed(str(spec)) == spec


@pytest.mark.parametrize("text", ["books.xml", "books", "Book:books.jsonl.gz", ".jsonl"])
def test_another_ending_is_told_which_there_are(text):
    with pytest.raises(
        FeedError, match=r"use \.jsonl, \.ndjson, \.json, \.csv, \.sqlite, \.sqlite3 or \.db\."
    ):
        parse_feed(text)


@pytest.mark.parametrize("text", ["", "Book:"])
def test_a_missing_file_name_is_told(text):
    with pytest.raises(FeedError, match="names no file"):
        parse_feed(text)


def test_an_address_is_no_file():
    with pytest.raises(FeedError, match="not an address"):
        parse_feed("s3://bucket/books.jsonl")


@pytest.mark.parametrize(
    ("text", "sink"),
    [
        ("a.jsonl", JsonLines),
        ("a.ndjson", JsonLines),
        ("a.json", JsonArray),
        ("a.CSV", CsvTable),
        ("a.sqlite", SqliteTables),
        ("a.sqlite3", SqliteTables),
        ("a.db", SqliteTables),
        ("-", StandardOutput),
    ],
)
def test_the_ending_chooses_the_sink(text, sink):
    assert type(make_sink(parse_feed(text), append=False)) is sink


def test_append_reaches_the_sink(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"old\n")
    sink = make_sink(FeedSpec(None, path), append=True)
    sink.start()
    sink.close()
    assert path.read_bytes() == b"old\n"


def test_append_to_an_array_is_refused(tmp_path):
    with pytest.raises(FeedError, match=r"Use \.jsonl"):
        make_sink(FeedSpec(None, tmp_path / "a.json"), append=True)


def test_rejected_items_are_lines(tmp_path):
    assert type(make_sink(FeedSpec(None, tmp_path / "a.csv"), append=False, rejected=True)) is JsonLines


class TestCheckWritable:
    def test_leaves_no_trace(self, tmp_path):
        check_writable(FeedSpec(None, tmp_path / "a.jsonl"))
        assert list(tmp_path.iterdir()) == []

    def test_leaves_an_existing_file_alone(self, tmp_path):
        path = tmp_path / "a.jsonl"
        path.write_bytes(b"old\n")
        check_writable(FeedSpec(None, path))
        assert path.read_bytes() == b"old\n"

    def test_has_nothing_to_say_about_standard_output(self):
        check_writable(FeedSpec())

    def test_names_the_missing_folder(self, tmp_path):
        with pytest.raises(FeedError, match=r"There is no folder '.*nowhere'"):
            check_writable(FeedSpec(None, tmp_path / "nowhere" / "a.jsonl"))

    def test_names_a_file_used_as_a_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(FeedError, match=r"There is no folder '.*file'"):
            check_writable(FeedSpec(None, tmp_path / "file" / "a.jsonl"))

    def test_names_a_folder_used_as_a_file(self, tmp_path):
        (tmp_path / "a.jsonl").mkdir()
        with pytest.raises(FeedError, match="is a folder"):
            check_writable(FeedSpec(None, tmp_path / "a.jsonl"))

    @pytest.mark.skipif(
        not Path("/proc/self").exists(), reason="needs a folder in which not even root may write"
    )
    def test_names_a_folder_that_takes_no_files(self):
        with pytest.raises(FeedError, match=r"'/proc/a\.jsonl' can't be written"):
            check_writable(FeedSpec(None, Path("/proc/a.jsonl")))
