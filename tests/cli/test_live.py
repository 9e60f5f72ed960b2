"""The live view says how a crawl stands, and costs the crawl nothing."""

import asyncio
import io
import re
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from rich.console import Console

from scraper.cli.live import live_view, render
from scraper.cli.pace import Pace
from scraper.crawler import Progress
from scraper.protocols import Counts
from scraper.stats import Stats

RUN = "books-20251122-231500"
TITLE = f"books · {RUN}"
TICK = 0.005  # seconds between two looks, in tests


@dataclass
class Ends:
    max_pages: int = 0
    max_items: int = 0
    max_time: float = 0.0


def standing(
    counters=(),
    hosts=(),
    *,
    queued=0,
    leased=0,
    delayed=0,
    in_flight=0,
    elapsed=0.0,
    seeding=False,
    stopping=None,
) -> Progress:
    stats = Stats(Counter(dict(counters)))
    for name, (done, failed, octets, seconds) in dict(hosts).items():
        line = stats.host(name)
        line.done, line.failed, line.bytes, line.seconds = done, failed, octets, seconds
    return Progress(RUN, Counts(queued, leased, 0, delayed), stats, in_flight, elapsed, seeding, stopping)


BUSY = standing(
    {
        "done": 12345,
        "failed": 12,
        "failed/status 404": 8,
        "failed/read timeout": 4,
        "retried": 34,
        "retried/status 503": 34,
        "dropped/duplicate": 5201,
        "dropped/offsite": 33,
        "refused/robots": 10,
        "items": 11002,
        "items_rejected": 3,
        "items_dropped": 7,
        "bytes": 512_300_000,
    },
    {"shop.example:443": (12000, 12, 500_000_000, 1200.0), "img.example:80": (345, 0, 12_300_000, 17.25)},
    queued=1234,
    in_flight=16,
    elapsed=83.4,
)


def screen(progress: Progress, *, width: int = 100, pace: Pace | None = None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, record=True)
    console.print(render(progress, TITLE, pace or Pace(Ends()), width=width))
    return [line.rstrip() for line in console.export_text().splitlines()]


def line_with(words: str, lines: list[str]) -> str:
    return next(line for line in lines if words in line)


def figure(label: str, lines: list[str]) -> str:
    """What stands in the figures' block beside a label."""
    return re.split(r"\s{3,}", line_with(label, lines).split(label, 1)[1].strip())[0]


# ── the picture ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_title_and_the_time_are_on_the_first_line():
    assert re.fullmatch(rf"⠋ {TITLE} +1 min 23 s", screen(BUSY)[0])


@pytest.mark.parametrize("width", [80, 120])
def test_every_figure_is_beside_its_label(width):
    lines = screen(BUSY, width=width)
    shown = {
        label: figure(f"{label} ", lines)
        for label in ("done", "queued", "in flight", "items", "items rejected")
    }
    assert shown == {
        "done": "12,345",
        "queued": "1,234",
        "in flight": "16",
        "items": "11,002",
        "items rejected": "3",
    }
    assert figure("received", lines) == "512.3 MB"
    assert figure("items dropped", lines) == "7"


def test_reasons_come_with_their_counts_the_most_frequent_first():
    lines = screen(BUSY)
    assert "  failed    8 status 404 · 4 read timeout" in lines
    assert "  dropped   5,201 duplicate · 33 offsite" in lines
    assert "  refused   10 robots" in lines


def test_what_is_zero_is_no_reason():
    assert not any("duplicate" in line for line in screen(standing({"dropped/duplicate": 0})))


def test_a_reason_can_not_steer_the_terminal():
    lines = screen(standing({"failed/\x1b[2Jgone\nagain": 1}))
    assert line_with("gone", lines) == "  failed    1 ·[2Jgone·again"


def test_requests_that_are_not_due_are_told_apart():
    assert "  waiting   30 of the queued are not due yet" in screen(standing(queued=40, delayed=30))


def test_a_hosts_line_has_its_answers_failures_mean_time_and_bytes():
    host = line_with("shop.example", screen(BUSY))
    assert host.split() == ["shop.example", "12,000", "12", "100", "ms", "500.0", "MB"]


def test_of_many_hosts_the_busiest_are_shown():
    hosts = {f"host{n}.example:443": (n, 0, 0, 0.0) for n in range(1, 1000)}
    shown = [line.split()[0] for line in screen(standing(hosts=hosts)) if line.startswith("  host")]
    assert shown == [f"host{n}.example" for n in range(999, 991, -1)]


def test_a_long_host_is_cut_at_its_front():
    hosts = {f"{'very-' * 30}long.shop.example:8443": (5, 0, 0, 0.5)}
    line = line_with("long.shop.example:8443", screen(standing(hosts=hosts), width=80))
    assert line.startswith("  …")
    assert line.split()[1:] == ["5", "0", "100", "ms", "0.0", "MB"]


