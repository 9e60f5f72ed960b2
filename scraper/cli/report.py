"""The report: how a crawl ended, what it brought, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scraper import stats
from scraper.cli.figures import count, nearby, printable, reasons, size, time_span, top_reasons
from scraper.order import Result
from scraper.stats import add_up

COLOURS = {"finished": "green", "crashed": "red"}  # the other states are yellow: there is something to do
Row = tuple[str, str, str]  # what, how much, and of what


def summary(result: Result, *, feeds: Sequence[str]) -> RenderableType:
    """What a person reads at the end of a crawl. `feeds`: what `-o` named."""
    return Group("", headline(result), "", table(_rows(result, feeds)), "", *what_now(result))


def summary_event(result: Result) -> dict[str, Any]:
    """The same as fields of one log line, all of them in every line."""
    counters = result.counters
    return {
        "run": result.run_id,
        "state": result.state,
        "reason": result.reason,
        "exit_code": result.exit_code,
        "waiting_until": _iso(result.waiting_until),
        "done": counters.get(stats.DONE, 0),
        "failed": counters.get(stats.FAILED, 0),
        "failed_reasons": dict(top_reasons(counters, stats.FAILED)),
        "retried": counters.get(stats.RETRIED, 0),
        "refused": add_up(counters, stats.REFUSED),
        "dropped": add_up(counters, stats.DROPPED),
        "items": counters.get(stats.ITEMS, 0),
        "items_dropped": counters.get(stats.ITEMS_DROPPED, 0),
        "items_rejected": counters.get(stats.ITEMS_REJECTED, 0),
        "bytes": counters.get(stats.BYTES, 0),
        "seconds": round(result.elapsed, 3),
        "pages_per_second": round(_per_second(result), 1),
    }


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────


def headline(result: Result) -> Text:
    colour = COLOURS.get(result.state, "yellow")
    line = Text.assemble(f"{result.run_id}  ", (printable(_ending(result)), f"bold {colour}"))
    return line.append(f"  (exit code {result.exit_code})", "dim") if result.exit_code else line


def _ending(result: Result) -> str:
    match result.state:
        case "waiting" if result.waiting_until is not None:
            until = datetime.fromtimestamp(result.waiting_until, UTC).astimezone()
            return f"waiting until {until:%Y-%m-%d %H:%M}"
        case "interrupted":
            return "interrupted"
        case state:
            return f"{state}: {result.reason}" if result.reason else state


def table(rows: Iterator[Row]) -> Table:
    table = Table.grid(padding=(0, 2), pad_edge=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for what, much, of_what in rows:
        table.add_row(what, much, Text(of_what), style="red" if what == "failed" and much != "0" else None)
    return table


def _rows(result: Result, feeds: Sequence[str]) -> Iterator[Row]:
    yield from page_rows(result)
    yield from item_rows(result, feeds)
    yield "received", size(result.counters.get(stats.BYTES, 0)), ""
    yield "elapsed", time_span(result.elapsed), f"{_per_second(result):,.1f} pages/s"


def page_rows(result: Result) -> Iterator[Row]:
    """What is zero is left out, except where zero is the news."""
    counters = result.counters
    yield "pages done", count(counters.get(stats.DONE, 0)), ""
    yield "failed", count(counters.get(stats.FAILED, 0)), _failed(result)
    if retried := counters.get(stats.RETRIED, 0):
        yield "retried", count(retried), reasons(counters, stats.RETRIED)
    for name in (stats.REFUSED, stats.DROPPED):
        if total := add_up(counters, name):
            yield name, count(total), reasons(counters, name)


def item_rows(result: Result, feeds: Sequence[str]) -> Iterator[Row]:
    counters = result.counters
    yield "items", count(counters.get(stats.ITEMS, 0)), _where(result, feeds)
    if rejected := counters.get(stats.ITEMS_REJECTED, 0):
        yield "items rejected", count(rejected), ""
    if dropped := counters.get(stats.ITEMS_DROPPED, 0):
        yield "items dropped", count(dropped), reasons(counters, stats.ITEMS_DROPPED)


def _where(result: Result, feeds: Sequence[str]) -> str:
    if feeds:
        return "\n".join(f"in {feed}" for feed in feeds)
    return f"{'kept in the run' if _on_disk(result) else 'written nowhere'}; -o FILE writes them"


def _failed(result: Result) -> str:
    done, failed = (result.counters.get(name, 0) for name in (stats.DONE, stats.FAILED))
    share = f" ({failed / (done + failed):.1%} of the pages)" if failed else ""
    return reasons(result.counters, stats.FAILED) + share


def _per_second(result: Result) -> float:
    pages = sum(
        result.counters.get(name, 0) - result.before.get(name, 0) for name in (stats.DONE, stats.FAILED)
    )
    return pages / result.elapsed if result.elapsed else 0.0


# ── what now ─────────────────────────────────────────────────────────────────────────────────────────────


def what_now(result: Result) -> Iterator[Text]:
    """Commands to copy; a run in memory has left nothing to go on with."""
    if result.resumable:
        yield _hint("To go on:", f"scrape resume {result.run_id}")
    if result.counters.get(stats.FAILED, 0) and _on_disk(result):
        yield _hint("What failed:", f"scrape failed {result.run_id}")
    if result.counters.get(stats.ITEMS_REJECTED, 0):
        yield _hint("What was rejected:", nearby(result.folder / "rejected.jsonl"))


def _on_disk(result: Result) -> bool:
    return (result.folder / "frontier.db").is_file()


def _hint(why: str, what: str) -> Text:
    return Text.assemble((f"  {why:<18}  ", "dim"), (what, "bold"))


def _iso(unix: float | None) -> str | None:
    return None if unix is None else datetime.fromtimestamp(unix, UTC).isoformat(timespec="seconds")
