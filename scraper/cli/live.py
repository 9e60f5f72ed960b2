"""The live view: how a crawl stands, redrawn in place while a person watches."""

from __future__ import annotations

import asyncio
import io
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, redirect_stderr, redirect_stdout
from heapq import nlargest
from itertools import count as counted
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from scraper import stats
from scraper.cli.report import count, reasons, size, time_span
from scraper.stats import HostLine, Rate, add_up

if TYPE_CHECKING:
    from scraper.crawler import Progress

log = structlog.get_logger()

REFRESH = 0.25  # seconds between two looks at the crawl
HOSTS = 8
REASONS = 4
WIDEST, NARROWEST = 100, 76  # columns
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

Cell = tuple[str, str, str]  # label, figure, style
NOTHING: Cell = ("", "", "")


@asynccontextmanager
async def live_view(
    progress: Callable[[], Progress | None], title: str, console: Console, *, limits: Limits
) -> AsyncIterator[Above]:
    """Shows `progress` until the block ends, then takes itself away.

    Gives the stream for log lines: they appear above the view, with the prints of the user's code. The
    terminal is written by a thread, so one that stalls (Ctrl-S, a lost connection) does not stall the crawl.
    """
    above = Above(console)
    over = asyncio.Event()
    with ExitStack() as stack:
        live = stack.enter_context(_live(title, console))
        stack.callback(above.pour, rest=True)
        stack.enter_context(redirect_stderr(above))
        if sys.stdout.isatty():
            stack.enter_context(redirect_stdout(above))
        task = asyncio.create_task(_watch(progress, title, Pace(limits), live, above, over))
        try:
            yield above
        finally:
            over.set()
            await _ended(task)


def _live(title: str, console: Console) -> Live:
    return Live(
        Text(f"{title}: starting"),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )


async def _watch(
    progress: Callable[[], Progress | None],
    title: str,
    pace: Pace,
    live: Live,
    above: Above,
    over: asyncio.Event,
) -> None:
    shown: object = None
    for tick in counted():
        await _either(over, REFRESH)
        now = progress()
        seen = now and _seen(now)
        if now is not None and seen != shown:
            pace.note(now)
            live.update(render(now, title, pace, width=live.console.width, tick=tick))
            await asyncio.to_thread(_draw, live, above)
            shown = seen
        elif above.waiting:
            await asyncio.to_thread(above.pour)
        if over.is_set():
            return


def _draw(live: Live, above: Above) -> None:
    if not above.pour():  # a print draws the view anew
        live.refresh()


def _seen(progress: Progress) -> object:
    """What a redraw would show that is new; the clock counts once a second."""
    counters = dict(progress.stats.counters)
    return int(progress.elapsed), progress.counts, progress.in_flight, progress.stopping, counters