def test_a_stopping_crawl_says_how_to_stop_it_at_once():
    stopping = standing(in_flight=16, stopping="interrupted")
    hint = "  stopping: interrupted · 16 in flight · press Ctrl-C again to stop at once"
    assert hint in screen(stopping, width=80)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wrapped(width):
    hosts = {f"{'very-' * 30}{n}.example:443": (n, n, 10**12, 10.0**5) for n in range(20)}
    reasons = {f"failed/{'long ' * 30}{n}": 10**9 for n in range(9)}
    big = dict.fromkeys(("done", "failed", "items", "bytes", "retried"), 10**9)
    crowded = standing(big | reasons, hosts, queued=10**9, stopping="a long reason " * 10, elapsed=10**6)
    lines = screen(crowded, width=width)
    assert max(map(len, lines)) <= width
    assert len(lines) == len(screen(crowded, width=200))


def test_a_picture_takes_less_than_3_ms():
    hosts = {f"host{n}.example:443": (n, n, n, n) for n in range(1000)}
    reasons = {
        f"{name}/reason {n}": n for name in ("failed", "retried", "dropped", "status") for n in range(50)
    }
    crowded = standing(dict(BUSY.stats.counters) | reasons, hosts)
    console = Console(file=io.StringIO(), width=120, force_terminal=True)

    def timed() -> float:
        started = time.perf_counter()
        console.print(render(crowded, TITLE, Pace(Ends()), width=120))
        return time.perf_counter() - started

    assert min(timed() for _ in range(20)) < 0.003


# ── the pace ─────────────────────────────────────────────────────────────────────────────────────────────


def after(
    seconds: int, *, queue, pages_per_second=10, seeding=False, before=0, ends=None
) -> tuple[Pace, Progress]:
    """A crawl looked at every second; `queue(second)` is how many requests wait."""
    pace = Pace(ends or Ends())
    for second in range(seconds + 1):
        done = before + second * pages_per_second
        now = standing(
            {"done": done, "items": 2 * done}, queued=queue(second), elapsed=float(second), seeding=seeding
        )
        pace.note(now)
    return pace, now


def time_left(*args, **options) -> str:
    pace, now = after(*args, **options)
    return figure("time left", screen(now, pace=pace))


def test_the_rate_is_that_of_the_last_ten_seconds():
    pace = Pace(Ends())
    for second in range(31):
        pace.note(standing({"done": 100 * min(second, 10) + 5 * max(0, second - 10)}, elapsed=float(second)))
    assert pace.pages_per_second == pytest.approx(5, rel=0.01)


def test_a_queue_that_shrinks_says_how_long_it_will_take():
    assert time_left(20, queue=lambda second: 1000 - 10 * second) == "1 min 20 s"


def test_a_queue_that_shrinks_slowly_takes_longer_than_its_pages_alone():
    assert time_left(20, queue=lambda second: 1000 - 5 * second) == "3 min 00 s"


@pytest.mark.parametrize("growth", [0, 10])
def test_a_queue_that_does_not_shrink_foretells_nothing(growth):
    assert time_left(20, queue=lambda second: 100 + growth * second) == "–"


def test_nothing_is_foretold_while_start_may_yield_more():
    assert time_left(20, queue=lambda second: 1000 - 10 * second, seeding=True) == "–"


def test_nothing_is_foretold_from_the_first_seconds():
    assert time_left(5, queue=lambda second: 1000 - 10 * second) == "–"


def test_with_max_pages_it_is_what_remains_of_them():
    ends = Ends(max_pages=1200)
    assert time_left(20, queue=lambda second: 100 * second, ends=ends) == "1 min 40 s"


def test_a_resumed_run_counts_max_pages_from_its_resume():
    ends = Ends(max_pages=1200)
    assert time_left(20, queue=lambda second: 100, before=5000, ends=ends) == "1 min 40 s"


def test_with_max_items_it_is_what_remains_of_them():
    assert time_left(20, queue=lambda second: 100, ends=Ends(max_items=2400)) == "1 min 40 s"


def test_with_max_time_it_is_known_at_once():
    assert time_left(1, queue=lambda second: 100, ends=Ends(max_time=61)) == "1 min 00 s"


def test_of_several_ends_the_nearest_counts():
    ends = Ends(max_pages=1200, max_time=50)
    assert time_left(20, queue=lambda second: 1000 - 10 * second, ends=ends) == "30 s"


# ── on a terminal ────────────────────────────────────────────────────────────────────────────────────────


