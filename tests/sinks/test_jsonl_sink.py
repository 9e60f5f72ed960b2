"""JSON lines, and the life that every feed in a file has: start or rewind, append, mark, finish, close."""

import json

import pytest

from scraper.errors import FeedError
from scraper.item import Record
from scraper.sinks.append_file import AppendFile
from scraper.sinks.files import FeedLost
from scraper.sinks.jsonl import JsonLines


@pytest.fixture
def path(tmp_path):
    return tmp_path / "books.jsonl"


def lines(*numbers):
    return [b'{"n":%d}\n' % n for n in numbers]


def numbers(path):
    return [json.loads(line)["n"] for line in path.read_bytes().splitlines()]


def marked(sink):
    """The mark as a run gives it back: through JSON."""
    return json.loads(json.dumps(sink.mark()))


def test_one_item_a_line(path):
    sink = JsonLines(path)
    sink.start()
    sink.append([sink.encode(Record(b"", "Book", b'{"title":"Emma"}'))])
    sink.append([sink.encode(Record(b"", "Author", '{"name":"Čapek"}'.encode()))])
    sink.finish()
    sink.close()
    assert path.read_text("utf-8") == '{"title":"Emma"}\n{"name":"Čapek"}\n'


def test_a_fresh_run_replaces_the_file(path):
    path.write_bytes(b"yesterday's much longer content\n")
    sink = JsonLines(path)
    sink.start()
    sink.append(lines(1))
    sink.close()
    assert path.read_bytes() == b'{"n":1}\n'


def test_a_run_without_items_leaves_an_empty_file(path):
    sink = JsonLines(path)
    sink.start()
    sink.finish()
    sink.close()
    assert path.read_bytes() == b""


def test_a_file_that_another_crawl_writes_is_not_truncated(path):
    first = JsonLines(path)
    first.start()
    first.append(lines(1))
    first.mark()
    with pytest.raises(FeedError, match="another crawl"):
        JsonLines(path).start()
    first.append(lines(2))
    first.close()
    assert numbers(path) == [1, 2]


def test_a_mark_hands_everything_to_the_operating_system(path):
    sink = JsonLines(path)
    sink.start()
    sink.append(lines(1, 2))
    mark = sink.mark()
    assert numbers(path) == [1, 2]
    assert (mark["offset"], mark["base"]) == (16, 0)
    sink.sync()
    sink.close()


def test_rewind_cuts_what_came_after_the_mark(path):
    sink = JsonLines(path)
    sink.start()
    sink.append(lines(1, 2))
    mark = marked(sink)
    sink.append(lines(3, 4))
    sink.close()
    with path.open("ab") as file:
        file.write(b'{"n": torn')

    resumed = JsonLines(path)
    resumed.rewind(mark)
    resumed.append(lines(3))
    resumed.close()
    assert numbers(path) == [1, 2, 3]


def test_rewind_locks_the_file_too(path):
    sink = JsonLines(path)
    sink.start()
    mark = marked(sink)
    sink.close()
    resumed = JsonLines(path)
    resumed.rewind(mark)
    with pytest.raises(FeedError, match="another crawl"):
        JsonLines(path).rewind(mark)
    resumed.close()


def test_a_finished_run_can_go_on(path):
    sink = JsonLines(path)
    sink.start()
    sink.append(lines(1))
    mark = marked(sink)
    sink.finish()
    sink.close()
    sink.rewind(mark)
    sink.append(lines(2))
    sink.finish()
    sink.close()
    assert numbers(path) == [1, 2]


def test_closing_twice_or_never_opened_is_fine(path):
    JsonLines(path).close()
    sink = JsonLines(path)
    sink.start()
    sink.close()
    sink.close()


def test_writing_before_start_says_what_is_missing(path):
    with pytest.raises(RuntimeError, match=r"call start\(\) or rewind\(\) first"):
        JsonLines(path).append(lines(1))


