"""Commands about runs: runs, failed, retry, export."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from scraper import stats
from scraper.cli.figures import count, printable
from scraper.errors import RunError
from scraper.feeds import Feed, Feeds
from scraper.frontiers.archive import Archive
from scraper.frontiers.revival import revive
from scraper.project import Project
from scraper.runs import Run, Runs
from scraper.sinks.choose import check_writable, make_sink, parse_feed

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def runs(as_json: AsJson = False) -> None:
    """List this project's runs, newest first."""
    rows = [_described(run) for run in Runs(Project.with_runs().root).all()]
    if as_json:
        _print_json(rows)
        return
    table = _table("run", "state", "pages", "failed", "items", "started")
    for row in rows:
        numbers = (count(row[key]) for key in ("pages", "failed", "items"))
        table.add_row(row["run"], row["state"], *numbers, _when(row["started"]))
    Console().print(table)


def failed(run: Annotated[str, typer.Argument(help="The run.")], as_json: AsJson = False) -> None:
    """List the pages of a run that failed for good: the dead letters."""
    letters = list(Archive(_on_disk(run).database).dead_letters())
    if as_json:
        _print_json(asdict(letter) for letter in letters)
        return
    table = _table("url", "reason", "status", "attempts", "when")
    for letter in letters:
        status = "" if letter.status is None else str(letter.status)
        table.add_row(
            printable(letter.url), printable(letter.reason), status, str(letter.attempts), _when(letter.at)
        )
    Console().print(table)


def retry(
    run: Annotated[str, typer.Argument(help="The run.")],
    reason: Annotated[
        str | None, typer.Option("--reason", help="Only those that failed for this reason.")
    ] = None,
) -> None:
    """Put a run's dead letters back into its queue; `scrape resume` fetches them."""
    found = _on_disk(run)
    with found.locked():
        revived = revive(found.database, reason)
        if revived:
            found.info = found.info.model_copy(update={"state": "stopped", "reason": "retry"})
            found.save()
    now = f" Now: scrape resume {run}" if revived else ""
    typer.echo(f"Put back {revived} request{'' if revived == 1 else 's'}.{now}")


def export(
    run: Annotated[str, typer.Argument(help="The run.")],
    output: Annotated[
        list[str], typer.Option("-o", "--output", metavar="[ITEM:]FILE", help="As crawl takes it.")
    ],
    append: Annotated[bool, typer.Option("--append")] = False,
) -> None:
    """Write a run's items to files, without crawling again."""
    found = _on_disk(run)
    if not found.info.settings.get("feeds", {}).get("keep_items", True):
        raise RunError(f"Run {run} was told to forget its items (feeds.keep_items = false).")
    specs = [parse_feed(text) for text in output]
    for spec in specs:
        check_writable(spec)
    feeds = Feeds([Feed(str(spec), make_sink(spec, append=append), spec.kind) for spec in specs], sync=0)
    asyncio.run(_written(feeds, Archive(found.database)))


async def _written(feeds: Feeds, items: Archive) -> None:
    try:
        await feeds.catch_up({}, items)
        await feeds.finish()
    finally:
        feeds.close()


def add_to(app: typer.Typer) -> None:
    for command in (runs, failed, retry, export):
        app.command()(command)


def _on_disk(run: str) -> Run:
    found = Runs(Project.with_runs().root).get(run)
    if not found.database.is_file():
        raise RunError(f"Run {run} was in memory: nothing of it was kept.")
    return found


def _described(run: Run) -> dict[str, Any]:
    info = run.info
    gone = info.state == "running" and not run.alive
    counters = Archive(run.database).counters() if run.database.is_file() else info.counters
    return {
        "run": info.id,
        "spider": info.spider,
        "state": "crashed" if gone else info.state,
        "pages": counters.get(stats.DONE, 0),
        "failed": counters.get(stats.FAILED, 0),
        "items": counters.get(stats.ITEMS, 0),
        "started": info.started,
        "ended": info.ended,
    }


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _when(unix: float) -> str:
    return f"{datetime.fromtimestamp(unix, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    typer.echo(orjson.dumps(list(rows), option=orjson.OPT_INDENT_2).decode())
