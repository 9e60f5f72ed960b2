"""The file under every feed: its lock, its buffer, and what the disk may do to it."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from scraper.errors import FeedError, StorageError
from scraper.sinks.append_file import BUFFER, AppendFile

HOLDER = """
import sys
from pathlib import Path
from scraper.sinks.append_file import AppendFile
file = AppendFile(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""

full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "feed.jsonl"


def test_lines_come_after_what_is_there(path):
    path.write_bytes(b"old\n")
    file = AppendFile(path)
    file.append([b"one\n", b"two\n"])
    assert file.end == 12
    file.close()
    assert path.read_bytes() == b"old\none\ntwo\n"


def test_lines_wait_in_memory_until_flushed(path):
    file = AppendFile(path)
    file.append([b"one\n"])
    assert path.stat().st_size == 0
    file.flush()
    assert path.read_bytes() == b"one\n"
    file.close()


def test_a_full_buffer_is_handed_over(path):
    file = AppendFile(path)
    file.append([b"x" * BUFFER])
    assert path.stat().st_size == BUFFER
    file.close()


def test_reading_does_not_disturb_appending(path):
    file = AppendFile(path)
    file.append([b"one\n", b"two\n"])
    file.flush()
    assert file.read(0, 3) == b"one"
    file.append([b"three\n"])
    file.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"


def test_a_second_writer_is_refused_and_harms_nothing(path):
    first = AppendFile(path)
    first.append([b"one\n"])
    first.flush()
    with pytest.raises(FeedError, match=r"feed\.jsonl' is being written by another crawl"):
        AppendFile(path)
    first.close()
    AppendFile(path).close()
    assert path.read_bytes() == b"one\n"


def test_another_process_is_refused_until_the_first_is_dead(path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FeedError, match="another crawl"):
            AppendFile(path)
        holder.kill()
    AppendFile(path).close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings(
    "ignore:.*fork:DeprecationWarning"
)  # threads of other tests; this child only waits
def test_a_child_that_outlives_the_file_does_not_keep_its_lock(path):
    file = AppendFile(path)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # until the parent lets go
        os._exit(0)
    os.close(reading)
    try:
        file.close()
        AppendFile(path).close()
    finally:
        os.close(writing)
        os.waitpid(child, 0)


@full_disk
def test_a_full_disk_is_told_with_the_path(path):
    path.symlink_to("/dev/full")
    file = AppendFile(path)
    file.append([b"one\n"])
    with pytest.raises(StorageError, match=r"feed\.jsonl' can't be written: No space left on device\."):
        file.flush()
    with pytest.raises(StorageError):
        file.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_after_a_full_disk_the_next_flush_goes_on_where_the_last_one_stopped(path):
    import resource

    file = AppendFile(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    lines = [b"%07d\n" % n for n in range(1_000)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_001, hard))
    try:
        file.append(lines)
        with pytest.raises(StorageError, match="can't be written"):
            file.flush()
        assert path.stat().st_size == 1_001
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    file.append([b"the end\n"])
    file.close()
    assert path.read_bytes() == b"".join([*lines, b"the end\n"])


def test_a_file_that_is_removed_meanwhile_is_noticed(path):
    file = AppendFile(path)
    file.append([b"one\n"])
    file.flush()
    path.unlink()
    with pytest.raises(StorageError, match="removed while it was written"):
        file.sync()
    file.close()


def test_sync_in_a_thread_while_lines_are_appended(path):
    file = AppendFile(path)
    enough = threading.Event()

    def keep_syncing():
        while not enough.is_set():
            file.sync()

    thread = threading.Thread(target=keep_syncing)
    thread.start()
    lines = [b"%0200d\n" % n for n in range(20_000)]
    for start in range(0, len(lines), 10):
        file.append(lines[start : start + 10])
    enough.set()
    thread.join()
    file.close()
    assert path.read_bytes() == b"".join(lines)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FeedError, match=r"There is no folder '.*nowhere' to write 'feed\.jsonl' in"):
        AppendFile(tmp_path / "nowhere" / "feed.jsonl")


def test_a_folder_in_place_of_the_file_is_named(path):
    path.mkdir()
    with pytest.raises(FeedError, match=r"feed\.jsonl' is a folder"):
        AppendFile(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_file(path):
    os.mkfifo(path)
    with pytest.raises(FeedError, match=r"feed\.jsonl' can't be written"):
        AppendFile(path)
