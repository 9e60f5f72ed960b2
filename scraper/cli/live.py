"""The live view: how a crawl stands, redrawn in place while a person watches."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, redirect_stderr, redirect_stdout
from heapq import nlargest

import structlog
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from scraper import stats
from scraper.cli.above import Above
from scraper.cli.figures import count, printable, reasons, size, time_span
from scraper.cli.pace import Limits, Pace
from scraper.order import Progress
from scraper.stats import HostLine

log = structlog.get_logger()

REFRESH = 0.25  # seconds between two looks at the crawl
HOSTS = 8
REASONS = 4
NARROWEST, WIDEST = 76, 100  # columns that the figures take
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

Ask = Callable[[], Progress | None]
Cell = tuple[str, str, str]  # label, figure, style
NOTHING: Cell = ("", "", "")


@asynccontextmanager
async def live_view(
    progress: Ask, title: str, console: Console, *, limits: Limits, refresh: float = REFRESH
) -> AsyncIterator[Above]:
    """Shows `progress` until the block ends, then takes itself away.

    Gives the stream for log lines: they appear above the view, as do the prints of the user's code.
    """
    view = View(progress, title, console, limits)
    over = asyncio.Event()
    with ExitStack() as stack:
        stack.enter_context(view.live)
        stack.callback(view.above.end)
        stack.enter_context(redirect_stderr(view.above))
        if sys.stdout.isatty():
            stack.enter_context(redirect_stdout(view.above))
        task = asyncio.create_task(view.watch(over, refresh))
        try:
            yield view.above
        finally:
            over.set()
            await _ended(task)


async def _ended(task: asyncio.Task[None]) -> None:
    """A view that failed (a closed terminal) is no reason for the crawl to fail."""
    for error in await asyncio.gather(task, return_exceptions=True):
        if isinstance(error, BaseException):
            log.warning("the live view failed", error=repr(error))


class View:
    """Looks at the crawl every now and then; a look that sees nothing new draws nothing."""

    def __init__(self, progress: Ask, title: str, console: Console, limits: Limits) -> None:
        self._progress = progress
        self._title = title
        self._pace = Pace(limits)
        self._seen: object = None
        self._ticks = 0
        self.above = Above(console)
        self.live = Live(
            Text(f"{title}: starting"),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    async def watch(self, over: asyncio.Event, refresh: float) -> None:
        """A thread writes the terminal: one that stalls (Ctrl-S, a lost line) does not stall the crawl."""
        while not over.is_set():
            await _wait(over, refresh)
            if self._look() or self.above.waiting:
                await asyncio.to_thread(self._draw)

    def _look(self) -> bool:
        """Takes down how the crawl stands; whether a person would see a difference."""
        now = self._progress()
        if now is None or self._seen == (seen := _visible(now)):
            return False
        self._seen = seen
        self._ticks += 1
        self._pace.note(now)
        self.live.update(
            render(
                now,
                f"{self._title} · {now.run_id}",
                self._pace,
                width=self.live.console.width,
                tick=self._ticks,
            )
        )
        return True

    def _draw(self) -> None:
        with self.live.console:  # one write for both: nothing flickers
            self.above.pour()
            self.live.refresh()


def _visible(progress: Progress) -> object:
    """The clock counts in whole seconds."""
    counters = dict(progress.stats.counters)
    return int(progress.elapsed), progress.counts, progress.in_flight, progress.stopping, counters


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


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
    title = title[: max(0, width - len(elapsed) - 4)]
    spin = SPINNER[tick % len(SPINNER)]
    return _line((f"{spin} ", "cyan"), (title, "bold"), f"{elapsed:>{width - len(title) - 2}}")


def _figures(progress: Progress, pace: Pace, width: int) -> Iterator[Text]:
    """Three columns at fixed places: figures that grow push nothing aside."""
    gap = " " * ((max(width, NARROWEST) - 70) // 2)
    for first, second, third in zip(
        _queue_cells(progress), _pace_cells(progress, pace), _item_cells(progress), strict=True
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
        lines.append(("waiting", f"{count(progress.counts.delayed)} of the queued are not due yet"))
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
    reason = printable(progress.stopping or "")[:30]
    key = "Ctrl-C again" if progress.stopping == "interrupted" else "Ctrl-C"
    hint = f"{count(progress.in_flight)} in flight · press {key} to stop at once"
    return _line((f"  stopping: {reason} · {hint}", "bold yellow"))


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _cut(name: str, width: int) -> str:
    """A name's end says more than its beginning: of a host, the site that it belongs to."""
    return name if len(name) <= width else f"…{name[1 - width :]}"