class TestAppend:
    def test_keeps_what_is_there(self, path):
        path.write_bytes(b'{"n":0}\n')
        sink = JsonLines(path, append=True)
        sink.start()
        sink.append(lines(1))
        sink.close()
        assert numbers(path) == [0, 1]

    def test_breaks_a_line_that_has_no_end(self, path):
        path.write_bytes(b'{"n":0}')
        sink = JsonLines(path, append=True)
        sink.start()
        sink.append(lines(1))
        assert sink.mark()["base"] == 7
        sink.close()
        assert path.read_bytes() == b'{"n":0}\n{"n":1}\n'

    def test_makes_a_file_that_is_not_there(self, path):
        sink = JsonLines(path, append=True)
        sink.start()
        sink.append(lines(1))
        sink.close()
        assert numbers(path) == [1]

    def test_rewind_to_the_first_mark_leaves_the_old_content(self, path):
        path.write_bytes(b'{"n":0}')
        sink = JsonLines(path, append=True)
        sink.start()
        mark = marked(sink)
        sink.append(lines(1, 2))
        sink.close()
        sink.rewind(mark)
        sink.append(lines(1))
        sink.close()
        assert numbers(path) == [0, 1]

    def test_goes_on_in_every_later_life(self, path):
        path.write_bytes(b'{"n":0}\n')
        sink = JsonLines(path, append=True)
        sink.start()
        for n in (1, 2, 3):
            sink.append(lines(n))
            mark = marked(sink)
            sink.append(lines(99))
            sink.close()
            sink = JsonLines(path, append=True)
            sink.rewind(mark)
            assert sink.mark() == mark
        sink.close()
        assert numbers(path) == [0, 1, 2, 3]


class TestLost:
    """A feed that can't be taken back to its mark: the caller starts again and appends everything."""

    def interrupted(self, path, *, append=False):
        sink = JsonLines(path, append=append)
        sink.start()
        sink.append(lines(1, 2, 3))
        mark = marked(sink)
        sink.close()
        return mark

    def resumed(self, path, mark, why, *, append=False):
        sink = JsonLines(path, append=append)
        with pytest.raises(FeedLost, match=why):
            sink.rewind(mark)
        before = path.read_bytes() if path.exists() else None
        sink.start()
        sink.append(lines(1, 2, 3))
        sink.close()
        return before

    def test_a_missing_file_is_not_made_by_rewind(self, path):
        mark = self.interrupted(path)
        path.unlink()
        assert self.resumed(path, mark, "is gone") is None
        assert numbers(path) == [1, 2, 3]

    def test_a_shorter_file_is_left_alone_by_rewind(self, path):
        mark = self.interrupted(path)
        path.write_bytes(b"short")
        assert self.resumed(path, mark, "is not what this run wrote") == b"short"
        assert numbers(path) == [1, 2, 3]

    def test_a_file_of_another_crawl_is_recognised(self, path):
        mark = self.interrupted(path)
        path.write_bytes(b"".join(lines(*range(5, 100))))
        self.resumed(path, mark, "is not what this run wrote")
        assert numbers(path) == [1, 2, 3]

    def test_rewind_unlocks_what_it_refuses(self, path):
        mark = self.interrupted(path)
        path.write_bytes(b"short")
        with pytest.raises(FeedLost):
            JsonLines(path).rewind(mark)
        AppendFile(path).close()

    def test_what_is_left_of_the_runs_own_part_goes_and_the_old_content_stays(self, path):
        old = b"".join(lines(*range(-300, 0)))
        path.write_bytes(old)
        sink = JsonLines(path, append=True)
        sink.start()
        sink.append(lines(*range(500)))
        mark = marked(sink)
        sink.close()
        with path.open("r+b") as file:
            file.truncate(mark["offset"] - 10)
        with pytest.raises(FeedLost):
            sink.rewind(mark)
        sink.start()
        assert sink.mark()["base"] == len(old)
        sink.append(lines(*range(500)))
        sink.close()
        assert numbers(path) == [*range(-300, 0), *range(500)]

    @pytest.mark.parametrize("stranger", [b"", b'{"n":7}\n', b'{"n":7}\n' * 50])
    def test_append_never_cuts_what_it_does_not_know(self, path, stranger):
        path.write_bytes(b'{"n":0}\n')
        mark = self.interrupted(path, append=True)
        path.write_bytes(stranger)
        self.resumed(path, mark, "is not what this run wrote", append=True)
        assert path.read_bytes() == stranger + b"".join(lines(1, 2, 3))

    def test_a_file_restored_to_what_the_run_found_gets_everything_again(self, path):
        path.write_bytes(b'{"n":0}\n')
        mark = self.interrupted(path, append=True)
        path.write_bytes(b'{"n":0}\n')
        self.resumed(path, mark, "is not what this run wrote", append=True)
        assert numbers(path) == [0, 1, 2, 3]
