"""A CSV table: where its columns come from, what it refuses, and what a cell holds."""

import csv
import json
import re

import pytest

from scraper.errors import FeedError
from scraper.item import Record
from scraper.sinks.csv_table import CsvTable
from scraper.sinks.files import FeedLost


@pytest.fixture
def path(tmp_path):
    return tmp_path / "books.csv"


@pytest.fixture
def sink(path):
    sink = CsvTable(path)
    sink.start()
    yield sink
    sink.close()


def record(kind="dict", **values):
    return Record(b"", kind, json.dumps(values).encode())


def add(sink, *records):
    sink.append([sink.encode(each) for each in records])


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def marked(sink):
    return json.loads(json.dumps(sink.mark()))


class TestColumns:
    def test_of_a_dict_are_the_keys_of_the_first(self, sink, path):
        sink.take_columns("dict", None)
        add(sink, record(title="Emma", price=5), record(price=6, title="Persuasion"))
        sink.close()
        assert path.read_bytes() == b"title,price\nEmma,5\nPersuasion,6\n"

    def test_of_a_class_are_its_fields(self, sink, path):
        sink.take_columns("Book", ["title", "price"])
        add(sink, record("Book", price=5, title="Emma"))
        sink.close()
        assert rows(path) == [["title", "price"], ["Emma", "5"]]

    def test_given_to_the_sink_come_first_and_at_once(self, path):
        sink = CsvTable(path, columns=["price", "title"])
        sink.start()
        sink.take_columns("Book", ["title", "price"])
        assert sink.mark()["offset"] == len("price,title\n")
        add(sink, record("Book", title="Emma", price=5))
        sink.close()
        assert rows(path) == [["price", "title"], ["5", "Emma"]]

    def test_no_items_are_an_empty_file(self, sink, path):
        sink.take_columns("Book", ["title"])
        sink.finish()
        assert path.read_bytes() == b""

    def test_the_header_comes_once(self, sink, path):
        add(sink, record(n=1))
        sink.mark()
        add(sink, record(n=2))
        sink.append([])
        sink.close()
        assert rows(path) == [["n"], ["1"], ["2"]]


class TestRefused:
    def test_another_key(self, sink):
        add(sink, record(title="Emma"))
        with pytest.raises(
            ValueError, match=r"'books\.csv' has the columns 'title', and this item also has 'isbn'"
        ):
            sink.encode(record(title="Emma", isbn=1))

    def test_a_missing_key(self, sink):
        add(sink, record(title="Emma", price=1))
        with pytest.raises(ValueError, match=r"this item has no 'price'\. Use \.jsonl"):
            sink.encode(record(title="Emma"))

    def test_both_at_once(self, sink):
        add(sink, record(title="Emma"))
        with pytest.raises(ValueError, match="also has 'name' and has no 'title'"):
            sink.encode(record(name="Jane"))

    def test_another_kind(self, sink):
        sink.take_columns("Book", ["title"])
        add(sink, record("Book", title="Emma"))
        sink.take_columns("Author", ["title"])
        with pytest.raises(ValueError, match=re.escape("`-o Book:books.csv -o Author:…`")):
            sink.encode(record("Author", title="Lady"))

    @pytest.mark.parametrize("value", [b"{}", b"[1]", b'"text"', b"null"])
    def test_what_has_no_fields(self, sink, value):
        with pytest.raises(ValueError, match="has no fields"):
            sink.encode(Record(b"", "dict", value))

    def test_and_the_table_goes_on_as_if_it_had_not_come(self, sink, path):
        for wrong in (Record(b"", "Odd", b"[]"), Record(b"", "Odd", b"{}")):
            with pytest.raises(ValueError):
                sink.encode(wrong)
        add(sink, record("Book", title="Emma"))
        with pytest.raises(ValueError):
            sink.encode(record("Book", title="Emma", extra=1))
        add(sink, record("Book", title="Persuasion"))
        sink.close()
        assert rows(path) == [["title"], ["Emma"], ["Persuasion"]]

    def test_a_class_may_leave_its_own_field_out(self, sink, path):
        sink.take_columns("Book", ["title", "note"])
        add(sink, record("Book", title="Emma"))
        sink.close()
        assert rows(path) == [["title", "note"], ["Emma", ""]]


class TestCells:
    @pytest.mark.parametrize(
        ("value", "cell"),
        [
            (None, ""),
            (True, "true"),
            (False, "false"),
            (0, "0"),
            (1.5, "1.5"),
            (12345678901234567890123, "12345678901234567890123"),
            ("", ""),
            ("Čapek, “R.U.R.”", "Čapek, “R.U.R.”"),
            ('say "hi"', 'say "hi"'),
            ("two\nlines", "two\nlines"),
            ("a lone\rreturn", "a lone\rreturn"),
            ("Windows\r\n", "Windows\r\n"),
            ("=1+1", "=1+1"),
            ([1, "ä", None], '[1,"ä",null]'),
            ({"a": {"b": True}}, '{"a":{"b":true}}'),
        ],
    )
    def test_a_value_is_read_back_as_its_text(self, sink, path, value, cell):
        add(sink, record(id=1, value=value), record(id=2, value="next"))
        sink.close()
        assert rows(path) == [["id", "value"], ["1", cell], ["2", "next"]]

    def test_a_row_whose_only_cell_is_empty_is_still_a_row(self, sink, path):
        add(sink, record(n=None), record(n=1))
        sink.close()
        assert rows(path) == [["n"], [""], ["1"]]

    def test_a_line_ends_as_on_unix(self, sink, path):
        add(sink, record(a="x\r\n", b=1))
        sink.close()
        assert path.read_bytes() == b'a,b\n"x\r\n",1\n'


