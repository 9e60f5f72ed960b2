"""`scrape stats`: how a run stands or ended, in figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from rich.console import Console, Group

from scraper.cli import report
from scraper.cli.as_json import AsJson, print_json
from scraper.cli.figures import count, size, time_span, when
from scraper.cli.found import RunOrLatest, find, project_runs
from scraper.order import Result
from scraper.standing import Standing, standing
from scraper.stats import BYTES


def stats(run: RunOrLatest = None, as_json: AsJson = False) -> None:
    """Show the figures of a run: how it ended, or how it stands now."""
    one = standing(find(run, project_runs()))
    result = _result(one)
    if as_json:
        print_json(_described(one, result))
        return
    table = report.table(_rows(one, result))
    Console().print(Group("", report.headline(result), "", table, "", *report.what_now(result)))
    if one.problem:
        typer.echo(one.problem, err=True)


def add_to(app: typer.Typer) -> None:
    app.command()(stats)


def _rows(one: Standing, result: Result) -> Iterator[report.Row]:
    yield from report.page_rows(result)
    if one.waiting is not None:
        yield "waiting", count(one.waiting), ""
    yield from report.item_rows(result, one.run.info.feeds)
    yield "received", size(one.counters.get(BYTES, 0)), ""
    yield "took", time_span(one.seconds), f"{when(one.run.info.started)} – {when(one.ended) or 'now'}"
    yield "on disk", size(one.size), ""


def _described(one: Standing, result: Result) -> dict[str, Any]:
    """As the log's last line; what only the crawl itself knows is left out."""
    unknown = {"exit_code", "pages_per_second"}
    event = {key: value for key, value in report.summary_event(result).items() if key not in unknown}
    return {
        **event,
        "waiting": one.waiting,
        "started": one.run.info.started,
        "ended": one.ended,
        "bytes_on_disk": one.size,
        "counters": dict(sorted(one.counters.items())),
    }


def _result(one: Standing) -> Result:
    info = one.run.info
    return Result(
        run_id=info.id,
        folder=one.run.folder,
        state=one.state,
        reason=one.reason,
        counters=one.counters,
        before={},
        elapsed=one.seconds,
        waiting_until=info.waiting_until if one.state == "waiting" else None,
        resumable=one.resumable,
        exit_code=0,
    )
