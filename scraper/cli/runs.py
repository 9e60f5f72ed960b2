"""Commands about runs: runs, failed."""

from __future__ import annotations

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
from scraper.frontiers.archive import Archive
from scraper.project import Project
from scraper.runs import Run, Runs

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def runs(as_json: AsJson = False) -> None:
    """List this project's runs, newest first."""
    rows = [_described(run) for run in Runs(Project.find().root).all()]
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
    found = Runs(Project.find().root).get(run)
    if not found.database.is_file():
        raise RunError(f"Run {run} was in memory: nothing of it was kept.")
    letters = list(Archive(found.database).dead_letters())
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


def add_to(app: typer.Typer) -> None:
    app.command()(runs)
    app.command()(failed)


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