class TestResume:
    def test_columns_come_back_with_the_mark(self, sink, path):
        add(sink, record(title="Emma", price=1))
        mark = marked(sink)
        add(sink, record(title="lost", price=0))
        sink.close()
        resumed = CsvTable(path)
        resumed.rewind(mark)
        add(resumed, record(price=2, title="Persuasion"))
        with pytest.raises(ValueError, match="also has 'isbn'"):
            resumed.encode(record(title="", price=1, isbn=1))
        resumed.close()
        assert rows(path) == [["title", "price"], ["Emma", "1"], ["Persuasion", "2"]]

    def test_before_the_first_row_brings_the_header_again(self, sink, path):
        mark = marked(sink)
        add(sink, record(a=1))
        sink.close()
        resumed = CsvTable(path)
        resumed.rewind(mark)
        add(resumed, record(b=2))
        resumed.close()
        assert rows(path) == [["b"], ["2"]]

    def test_columns_known_before_the_first_row_stay(self, sink, path):
        sink.take_columns("Book", ["title", "note"])
        mark = marked(sink)
        sink.close()
        resumed = CsvTable(path)
        resumed.rewind(mark)
        add(resumed, record("Book", title="Emma"))
        resumed.close()
        assert rows(path) == [["title", "note"], ["Emma", ""]]

    def test_a_class_that_has_changed_does_not_lose_values(self, sink, path):
        sink.take_columns("Book", ["title", "note"])
        add(sink, record("Book", title="Emma", note=""))
        mark = marked(sink)
        sink.close()
        resumed = CsvTable(path)
        resumed.rewind(mark)
        resumed.take_columns("Book", ["title", "isbn"])
        with pytest.raises(ValueError, match="also has 'isbn' and has no 'note'"):
            resumed.encode(record("Book", title="Emma", isbn=1))
        resumed.close()

    def test_a_lost_table_is_written_anew_with_its_columns(self, sink, path):
        sink.take_columns("Book", ["title", "note"])
        add(sink, record("Book", title="Emma", note="!"))
        mark = marked(sink)
        sink.close()
        path.unlink()
        resumed = CsvTable(path)
        with pytest.raises(FeedLost):
            resumed.rewind(mark)
        resumed.start()
        add(resumed, record("Book", title="Emma", note="!"))
        resumed.close()
        assert rows(path) == [["title", "note"], ["Emma", "!"]]


class TestAppend:
    def test_takes_the_columns_of_the_header(self, path):
        path.write_text('title,"price, net"\nEmma,5\n')
        sink = CsvTable(path, append=True)
        sink.start()
        sink.take_columns("Book", ["price, net", "title"])
        add(sink, record("Book", **{"price, net": 6, "title": "Persuasion"}))
        sink.close()
        assert rows(path) == [["title", "price, net"], ["Emma", "5"], ["Persuasion", "6"]]

    def test_reads_what_a_spreadsheet_saved(self, path):
        path.write_bytes("\ufefftitle,price\r\nEmma,5".encode())
        sink = CsvTable(path, append=True)
        sink.start()
        add(sink, record(title="Persuasion", price=6))
        sink.close()
        assert path.read_bytes() == "\ufefftitle,price\r\nEmma,5\nPersuasion,6\n".encode()

    def test_to_an_empty_file_writes_the_header(self, path):
        path.touch()
        sink = CsvTable(path, append=True)
        sink.start()
        add(sink, record(n=1))
        sink.close()
        assert rows(path) == [["n"], ["1"]]

    @pytest.mark.parametrize("names", [["title"], ["title", "price", "isbn"]])
    def test_refuses_a_class_with_other_fields(self, path, names):
        path.write_text("title,price\nEmma,5\n")
        sink = CsvTable(path, append=True)
        sink.start()
        sink.take_columns("Book", names)
        with pytest.raises(ValueError, match="has the columns 'title', 'price', and this item"):
            sink.encode(record("Book", **dict.fromkeys(names, 1)))
        sink.close()
        assert path.read_text() == "title,price\nEmma,5\n"

    def test_an_item_that_does_not_fit_does_not_claim_the_table(self, path):
        path.write_text("title\n")
        sink = CsvTable(path, append=True)
        sink.start()
        sink.take_columns("Author", ["name"])
        with pytest.raises(ValueError):
            sink.encode(record("Author", name="Jane"))
        sink.take_columns("Book", ["title"])
        add(sink, record("Book", title="Emma"))
        sink.close()
        assert rows(path) == [["title"], ["Emma"]]

    def test_refuses_at_start_a_header_that_contradicts_the_given_columns(self, path):
        path.write_text("title;price\n")
        sink = CsvTable(path, append=True, columns=["title", "price"])
        with pytest.raises(
            FeedError, match="has the columns 'title;price', and 'title', 'price' are to be appended"
        ):
            sink.start()
        assert path.read_text() == "title;price\n"
