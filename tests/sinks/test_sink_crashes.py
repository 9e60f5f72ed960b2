"""However often a crawl is killed, a feed ends up as if it had been written in one go."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.item import Record
from scraper.sinks.csv_table import CsvTable
from scraper.sinks.files import FeedLost
from scraper.sinks.json_array import JsonArray
from scraper.sinks.jsonl import JsonLines

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


class Run:
    """A crawl as its feed sees it: `items` are committed, `mark` covers the first `covered` of them."""

    def __init__(self, make, path):
        self.make, self.path = make, path
        self.items = []
        self.sink = make(path)
        self.sink.start()
        self.save_mark()

    def save_mark(self):
        self.covered = len(self.items)
        self.mark = json.dumps(self.sink.mark())

    def append(self, texts):
        records = [self.record(n, text) for n, text in enumerate(texts, start=len(self.items))]
        self.items += records
        self.sink.append([self.sink.encode(record) for record in records])

    @staticmethod
    def record(n, text):
        return Record(b"", "Book", json.dumps({"id": n, "text": text}, ensure_ascii=False).encode())

    def crash(self, kept, torn, gone):
        self.sink.close()
        offset = json.loads(self.mark)["offset"]
        with self.path.open("r+b") as file:
            size = file.seek(0, 2)
            file.truncate(offset + int((size - offset) * kept))
            file.seek(0, 2)
            file.write(torn)
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
        return self.path.read_bytes()


def in_one_go(make, path, items):
    sink = make(path)
    sink.start()
    for record in items:
        sink.append([sink.encode(record)])
    sink.finish()
    sink.close()
    return path.read_bytes()


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
def test_a_crawl_with_crashes_writes_what_one_without_writes(make, steps):
    with tempfile.TemporaryDirectory() as folder:
        run = Run(make, Path(folder) / "feed")
        live(run, steps)
        assert run.end() == in_one_go(make, Path(folder) / "straight", run.items)


@pytest.mark.parametrize("sink", [JsonLines, CsvTable])
@given(steps=steps)
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
