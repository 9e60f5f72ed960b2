"""Standard output: JSON lines for a pipe, and a pipe that closes early."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scraper.errors import StorageError
from scraper.item import Record
from scraper.sinks.stdout import StandardOutput

ENDLESS = """
import sys
from scraper.errors import StorageError
from scraper.sinks.stdout import StandardOutput
sink = StandardOutput()
sink.start()
try:
    while True:
        sink.append([b"{}\\n"] * 1000)
        sink.mark()
except StorageError as error:
    print(error, file=sys.stderr)
sink.close()
"""


def test_one_item_a_line(capsysbinary):
    sink = StandardOutput()
    sink.start()
    sink.append([sink.encode(Record(b"", "Book", b'{"n":1}')), sink.encode(Record(b"", "Book", b'{"n":2}'))])
    sink.finish()
    sink.close()
    assert capsysbinary.readouterr().out == b'{"n":1}\n{"n":2}\n'


def test_a_mark_flushes():
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as stream, os.fdopen(reading, "rb") as pipe:
        sink = StandardOutput(stream)
        sink.append([b"{}\n"])
        sink.mark()
        assert pipe.readline() == b"{}\n"


def test_nothing_can_be_taken_back():
    stream = io.BytesIO()
    sink = StandardOutput(stream)
    sink.start()
    mark = sink.mark()
    sink.append([b"1\n"])
    sink.rewind(mark)
    sink.append([b"1\n"])
    sink.sync()
    sink.close()
    assert stream.getvalue() == b"1\n1\n"


def test_a_reader_that_has_gone_is_told_in_words_once():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stream:
        sink = StandardOutput(stream)
        sink.append([b"{}\n"])
        with pytest.raises(StorageError, match="closed by the program that read it"):
            sink.mark()
        sink.close()


def test_a_reader_that_has_gone_leaves_no_noise_at_exit():
    crawl = subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with crawl:
        assert crawl.stdout.readline() == b"{}\n"
        crawl.stdout.close()
        said = crawl.stderr.read()
    assert said.decode().splitlines() == ["Standard output was closed by the program that read it."]
    assert crawl.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_told_in_words():
    with Path("/dev/full").open("wb", buffering=0) as stream:
        sink = StandardOutput(stream)
        with pytest.raises(StorageError, match="Standard output can't be written: No space left on device"):
            sink.append([b"{}\n"])