class Terminal(io.StringIO):
    """Remembers what was written; takes nothing while it stalls."""

    def __init__(self) -> None:
        super().__init__()
        self.flows = threading.Event()
        self.flows.set()

    def write(self, text: str) -> int:
        self.flows.wait(10)
        return super().write(text)

    def isatty(self) -> bool:
        return True


def a_view(progress, terminal: Terminal):
    console = Console(file=terminal, force_terminal=True, width=100, height=40)
    return live_view(progress, "books", console, limits=Ends(), refresh=TICK)


async def appears(words: str, terminal: Terminal) -> None:
    async with asyncio.timeout(5):
        while words not in terminal.getvalue():  # noqa: ASYNC110  # a terminal rings no bell
            await asyncio.sleep(TICK)


async def test_the_view_shows_the_crawl_and_follows_it():
    terminal, now = Terminal(), [None, BUSY]
    async with a_view(lambda: now[0], terminal):
        await appears("books: starting", terminal)
        now[0] = BUSY
        await appears("12,345", terminal)
        assert TITLE in terminal.getvalue()
        now[0] = standing({"done": 54321})
        await appears("54,321", terminal)


async def test_at_the_end_it_takes_itself_away():
    terminal = Terminal()
    async with a_view(lambda: BUSY, terminal):
        await appears("12,345", terminal)
    assert terminal.getvalue().endswith("\x1b[1A\x1b[2K")


async def test_nothing_is_drawn_while_nothing_changes():
    terminal = Terminal()
    async with a_view(lambda: BUSY, terminal):
        await appears("12,345", terminal)
        written = len(terminal.getvalue())
        await asyncio.sleep(20 * TICK)
        assert len(terminal.getvalue()) == written


async def test_log_lines_appear_above_the_view():
    terminal = Terminal()
    async with a_view(lambda: BUSY, terminal) as above:
        await appears("12,345", terminal)
        above.write("page failed  url=https://shop.example/" + "x" * 200 + "\n")
        await appears("x" * 200, terminal)
        shown = terminal.getvalue()
        assert shown.rindex("xxx") < shown.rindex("12,345")


async def test_a_new_picture_is_shown_with_new_lines_above_it():
    terminal, now = Terminal(), [standing({"done": 1})]
    async with a_view(lambda: now[0], terminal) as above:
        await appears("pages/s", terminal)
        above.write("page failed\n")
        now[0] = BUSY
        await appears("12,345", terminal)
        await appears("page failed", terminal)


async def test_a_line_that_waits_at_the_end_is_not_lost():
    terminal = Terminal()
    async with a_view(lambda: None, terminal) as above:
        above.write("a whole line\nand a half")
    above.write("after the view\n")
    assert re.search(r"a whole line\n.*and a half\n.*after the view\n", terminal.getvalue(), re.DOTALL)


async def test_what_goes_to_standard_error_appears_above_too():
    terminal, stderr = Terminal(), sys.stderr
    async with a_view(lambda: BUSY, terminal):
        print("a warning", file=sys.stderr)
        await appears("a warning", terminal)
    assert sys.stderr is stderr


async def test_prints_appear_above_where_standard_output_is_the_terminal(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    async with a_view(lambda: BUSY, terminal):
        print("hello from the spider")
        await appears("hello from the spider", terminal)
    assert sys.stdout is terminal


async def test_standard_output_that_goes_elsewhere_is_left_alone(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    async with a_view(lambda: BUSY, Terminal()):
        print("an item")
    assert pipe.getvalue() == "an item\n"


async def test_a_stalled_terminal_does_not_stall_the_crawl():
    terminal, now = Terminal(), [standing({"done": 1})]
    async with a_view(lambda: now[0], terminal) as above:
        await appears("pages/s", terminal)
        terminal.flows.clear()
        now[0] = BUSY
        async with asyncio.timeout(5):
            for _ in range(20):
                above.write("a line\n")
                await asyncio.sleep(TICK)
        terminal.flows.set()
        await appears("12,345", terminal)


async def test_a_view_that_fails_does_not_fail_the_crawl():
    def broken() -> Progress:
        raise RuntimeError("no picture")

    terminal = Terminal()
    async with a_view(broken, terminal):
        await asyncio.sleep(4 * TICK)
        ended = True
    assert ended


async def test_the_crawls_own_error_comes_through_as_it_is():
    with pytest.raises(ValueError, match="of the crawl"):
        async with a_view(lambda: BUSY, Terminal()):
            raise ValueError("of the crawl")


async def test_a_cancelled_crawl_leaves_no_task_behind():
    async def crawl() -> None:
        async with a_view(lambda: BUSY, Terminal()):
            await asyncio.sleep(60)

    task = asyncio.create_task(crawl())
    await asyncio.sleep(4 * TICK)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}