async def _either(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def _ended(task: asyncio.Task[None]) -> None:
    """A view that failed (a closed terminal) is no reason for the crawl to fail."""
    for error in await asyncio.gather(task, return_exceptions=True):
        if isinstance(error, BaseException):
            log.warning("the live view failed", error=repr(error))


# ── the picture ──────────────────────────────────────────────────────────────────────────────────────────


def render(progress: Progress, title: str, pace: Pace, *, width: int, tick: int = 0) -> RenderableType:
    """The view as lines of text; rich's tables would cost 4 ms, five times as much."""
    width = min(width, WIDEST)
    lines = [_headline(progress, title, width, tick), Text("")]
    lines += _figures(progress, pace, width)
    lines += _why(progress)
    lines += _hosts(progress.stats.hosts, width)
    if progress.stopping:
        lines += [Text(""), _stopping(progress)]
    return Group(*lines)


def _headline(progress: Progress, title: str, width: int, tick: int) -> Text:
    elapsed = time_span(progress.elapsed, tenths=False)
    title = _cut(title, width - len(elapsed) - 4)
    spin = SPINNER[tick % len(SPINNER)]
    return _line((f"{spin} ", "cyan"), (title, "bold"), f"{elapsed:>{width - len(title) - 2}}")


def _figures(progress: Progress, pace: Pace, width: int) -> Iterator[Text]:
    """Three columns at fixed places: figures that grow push nothing aside."""
    gap = " " * ((max(width, NARROWEST) - 70) // 2)
    for first, second, third in zip(
        _queue_cells(progress), _pace_cells(progress, pace), _item_cells(progress)
    ):
        yield _line("  ", *_pair(first, 10, 10), gap, *_pair(second, 9, 12), gap, *_pair(third, 14, 11))


def _pair(cell: Cell, label_width: int, figure_width: int) -> tuple[tuple[str, str], tuple[str, str]]:
    label, figure, style = cell
    return (f"{label:<{label_width}}", "dim"), (f"{figure:>{figure_width}}", style)


def _queue_cells(progress: Progress) -> Iterator[Cell]:
    counters = progress.stats.counters
    failed = counters[stats.FAILED]
    yield "done", count(counters[stats.DONE]), "bold"
    yield "queued", count(progress.counts.queued), ""
    yield "in flight", count(progress.in_flight), ""
    yield "failed", count(failed), "bold red" if failed else ""


def _pace_cells(progress: Progress, pace: Pace) -> Iterator[Cell]:
    counters = progress.stats.counters
    left = pace.seconds_left(progress)
    yield "pages/s", f"{pace.pages_per_second:,.1f}", "bold"
    yield "time left", "–" if left is None else time_span(left, tenths=False), ""
    yield "received", size(counters[stats.BYTES]), ""
    yield "retried", count(counters[stats.RETRIED]), ""


def _item_cells(progress: Progress) -> Iterator[Cell]:
    counters = progress.stats.counters
    rejected = counters[stats.ITEMS_REJECTED]
    yield "items", count(counters[stats.ITEMS]), "bold"
    yield "items rejected", count(rejected), "bold yellow" if rejected else ""
    yield "items dropped", count(counters[stats.ITEMS_DROPPED]), ""
    yield NOTHING


def _why(progress: Progress) -> Iterator[Text]:
    """A line for each outcome that has reasons, and one for what only waits."""
    counters = progress.stats.counters
    lines = [
        (name, reasons(counters, name, REASONS))
        for name in (stats.FAILED, stats.RETRIED, stats.REFUSED, stats.DROPPED)
    ]
    if progress.counts.delayed:
        lines.append(("waiting", f"{count(progress.counts.delayed)} of the queued, for their time"))
    told = [_line("  ", (f"{name:<10}", "dim"), why) for name, why in lines if why]
    yield from [Text(""), *told] if told else []


def _hosts(hosts: dict[str, HostLine], width: int) -> Iterator[Text]:
    if not hosts:
        return
    name_width = max(width, NARROWEST) - 50
    title = "host" if len(hosts) <= HOSTS else f"the {HOSTS} busiest hosts"
    yield Text("")
    yield _line((f"  {title:<{name_width}}{'answers':>10}{'failed':>9}{'mean':>11}{'received':>14}", "dim"))
    for name, host in nlargest(HOSTS, hosts.items(), key=lambda pair: pair[1].done + pair[1].failed):
        yield _host(name, host, name_width)


def _host(name: str, host: HostLine, name_width: int) -> Text:
    mean = f"{host.seconds / host.done * 1000:,.0f} ms" if host.done else "–"
    return _line(
        f"  {_cut(name.removesuffix(':443'), name_width - 1):<{name_width}}{count(host.done):>10}",
        (f"{count(host.failed):>9}", "red" if host.failed else ""),
        f"{mean:>11}{size(host.bytes):>14}",
    )


def _stopping(progress: Progress) -> Text:
    again = "Ctrl-C again" if progress.stopping == "interrupted" else "Ctrl-C"
    flight = f" · {count(progress.in_flight)} still in flight" if progress.in_flight else ""
    return _line((f"  stopping: {progress.stopping}{flight} · press {again} to stop at once", "bold yellow"))


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _cut(name: str, width: int) -> str:
    """A name's end says more than its beginning: of a host, the site that it belongs to."""
    return name if len(name) <= width else f"…{name[1 - width :]}"
