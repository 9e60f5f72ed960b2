"""`scrape runs prune`: deletes what is left of runs that nobody will go on with."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from scraper.cli.figures import count, size, when
from scraper.cli.found import project_runs
from scraper.cli.tables import Column, show
from scraper.errors import ArgumentError, RunError
from scraper.pruning import delete, forget_claims, prunable, sweep
from scraper.runs import Runs
from scraper.standing import Standing, standing
from scraper.units import duration

COLUMNS = (Column("run"), Column("state"), Column("ended"), Column("size", right=True))


def prune(
    keep: Annotated[int, typer.Option("--keep", min=0, help="Keep so many of each spider, the newest.")] = 0,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="30d", help="Only those that ended so long ago: 12h, 30d.")
    ] = "",
    unfinished: Annotated[
        bool,
        typer.Option("--unfinished", help="Also those that could be resumed: what waits in them is lost."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete finished runs: their queues, their items, their histories. The files of -o stay."""
    runs = project_runs()
    found = [standing(run) for run in runs.all()]
    chosen = prunable(found, keep=keep, older_than=_seconds(older_than), unfinished=unfinished)
    if chosen:
        show(COLUMNS, [("", _cells(one)) for one in chosen])
    typer.echo(_foretold(chosen, dry_run=dry_run))
    if dry_run:
        return
    if chosen:
        _ask(yes=yes)
        _delete(chosen, runs)
    sweep(runs)
    forget_claims(runs)


def add_to(app: typer.Typer) -> None:
    app.command()(prune)


def _cells(one: Standing) -> tuple[str, ...]:
    return one.run.info.id, one.state, when(one.ended, seconds=False), size(one.size)


def _foretold(chosen: Sequence[Standing], *, dry_run: bool) -> str:
    if not chosen:
        return "There is nothing to delete."
    runs = f"{count(len(chosen))} run{'' if len(chosen) == 1 else 's'}"
    freed = size(sum(one.size for one in chosen))
    return f"{runs}, {freed}{': nothing was deleted (--dry-run).' if dry_run else '.'}"


def _ask(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise ArgumentError("Nothing was deleted: nobody can be asked here. Add --yes to delete these runs.")
    typer.confirm("Delete them?", abort=True)


def _delete(chosen: Sequence[Standing], runs: Runs) -> None:
    deleted = []
    for one in chosen:
        try:
            delete(one, runs)
            deleted.append(one)
        except RunError as error:
            typer.echo(f"Left as it is: {error}", err=True)
    typer.echo(f"Deleted {count(len(deleted))}, freed {size(sum(one.size for one in deleted))}.")


def _seconds(text: str) -> float:
    try:
        return duration(text) if text else 0.0
    except ValueError as error:
        raise ArgumentError(f"--older-than: {error}.") from None
