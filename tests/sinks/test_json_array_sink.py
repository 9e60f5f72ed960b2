"""One JSON array: valid whenever a run has finished, however often it was interrupted."""

import json

import pytest

from scraper.errors import FeedError
from scraper.item import Record
from scraper.sinks.json_array import JsonArray


@pytest.fixture
def path(tmp_path):
    return tmp_path / "books.json"


@pytest.fixture
def sink(path):
    sink = JsonArray(path)
    yield sink
    sink.close()


def encoded(sink, *numbers):
    return [sink.encode(Record(b"", "Book", b'{"n":%d}' % n)) for n in numbers]


def numbers(path):
    return [item["n"] for item in json.loads(path.read_bytes())]


def test_a_finished_file_is_one_item_a_line_between_brackets(sink, path):
    sink.start()
    sink.append(encoded(sink, 1, 2))
    sink.append([])
    sink.append(encoded(sink, 3))
    sink.finish()
    assert path.read_bytes() == b'[\n{"n":1},\n{"n":2},\n{"n":3}\n]\n'


def test_no_items_are_an_empty_array(sink, path):
    sink.start()
    sink.finish()
    assert path.read_bytes() == b"[\n]\n"


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_finished_run_can_go_on_and_finish_again(sink, path, before, after):
    sink.start()
    sink.append(encoded(sink, *range(before)))
    mark = sink.mark()
    sink.finish()
    sink.close()

    resumed = JsonArray(path)
    resumed.rewind(mark)
    resumed.append(encoded(resumed, *range(before, before + after)))
    resumed.finish()
    resumed.close()
    assert numbers(path) == list(range(before + after))


def test_rewind_to_before_the_first_item(sink, path):
    sink.start()
    mark = sink.mark()
    sink.append(encoded(sink, 1, 2))
    sink.close()
    sink.rewind(mark)
    sink.append(encoded(sink, 3, 4))
    sink.finish()
    assert numbers(path) == [3, 4]


def test_a_mark_after_the_end_lies_before_the_bracket(sink, path):
    sink.start()
    sink.append(encoded(sink, 1))
    mark = sink.mark()
    sink.finish()
    assert sink.mark() == mark
    sink.finish()
    sink.close()
    assert numbers(path) == [1]


def test_the_same_sink_can_go_on_after_its_end(sink, path):
    sink.start()
    sink.append(encoded(sink, 1))
    mark = sink.mark()
    sink.finish()
    sink.rewind(mark)
    sink.append(encoded(sink, 2))
    assert sink.mark()["offset"] == path.stat().st_size
    sink.finish()
    assert numbers(path) == [1, 2]


def test_append_is_refused_at_once_and_says_what_to_use(path):
    with pytest.raises(FeedError, match=r"Use \.jsonl to append"):
        JsonArray(path, append=True)
