"""Tables in a SQLite database: what a crawl finds there, what it leaves, and what others see meanwhile."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from scraper.errors import FeedError, StorageError
from scraper.item import Record
from scraper.sinks import database_file, sqlite_tables
from scraper.sinks.database_file import DatabaseFile
from scraper.sinks.files import FeedLost
from scraper.sinks.sqlite_tables import SqliteTables

needs_limits = pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "books.sqlite"


@pytest.fixture
def sink(path):
    sink = SqliteTables(path)
    sink.start()
    yield sink
    sink.close()


def record(kind="dict", **values):
    return Record(b"", kind, json.dumps(values).encode())


def add(sink, *records):
    sink.append([sink.encode(each) for each in records])


def books(*numbers):
    return [record("Book", n=n) for n in numbers]


def ask(path, query, *values):
    """As any other program would."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as base:
        return base.execute(query, values).fetchall()


def rows(path, table="Book"):
    return ask(path, f'SELECT * FROM "{table}" ORDER BY rowid')


def numbers(path, table="Book"):
    return [n for (n,) in rows(path, table)]


def tables(path):
    return [
        name for (name,) in ask(path, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    ]


def files(folder):
    return sorted(file.name for file in folder.iterdir())


def marked(sink):
    """The mark as a run gives it back: through JSON."""
    return json.loads(json.dumps(sink.mark()))


def written_by_hand(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as base:
        for statement in statements:
            base.execute(statement)


@contextmanager
def at_most(size):
    """No file of this process grows beyond so many bytes: what a full disk is to SQLite."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestTables:
    def test_there_is_one_for_each_kind_of_item(self, sink, path):
        add(sink, record("Book", title="Emma"), record("Author", name="Jane"), record(any="thing"))
        add(sink, record("Book", title="Persuasion"))
        sink.finish()
        sink.close()
        assert tables(path) == ["Author", "Book", "items"]
        assert rows(path, "Book") == [("Emma",), ("Persuasion",)]
        assert rows(path, "Author") == [("Jane",)]
        assert rows(path, "items") == [("thing",)]

    def test_of_a_class_have_its_fields_and_of_dicts_the_keys_of_the_first(self, sink, path):
        sink.take_columns("Book", ["title", "price"])
        sink.take_columns("dict", None)
        add(sink, record("Book", price=5, title="Emma"), record(b=1, a=2), record(a=4, b=3))
        sink.close()
        assert rows(path, "Book") == [("Emma", 5)]
        assert rows(path, "items") == [(1, 2), (3, 4)]
        assert [column[1] for column in ask(path, "PRAGMA table_info(items)")] == ["b", "a"]

    def test_no_items_are_an_empty_database(self, sink, path):
        sink.take_columns("Book", ["title"])
        sink.finish()
        sink.close()
        assert tables(path) == []

    def test_a_class_may_leave_its_own_field_out(self, sink, path):
        sink.take_columns("Book", ["title", "note"])
        add(sink, record("Book", title="Emma"))
        sink.close()
        assert rows(path) == [("Emma", None)]

    @pytest.mark.parametrize(
        "name", ["rowid", "ROWID", 'say "hi"', "select", "two\nlines", "Größe", "", "%s"]
    )
    def test_a_column_may_have_any_name(self, sink, path, name):
        add(sink, record("Book", **{name: "a"}))
        mark = marked(sink)
        add(sink, record("Book", **{name: "b"}))
        sink.close()
        sink.rewind(mark)
        add(sink, record("Book", **{name: "c"}))
        sink.close()
        assert rows(path) == [("a",), ("c",)]
        assert ask(path, "SELECT name FROM pragma_table_info('Book')") == [(name,)]


class TestCells:
    @pytest.mark.parametrize(
        ("value", "cell"),
        [
            (None, None),
            (True, 1),
            (False, 0),
            (0, 0),
            (-(2**63), -(2**63)),
            (2**63, "9223372036854775808"),
            (1.5, 1.5),
            (1e300, 1e300),
            ("", ""),
            ("12.50", "12.50"),
            ("Čapek,\n“R.U.R.”", "Čapek,\n“R.U.R.”"),
            ("a\0b", "a\0b"),
            ([1, "ä", None], '[1,"ä",null]'),
            ({"a": {"b": True}}, '{"a":{"b":true}}'),
        ],
    )
    def test_a_value_keeps_its_type(self, sink, path, value, cell):
        add(sink, record("Book", value=value))
        sink.close()
        [(found,)] = rows(path)
        assert (type(found), found) == (type(cell), cell)


class TestRefused:
    def test_another_key(self, sink):
        add(sink, record("Book", title="Emma"))
        with pytest.raises(
            ValueError, match=r"'books\.sqlite' has the columns 'title', and this item also has 'isbn'"
        ):
            sink.encode(record("Book", title="Emma", isbn=1))

    def test_a_missing_key(self, sink):
        add(sink, record(title="Emma", price=1))
        with pytest.raises(ValueError, match=r"this item has no 'price'\. Use \.jsonl"):
            sink.encode(record(title="Emma"))

    @pytest.mark.parametrize("value", [b"{}", b"[1]", b'"text"', b"null", b"7"])
    def test_what_has_no_fields(self, sink, value):
        with pytest.raises(ValueError, match="has no fields"):
            sink.encode(Record(b"", "dict", value))
        add(sink, record(n=1))
        with pytest.raises(ValueError, match="has no fields"):
            sink.encode(Record(b"", "dict", value))

    @pytest.mark.parametrize(
        ("kind", "keys"),
        [
            ("Book", ["title", "Title"]),
            ("Book", ["nul\0"]),
            ("Book", ["rowid", "oid", "_rowid_"]),
            ("Book", [f"c{n}" for n in range(2001)]),
            ("sqlite_book", ["title"]),
        ],
    )
    def test_what_sqlite_can_make_no_table_of(self, sink, path, kind, keys):
        with pytest.raises(ValueError, match="SQLite can't make a table of this item"):
            sink.encode(record(kind, **dict.fromkeys(keys, 1)))
        add(sink, *books(1))
        sink.close()
        assert tables(path) == ["Book"]

    def test_a_class_whose_name_differs_only_in_case(self, sink, path):
        add(sink, *books(1))
        with pytest.raises(ValueError, match="has a table 'Book' of Book, and SQLite takes 'book'"):
            sink.encode(record("book", n=1))
        add(sink, record("BÖOK", n=1), record("BöOK", n=2))
        sink.close()
        assert tables(path) == ["Book", "BÖOK", "BöOK"]

    def test_and_the_table_goes_on_as_if_it_had_not_come(self, sink, path):
        for wrong in (Record(b"", "Book", b"[]"), Record(b"", "Book", b'{"a":1,"A":2}')):
            with pytest.raises(ValueError):
                sink.encode(wrong)
        add(sink, *books(1))
        with pytest.raises(ValueError):
            sink.encode(record("Book", n=1, extra=1))
        add(sink, *books(2))
        sink.close()
        assert numbers(path) == [1, 2]


OTHER = """
import sys
from pathlib import Path
from scraper.sinks.sqlite_tables import SqliteTables
SqliteTables(Path(sys.argv[1])).start()
"""


class TestWhileItRuns:
    def test_others_read_what_is_marked(self, sink, path):
        add(sink, *books(1, 2))
        sink.mark()
        add(sink, *books(3))
        assert numbers(path) == [1, 2]
        sink.mark()
        assert numbers(path) == [1, 2, 3]

    def test_a_reader_holds_nobody_up_and_sees_no_half(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            assert reader.execute("SELECT n FROM Book").fetchall() == [(1,)]
            add(sink, *books(2))
            sink.mark()
            sink.sync()
            assert reader.execute("SELECT n FROM Book").fetchall() == [(1,)]
            reader.execute("COMMIT")
            assert reader.execute("SELECT n FROM Book").fetchall() == [(1,), (2,)]

    def test_another_crawl_is_refused_and_harms_nothing(self, sink, path):
        add(sink, *books(1))
        mark = marked(sink)
        with pytest.raises(FeedError, match=r"books\.sqlite' is being written by another crawl"):
            SqliteTables(path).start()
        with pytest.raises(FeedError, match="another crawl"):
            SqliteTables(path).rewind(mark)
        add(sink, *books(2))
        sink.mark()
        assert numbers(path) == [1, 2]

    def test_another_process_is_refused_and_harms_nothing(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        other = subprocess.run([sys.executable, "-c", OTHER, str(path)], stderr=subprocess.PIPE, check=False)
        assert "is being written by another crawl" in other.stderr.decode()
        add(sink, *books(2))
        sink.mark()
        assert numbers(path) == [1, 2]

    def test_what_another_program_locks_is_told(self, path, monkeypatch):
        monkeypatch.setattr(database_file, "PATIENCE", 0.01)
        sink = SqliteTables(path)
        sink.start()
        add(sink, *books(1))
        sink.mark()
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match="another program is writing it; let that end first"):
                add(sink, *books(2))
            sink.close()
            with pytest.raises(FeedError, match="another program is writing it"):
                SqliteTables(path).start()
        assert numbers(path) == [1]

    def test_sync_in_a_thread_while_rows_are_appended(self, path, monkeypatch):
        monkeypatch.setattr(database_file, "LOG_LIMIT", 100_000)  # so that the log is moved meanwhile too
        sink = SqliteTables(path)
        sink.start()
        enough = threading.Event()

        def keep_syncing():
            times = 0
            while not (enough.is_set() and times):
                sink.sync()
                times += 1
            return times

        with ThreadPoolExecutor(1) as pool:
            syncing = pool.submit(keep_syncing)
            for start in range(0, 20_000, 100):
                add(sink, *(record("Book", n=n, text="x" * 100) for n in range(start, start + 100)))
                sink.mark()
            enough.set()
        assert syncing.result() > 0
        sink.finish()
        sink.close()
        assert [n for n, _ in rows(path)] == list(range(20_000))

    def test_the_log_does_not_grow_with_the_crawl(self, path, monkeypatch):
        monkeypatch.setattr(database_file, "LOG_LIMIT", 100_000)
        sink = SqliteTables(path)
        sink.start()
        for n in range(40):
            add(sink, *(record("Book", n=n, text="x" * 1000) for _ in range(100)))
            sink.mark()
            sink.sync()
        log = path.with_name(path.name + "-wal").stat().st_size
        sink.close()
        assert log < path.stat().st_size / 4

    def test_a_long_wait_for_a_mark_is_no_endless_transaction(self, sink, path, monkeypatch):
        monkeypatch.setattr(sqlite_tables, "LARGEST", 1000)
        add(sink, *books(*range(200)))
        assert numbers(path) == list(range(200))


class TestTheEnd:
    def test_a_finished_crawl_leaves_one_file(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        sink.sync()
        sink.finish()
        assert files(path.parent) == [path.name]
        assert path.read_bytes()[18:20] == b"\1\1"  # no write-ahead log: a reader needs no more than to read
        sink.sync()
        sink.close()
        assert files(path.parent) == [path.name]
        assert numbers(path) == [1]

    def test_an_interrupted_one_too(self, sink, path):
        add(sink, *books(1))
        sink.close()
        assert files(path.parent) == [path.name]
        assert numbers(path) == [1]

    def test_a_reader_that_stays_takes_the_rest_along(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        with closing(sqlite3.connect(path)) as reader:
            assert reader.execute("SELECT n FROM Book").fetchall() == [(1,)]
            add(sink, *books(2))
            sink.finish()
            sink.sync()
            sink.close()
            assert reader.execute("SELECT n FROM Book").fetchall() == [(1,), (2,)]
        assert files(path.parent) == [path.name]

    def test_a_mark_after_the_end_is_the_same(self, sink):
        add(sink, *books(1))
        mark = marked(sink)
        sink.finish()
        assert marked(sink) == mark

    def test_a_finished_run_can_go_on(self, sink, path):
        add(sink, *books(1))
        mark = marked(sink)
        sink.finish()
        sink.close()
        sink.rewind(mark)
        add(sink, *books(2))
        sink.finish()
        sink.close()
        assert numbers(path) == [1, 2]

    def test_closing_twice_or_never_opened_is_fine(self, path):
        SqliteTables(path).close()
        sink = SqliteTables(path)
        sink.start()
        sink.close()
        sink.close()

    def test_writing_before_start_says_what_is_missing(self, path):
        with pytest.raises(RuntimeError, match=r"call start\(\) or rewind\(\) first"):
            SqliteTables(path).mark()


class TestResume:
    def test_rewind_cuts_what_came_after_the_mark(self, sink, path):
        add(sink, *books(1, 2), record("Author", name="Jane"))
        mark = marked(sink)
        add(sink, *books(3, 4), record("Author", name="lost"), record(late="table"))
        sink.close()
        sink.rewind(mark)
        add(sink, *books(5))
        sink.close()
        assert numbers(path) == [1, 2, 5]
        assert rows(path, "Author") == [("Jane",)]
        assert tables(path) == ["Author", "Book"]

    def test_columns_come_back_with_the_mark(self, sink, path):
        add(sink, record(title="Emma", price=1))
        mark = marked(sink)
        sink.close()
        resumed = SqliteTables(path)
        resumed.rewind(mark)
        add(resumed, record(price=2, title="Persuasion"))
        with pytest.raises(ValueError, match="also has 'isbn'"):
            resumed.encode(record(title="", price=1, isbn=1))
        resumed.close()
        assert rows(path, "items") == [("Emma", 1), ("Persuasion", 2)]

    def test_columns_known_before_the_first_row_stay(self, sink, path):
        sink.take_columns("Book", ["title", "note"])
        sink.encode(record("Book", title="not committed", note=""))
        mark = marked(sink)
        sink.close()
        resumed = SqliteTables(path)
        resumed.rewind(mark)
        add(resumed, record("Book", title="Emma"))
        resumed.close()
        assert rows(path) == [("Emma", None)]

    def test_before_the_first_row_other_columns_may_come(self, sink, path):
        mark = marked(sink)
        add(sink, record(a=1))
        sink.close()
        sink.rewind(mark)
        add(sink, record(b=2))
        sink.close()
        assert ask(path, "SELECT b FROM items") == [(2,)]

    def test_a_class_that_has_changed_does_not_lose_values(self, sink, path):
        sink.take_columns("Book", ["title", "note"])
        add(sink, record("Book", title="Emma", note=""))
        mark = marked(sink)
        sink.close()
        resumed = SqliteTables(path)
        resumed.rewind(mark)
        resumed.take_columns("Book", ["title", "isbn"])
        with pytest.raises(ValueError, match="also has 'isbn' and has no 'note'"):
            resumed.encode(record("Book", title="Emma", isbn=1))
        resumed.close()

    def test_views_and_indexes_that_others_made_meanwhile_stay(self, sink, path):
        add(sink, *books(1, 2))
        mark = marked(sink)
        add(sink, *books(3))
        sink.close()
        written_by_hand(path, "CREATE VIEW most AS SELECT max(n) FROM Book", "CREATE INDEX by_n ON Book (n)")
        sink.rewind(mark)
        add(sink, *books(7))
        sink.close()
        assert rows(path, "most") == [(7,)]
        assert ask(path, "SELECT n FROM Book INDEXED BY by_n WHERE n > 1") == [(2,), (7,)]


class TestAFreshRun:
    def test_replaces_the_tables_that_crawls_have_made(self, path):
        for n in (1, 2):
            sink = SqliteTables(path)
            sink.start()
            add(sink, record("Book", n=n, text="x" * 10_000 * (3 - n)), record(f"Kind{n}", n=n))
            sink.finish()
            sink.close()
        assert tables(path) == ["Book", "Kind2"]
        assert [n for n, _ in rows(path)] == [2]

    def test_gives_back_the_space_of_the_old_one(self, path):
        sink = SqliteTables(path)
        sink.start()
        add(sink, *(record("Book", n=n, text="x" * 1000) for n in range(1000)))
        sink.close()
        full = path.stat().st_size
        sink.start()
        add(sink, *books(1))
        sink.close()
        assert path.stat().st_size < full / 50

    def test_does_not_touch_a_database_with_other_tables(self, path):
        written_by_hand(path, "CREATE TABLE customers (name)", "INSERT INTO customers VALUES ('Jane')")
        before = path.read_bytes()
        with pytest.raises(FeedError, match=r"tables that no crawl has made: 'customers'\. Use --append"):
            SqliteTables(path).start()
        assert rows(path, "customers") == [("Jane",)]
        assert path.read_bytes() == before
        assert files(path.parent) == [path.name]

    def test_does_not_touch_what_is_no_database(self, path):
        path.write_text("title,price\nEmma,5\n" * 100)
        with pytest.raises(FeedError, match=r"books\.sqlite' is no SQLite database\. Move it away"):
            SqliteTables(path).start()
        assert path.read_text() == "title,price\nEmma,5\n" * 100

    def test_an_empty_file_is_an_empty_database(self, path):
        path.touch()
        sink = SqliteTables(path)
        sink.start()
        add(sink, *books(1))
        sink.close()
        assert numbers(path) == [1]

    def test_has_nothing_to_do_with_the_log_of_a_database_that_was_deleted(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        killed(path)
        sink.close()
        revive(path)
        path.unlink()
        fresh = SqliteTables(path)
        fresh.start()
        add(fresh, *books(2))
        fresh.close()
        assert numbers(path) == [2]

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(FeedError, match=r"There is no folder '.*nowhere' to write 'feed\.sqlite' in"):
            SqliteTables(tmp_path / "nowhere" / "feed.sqlite").start()

    def test_a_folder_in_place_of_the_file_is_named(self, path):
        path.mkdir()
        with pytest.raises(FeedError, match=r"books\.sqlite' is a folder"):
            SqliteTables(path).start()

    def test_a_link_leads_to_the_file(self, path, tmp_path):
        elsewhere = tmp_path / "disk" / "all.sqlite"
        elsewhere.parent.mkdir()
        path.symlink_to(elsewhere)
        sink = SqliteTables(path)
        sink.start()
        add(sink, *books(1))
        mark = marked(sink)
        sink.sync()
        sink.finish()
        sink.close()
        assert numbers(elsewhere) == [1]
        elsewhere.write_bytes(b"noise" * 1000)
        with pytest.raises(FeedLost):
            sink.rewind(mark)
        sink.start()
        sink.close()
        assert path.is_symlink()
        assert files(elsewhere.parent) == ["all.sqlite"]

    @pytest.mark.parametrize("name", ["50% off?.sqlite", "a#b.sqlite", "ä ö.sqlite", "file:x.sqlite"])
    def test_a_file_may_have_any_name(self, tmp_path, name):
        sink = SqliteTables(tmp_path / name)
        sink.start()
        add(sink, *books(1))
        sink.finish()
        sink.close()
        assert files(tmp_path) == [name]


class TestAppend:
    def test_keeps_what_is_there(self, path):
        for n in (1, 2):
            sink = SqliteTables(path, append=True)
            sink.start()
            sink.take_columns("Book", ["n"])
            add(sink, *books(n), record(f"Kind{n}", n=n))
            sink.finish()
            sink.close()
        assert numbers(path) == [1, 2]
        assert tables(path) == ["Book", "Kind1", "Kind2"]

    def test_the_same_page_tomorrow_is_another_row(self, path):
        for _ in range(2):
            sink = SqliteTables(path, append=True)
            sink.start()
            sink.append([sink.encode(Record(b"the same item id", "Book", b'{"n":1}'))])
            sink.close()
        assert numbers(path) == [1, 1]

    def test_stands_beside_the_tables_of_others(self, path):
        written_by_hand(path, "CREATE TABLE customers (name)", "INSERT INTO customers VALUES ('Jane')")
        sink = SqliteTables(path, append=True)
        sink.start()
        add(sink, *books(1))
        mark = marked(sink)
        add(sink, *books(2))
        sink.close()
        sink.rewind(mark)
        sink.close()
        assert numbers(path) == [1]
        assert rows(path, "customers") == [("Jane",)]

    def test_leaves_a_database_in_the_journal_mode_of_its_owner(self, path):
        for mode in ("wal", "delete"):
            written_by_hand(
                path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE IF NOT EXISTS customers (name)"
            )
            sink = SqliteTables(path, append=True)
            sink.start()
            add(sink, *books(1))
            mark = marked(sink)
            sink.close()
            sink.rewind(mark)
            sink.finish()
            sink.close()
            assert ask(path, "PRAGMA journal_mode") == [(mode,)]

    @pytest.mark.parametrize(
        "other", ["CREATE TABLE book (n UNIQUE)", "CREATE VIEW Book AS SELECT 1 AS n", "CREATE TABLE x (n)"]
    )
    def test_refuses_items_for_which_somebody_elses_table_is_in_the_way(self, path, other):
        written_by_hand(path, other)
        sink = SqliteTables(path, append=True)
        sink.start()
        with pytest.raises(ValueError, match=r"has a '.*' that no crawl has made"):
            sink.encode(record("X" if "x" in other else "Book", n=1))
        sink.close()

    def test_refuses_items_with_other_columns(self, path):
        sink = SqliteTables(path)
        sink.start()
        add(sink, record("Book", title="Emma"))
        sink.close()
        sink = SqliteTables(path, append=True)
        sink.start()
        sink.take_columns("Book", ["title", "price"])
        with pytest.raises(ValueError, match="has the columns 'title', and this item also has 'price'"):
            sink.encode(record("Book", title="Persuasion", price=1))
        sink.close()
        assert rows(path) == [("Emma",)]

    def test_goes_on_in_every_later_life(self, path):
        sink = SqliteTables(path)
        sink.start()
        add(sink, *books(0))
        sink.close()
        sink = SqliteTables(path, append=True)
        sink.start()
        for n in (1, 2, 3):
            add(sink, *books(n))
            mark = marked(sink)
            add(sink, *books(99))
            sink.close()
            sink = SqliteTables(path, append=True)
            sink.rewind(mark)
            assert marked(sink) == mark
        sink.close()
        assert numbers(path) == [0, 1, 2, 3]

    def test_rewind_to_the_first_mark_leaves_the_old_content(self, path):
        sink = SqliteTables(path)
        sink.start()
        add(sink, *books(0))
        sink.close()
        sink = SqliteTables(path, append=True)
        sink.start()
        mark = marked(sink)
        add(sink, *books(1), record(new="table"))
        sink.close()
        sink.rewind(mark)
        sink.close()
        assert numbers(path) == [0]
        assert tables(path) == ["Book"]

    def test_does_not_touch_what_is_no_database(self, path):
        path.write_bytes(b"title,price\n" * 100)
        with pytest.raises(FeedError, match="is no SQLite database"):
            SqliteTables(path, append=True).start()
        assert path.read_bytes() == b"title,price\n" * 100


class TestLost:
    """A database that can't be taken back to its mark: the caller starts again and appends everything."""

    def interrupted(self, path, *, append=False):
        sink = SqliteTables(path, append=append)
        sink.start()
        add(sink, *books(1, 2, 3))
        mark = marked(sink)
        sink.close()
        return mark

    def resumed(self, path, mark, why, *, append=False):
        sink = SqliteTables(path, append=append)
        with pytest.raises(FeedLost, match=why):
            sink.rewind(mark)
        before = path.read_bytes() if path.exists() else None
        sink.start()
        add(sink, *books(1, 2, 3))
        sink.close()
        return before

    def test_a_missing_file_is_not_made_by_rewind(self, path):
        mark = self.interrupted(path)
        path.unlink()
        assert self.resumed(path, mark, "is gone") is None
        assert numbers(path) == [1, 2, 3]

    @pytest.mark.parametrize(
        "change", ["DELETE FROM Book", "UPDATE Book SET n = 7", "ALTER TABLE Book ADD note"]
    )
    def test_a_database_of_another_content_is_recognised(self, path, change):
        mark = self.interrupted(path)
        written_by_hand(path, change)
        self.resumed(path, mark, "is not what this run wrote")
        assert numbers(path) == [1, 2, 3]

    def test_an_emptied_file_is_written_again(self, path):
        mark = self.interrupted(path)
        path.write_bytes(b"")
        assert self.resumed(path, mark, "is not what this run wrote") is not None
        assert numbers(path) == [1, 2, 3]

    @pytest.mark.parametrize("rest", [1, 100, 4096, 6000, 8191])
    def test_a_cut_file_is_written_again(self, path, rest):
        mark = self.interrupted(path)
        assert path.stat().st_size == 8192
        with path.open("r+b") as file:
            file.truncate(rest)
        self.resumed(path, mark, "is (damaged|not what this run wrote)")
        assert numbers(path) == [1, 2, 3]

    @pytest.mark.parametrize("page", [0, 1])
    def test_a_page_of_zeros_or_noise_is_written_again(self, path, page):
        for noise in (bytes(4096), b"noise" * 1000):
            mark = self.interrupted(path)
            with path.open("r+b") as file:
                file.seek(page * 4096)
                file.write(noise[:4096])
            self.resumed(path, mark, "is damaged")
            assert numbers(path) == [1, 2, 3]

    def test_somebody_elses_database_at_its_place_is_left_alone(self, path):
        mark = self.interrupted(path)
        path.unlink()
        written_by_hand(path, "CREATE TABLE customers (name)", "INSERT INTO customers VALUES ('Jane')")
        sink = SqliteTables(path)
        with pytest.raises(FeedLost, match="is not what this run wrote"):
            sink.rewind(mark)
        with pytest.raises(FeedError, match="tables that no crawl has made: 'customers'"):
            sink.start()
        assert rows(path, "customers") == [("Jane",)]

    def test_rewind_unlocks_what_it_refuses(self, path):
        mark = self.interrupted(path)
        written_by_hand(path, "DELETE FROM Book")
        with pytest.raises(FeedLost):
            SqliteTables(path).rewind(mark)
        DatabaseFile(path).close()

    def test_what_is_left_of_the_runs_own_part_goes_and_the_old_content_stays(self, path):
        sink = SqliteTables(path)
        sink.start()
        add(sink, *books(*range(-300, 0)))
        sink.close()
        sink = SqliteTables(path, append=True)
        sink.start()
        add(sink, *books(*range(500)), record(own="table"))
        mark = marked(sink)
        sink.close()
        written_by_hand(path, "DELETE FROM Book WHERE n = 499")
        with pytest.raises(FeedLost):
            sink.rewind(mark)
        sink.start()
        add(sink, *books(*range(500)), record(own="table"))
        sink.close()
        assert numbers(path) == [*range(-300, 0), *range(500)]
        assert rows(path, "items") == [("table",)]

    def test_append_never_cuts_what_it_does_not_know(self, path):
        sink = SqliteTables(path)
        sink.start()
        add(sink, *books(0))
        sink.close()
        mark = self.interrupted(path, append=True)
        written_by_hand(path, "UPDATE Book SET n = n + 10")
        self.resumed(path, mark, "is not what this run wrote", append=True)
        assert numbers(path) == [10, 11, 12, 13, 1, 2, 3]

    def test_nor_rows_that_stand_where_its_own_would_have_come(self, path):
        for n in (0, 5):
            sink = SqliteTables(path)
            sink.start()
            add(sink, *books(n))
            sink.close()
            if n == 0:
                sink = SqliteTables(path, append=True)
                sink.start()
                mark = marked(sink)
                sink.close()
        written_by_hand(path, "INSERT INTO Book VALUES (6), (7)")
        self.resumed(path, mark, "is not what this run wrote", append=True)
        assert numbers(path) == [5, 6, 7, 1, 2, 3]

    def test_a_damaged_database_that_is_appended_to_is_a_persons_to_put_right(self, path):
        mark = self.interrupted(path, append=True)
        path.write_bytes(b"noise" * 1000)
        sink = SqliteTables(path, append=True)
        with pytest.raises(FeedLost, match="is damaged"):
            sink.rewind(mark)
        with pytest.raises(FeedError, match="Move it away"):
            sink.start()
        assert path.read_bytes() == b"noise" * 1000


# ── what the disk may do ─────────────────────────────────────────────────────────────────────────────────


def killed(path):
    """Keeps what a process that dies now leaves behind."""
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", f"{path}{ending}.left")


def revive(path):
    for ending in ("", "-wal"):
        Path(f"{path}{ending}.left").replace(f"{path}{ending}")


def fill(sink):
    for n in range(1000, 100_000, 100):
        add(sink, *books(*range(n, n + 100)))
        sink.mark()


class TestTheDisk:
    @needs_limits
    def test_a_full_disk_is_told_and_nothing_that_was_marked_is_lost(self, sink, path):
        add(sink, *books(*range(1000)))
        mark = marked(sink)
        sink.sync()
        with at_most(100_000):
            with pytest.raises(
                StorageError, match=r"can't be written: (database or disk is full|disk I/O error)"
            ):
                fill(sink)
            with pytest.raises(StorageError):
                sink.mark()  # there is no mark that covers what is not there
            sink.close()
        sink.rewind(mark)
        add(sink, *books(1000))
        sink.close()
        assert numbers(path) == list(range(1001))

    def test_sync_waits_until_the_log_is_on_the_disk(self, sink, path, monkeypatch):
        synced = []
        monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
        add(sink, *books(1))
        sink.mark()
        log = path.with_name(path.name + "-wal").stat().st_ino
        assert log not in synced
        sink.sync()
        assert log in synced

    def test_a_file_that_is_removed_meanwhile_is_noticed(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        path.unlink()
        with pytest.raises(StorageError, match=r"was removed while it was written\. A resume writes it anew"):
            sink.sync()

    def test_a_file_that_is_replaced_meanwhile_is_noticed(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        other = path.with_name("other.sqlite")
        written_by_hand(other, "CREATE TABLE customers (name)")
        other.replace(path)
        with pytest.raises(StorageError, match="was replaced while it was written"):
            sink.sync()

    def test_a_log_that_is_removed_meanwhile_is_noticed(self, sink, path):
        add(sink, *books(1))
        sink.mark()
        path.with_name(path.name + "-wal").unlink()
        with pytest.raises(StorageError, match=r"books\.sqlite-wal' can't be written: No such file"):
            sink.sync()

    def test_a_child_that_outlives_the_crawl_does_not_keep_its_lock(self, sink, path):
        add(sink, *books(1))
        mark = marked(sink)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False):
            sink.close()
            sink.rewind(mark)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from scraper.item import Record
from scraper.sinks.sqlite_tables import SqliteTables
sink = SqliteTables(Path(sys.argv[1]))
sink.start()
def add(numbers):
    sink.append([sink.encode(Record(b"", "Book", b'{"n":%d}' % n)) for n in numbers])
add(range(1000))
mark = sink.mark()
sink.sync()
print(json.dumps(mark), flush=True)
add(range(1000, 20_000))
sink.mark()
add(range(20_000, 40_000))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_process_that_is_killed_leaves_a_database_to_read_and_to_go_on_with(path):
    died = subprocess.run([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, check=False)
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT count(*) FROM Book").fetchone() == (20_000,)
    sink = SqliteTables(path)
    sink.rewind(json.loads(died.stdout))
    add(sink, *books(*range(1000, 2000)))
    sink.finish()
    sink.close()
    assert numbers(path) == list(range(2000))
    assert files(path.parent) == [path.name]
