"""`scrape runs`: what ran, how it stands, and what it takes."""

from __future__ import annotations

from typing import Any

import typer

from scraper import stats
from scraper.cli import check, prune
from scraper.cli.as_json import AsJson, print_json
from scraper.cli.figures import count, size, time_span, when
from scraper.cli.found import project_runs
from scraper.cli.tables import Column, Row, show
from scraper.standing import Standing, standing

COLUMNS = (
    Column("run"),
    Column("state"),
    Column("pages", right=True),
    Column("failed", right=True),
    Column("items", right=True),
    Column("waiting", right=True),
    Column("started", spare=3),
    Column("took", right=True, spare=2),
    Column("size", right=True, spare=1),
)
STYLES = {"running": "green", "crashed": "red"}


def runs(context: typer.Context, as_json: AsJson = False) -> None:
    """List this project's runs, newest first; `prune` deletes old ones, `check` looks into one."""
    if context.invoked_subcommand is not None:
        return
    found = [standing(run) for run in project_runs().all()]
    if as_json:
        print_json([_described(one) for one in found])
    else:
        show(COLUMNS, [_row(one) for one in found])


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(invoke_without_command=True, callback=runs)
    prune.add_to(group)
    check.add_to(group)
    app.add_typer(group, name="runs")


def _row(one: Standing) -> Row:
    state = "damaged" if one.problem else one.state
    numbers = (count(one.counters.get(name, 0)) for name in (stats.DONE, stats.FAILED, stats.ITEMS))
    waiting = "?" if one.waiting is None else count(one.waiting)
    times = (when(one.run.info.started, seconds=False), time_span(one.seconds, tenths=False))
    return STYLES.get(state, ""), (one.run.info.id, state, *numbers, waiting, *times, size(one.size))


def _described(one: Standing) -> dict[str, Any]:
    """Times in Unix seconds, sizes in bytes."""
    info = one.run.info
    return {
        "run": info.id,
        "spider": info.spider,
        "state": one.state,
        "reason": one.reason,
        "problem": one.problem,
        "pages": one.counters.get(stats.DONE, 0),
        "failed": one.counters.get(stats.FAILED, 0),
        "items": one.counters.get(stats.ITEMS, 0),
        "waiting": one.waiting,
        "waiting_until": info.waiting_until if one.state == "waiting" else None,
        "resumable": one.resumable,
        "started": info.started,
        "ended": one.ended,
        "seconds": round(one.seconds, 3),
        "bytes": one.size,
    }
