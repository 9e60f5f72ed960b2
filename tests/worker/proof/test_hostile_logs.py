"""What is read of a job's log while it is rotated, and what is counted of a process that died."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scraper.jobs.log_files import follow
from scraper.worker.board import Board, Snapshot
from scraper.worker.job_logs import JobLog


class TurningAway(type(Path())):
    """A log that is rotated in the moment in which somebody opens it."""

    turn: Callable[[], None] = staticmethod(lambda: None)

    def open(self, *told: Any, **more: Any) -> Any:
        self.turn()
        return super().open(*told, **more)


def test_a_log_that_is_rotated_while_it_is_opened_is_read_whole(tmp_path):
    file = tmp_path / "1.log"
    lines = JobLog(file, most=1, kept=9, out=io.StringIO(), job="1", spider="shop")
    waiting = [b'{"event": "second"}']
    lines.write(b'{"event": "first"}')
    watched = TurningAway(file)
    watched.turn = lambda: lines.write(waiting.pop()) if waiting else None
    looks = iter([False, False, True])
    read = b"".join(follow(watched, ended=lambda: next(looks), pause=lambda: None))
    lines.close()
    assert [json.loads(line)["event"] for line in read.splitlines()] == ["first", "second"]


def test_what_a_killed_process_did_after_its_last_word_is_counted_with_its_next_life():
    board = Board()
    one = {"job": "1", "run": "shop-1", "spider": "shop"}
    board.publish(Snapshot(**one, counters={"done": 3}))
    board.lost("1")
    board.publish(Snapshot(**one, counters={"done": 9}, before={"done": 5}, ended=True))
    assert board.totals()["shop"].counters["done"] == 9
