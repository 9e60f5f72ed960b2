"""However often a crawl is killed, a feed ends up as if it had been written in one go."""

import json
import sqlite3
import struct
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.item import Record
from scraper.sinks.csv_table import CsvTable
from scraper.sinks.files import FeedLost
from scraper.sinks.json_array import JsonArray
from scraper.sinks.jsonl import JsonLines
from scraper.sinks.sqlite_tables import SqliteTables

SINKS = [JsonLines, JsonArray, CsvTable]
OLD = b"id,text\r\n0,old"  # no line break at its end

texts = st.text(st.characters(codec="utf-8"), max_size=20)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(texts, max_size=4)),
        st.tuples(st.just("mark")),
        st.tuples(st.just("finish")),
        # how much of what came after the mark reached the disk, what was torn, whether the file is gone
        st.tuples(
            st.just("crash"), st.floats(0, 1), st.binary(max_size=8), st.sampled_from([False] * 4 + [True])
        ),
    ),
    max_size=12,
)
in_its_own_time = settings(deadline=None)  # it waits for the disk


class FileOnDisk:
    """What a crash leaves of a file: all up to the mark, of the rest a part, and something torn."""

    def __init__(self, path):
        self.path = path

    def marked(self, mark):
        self.offset = mark["offset"]

    def crash(self, sink, kept, torn):
        sink.close()
        with self.path.open("r+b") as file:
            size = file.seek(0, 2)
            file.truncate(self.offset + int((size - self.offset) * kept))
            file.seek(0, 2)
            file.write(torn)

    def content(self):
        return self.path.read_bytes()


class DatabaseOnDisk:
    """What a crash leaves of a SQLite database: the file, and of its log what a file would have left."""

    def __init__(self, path):
        self.path = path
        self.log = path.with_name(path.name + "-wal")

    def marked(self, mark):
        self.at = self.end()

    def end(self):
        """Which log it is (its salts), and where it ends, counted in frames: those of older logs may follow."""
        log = self.log.read_bytes() if self.log.exists() else b""
        if len(log) < 32:
            return b"", 0
        page, salts, end = struct.unpack(">I", log[8:12])[0], log[16:24], 32
        while log[end + 8 : end + 16] == salts:
            end += 24 + page
        return salts, end

    def crash(self, sink, kept, torn):
        base, log = self.path.read_bytes(), self.log.read_bytes() if self.log.exists() else None
        (salts, end), (marked_salts, marked) = self.end(), self.at
        sink.close()  # which takes the log in: what it does is undone
        self.path.write_bytes(base)
        if log is not None:
            safe = marked if salts == marked_salts else 32
            self.log.write_bytes(log[: safe + int(max(0, end - safe) * kept)] + torn)

    def content(self):
        with closing(sqlite3.connect(self.path)) as base:
            assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            tables = base.execute("SELECT name FROM sqlite_schema ORDER BY name").fetchall()
            return {
                name: base.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for (name,) in tables
            }


class Run:
    """A crawl as its feed sees it: `items` are committed, `mark` covers the first `covered` of them."""

    def __init__(self, make, path, disk=FileOnDisk):
        self.make, self.path, self.disk = make, path, disk(path)
        self.items = []
        self.sink = make(path)
        self.sink.start()
        self.save_mark()

    def save_mark(self):
        self.covered = len(self.items)
        mark = self.sink.mark()
        self.mark = json.dumps(mark)
        self.disk.marked(mark)

    def append(self, texts):
        records = [self.record(n, text) for n, text in enumerate(texts, start=len(self.items))]
        self.items += records
        self.sink.append([self.sink.encode(record) for record in records])

    @staticmethod
    def record(n, text):
        return Record(b"", "Book", json.dumps({"id": n, "text": text}, ensure_ascii=False).encode())

    def crash(self, kept, torn, gone):
        self.disk.crash(self.sink, kept, torn)
        if gone:
            self.path.unlink()
        self.resume()

    def resume(self):
        self.sink, there = self.make(self.path), self.covered
        try:
            self.sink.rewind(json.loads(self.mark))
        except FeedLost:
            self.sink.start()
            there = 0
        self.sink.append([self.sink.encode(record) for record in self.items[there:]])

    def end(self):
        self.sink.finish()
        self.sink.close()
        return self.disk.content()


def in_one_go(make, path, items, disk=FileOnDisk):
    sink = make(path)
    sink.start()
    for record in items:
        sink.append([sink.encode(record)])
    sink.finish()
    sink.close()
    return disk(path).content()


def live(run, steps, *, may_be_lost=True):
    for what, *details in steps:
        if what == "append":
            run.append(*details)
        elif what == "mark":
            run.save_mark()
        elif what == "finish":
            run.save_mark()
            run.sink.finish()
            run.crash(1, b"", gone=False)
        else:
            *how, gone = details
            run.crash(*how, gone=gone and may_be_lost)


@pytest.mark.parametrize("make", SINKS)
@given(steps=steps)
@in_its_own_time
def test_a_crawl_with_crashes_writes_what_one_without_writes(make, steps):
    with tempfile.TemporaryDirectory() as folder:
        run = Run(make, Path(folder) / "feed")
        live(run, steps)
        assert run.end() == in_one_go(make, Path(folder) / "straight", run.items)


@pytest.mark.parametrize("sink", [JsonLines, CsvTable])
@given(steps=steps)
@in_its_own_time
def test_an_appending_crawl_with_crashes_keeps_the_old_content(sink, steps):
    def make(path):
        return sink(path, append=True)

    with tempfile.TemporaryDirectory() as folder:
        for name in ("feed", "straight"):
            (Path(folder) / name).write_bytes(OLD)
        run = Run(make, Path(folder) / "feed")
        live(run, steps, may_be_lost=False)
        written = run.end()
        assert written.startswith(OLD + b"\n")
        assert written == in_one_go(make, Path(folder) / "straight", run.items)


# One test, or two: a file that a crawl appends to has old content, which a database needs no less.
@pytest.mark.parametrize("append", [False, True])
@given(steps=steps)
@settings(in_its_own_time, max_examples=40)
def test_a_database_too_and_what_else_is_in_it_stays(append, steps):
    def make(path):
        return SqliteTables(path, append=append)

    with tempfile.TemporaryDirectory() as folder:
        for name in ("feed", "straight") if append else ():
            in_one_go(
                SqliteTables, Path(folder) / name, [Run.record(n, "old") for n in range(3)], DatabaseOnDisk
            )
        run = Run(make, Path(folder) / "feed", DatabaseOnDisk)
        live(run, steps, may_be_lost=not append)
        assert run.end() == in_one_go(make, Path(folder) / "straight", run.items, DatabaseOnDisk)
        assert {file.name for file in Path(folder).iterdir()} == {"feed", "straight"}


KILLED = """
import json, os, signal, sys
from pathlib import Path
from scraper.sinks.jsonl import JsonLines
sink = JsonLines(Path(sys.argv[1]))
sink.start()
sink.append([b"%d\\n" % n for n in range(1000)])
mark = sink.mark()
sink.sync()
print(json.dumps(mark), flush=True)
sink.append([b"%d\\n" % n for n in range(1000, 100_000)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_process_that_is_killed_leaves_a_file_to_go_on_with(tmp_path):
    path = tmp_path / "feed.jsonl"
    died = subprocess.run([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, check=False)
    sink = JsonLines(path)
    sink.rewind(json.loads(died.stdout))
    sink.append([b"%d\n" % n for n in range(1000, 2000)])
    sink.close()
    assert path.read_text().split() == [str(n) for n in range(2000)]
