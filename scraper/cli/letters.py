"""Commands about dead letters: failed, retry."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from typing import Annotated

import typer

from scraper.cli.as_json import AsJson, print_json
from scraper.cli.figures import count, printable, when
from scraper.cli.found import RunName, RunOrLatest, find_on_disk, project_runs
from scraper.cli.tables import Column, Row, show
from scraper.errors import ArgumentError
from scraper.frontiers.archive import Archive, DeadLetter
from scraper.frontiers.revival import revive
from scraper.urls import redact

SHOWN = 100  # letters, unless another number is asked for
COLUMNS = (Column("when"), Column("attempts", right=True), Column("reason"), Column("url"))
Reason = Annotated[
    str | None, typer.Option("--reason", metavar="WORDS", help="Only those that failed for this reason.")
]


def failed(
    run: RunOrLatest = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many lines; 0 = all.")] = SHOWN,
    as_json: AsJson = False,
) -> None:
    """List the pages of a run that failed for good: the dead letters. --json lists all of them."""
    found = find_on_disk(run, project_runs())
    archive = Archive(found.database)
    letters = (replace(letter, url=redact(letter.url)) for letter in archive.dead_letters(reason))
    if as_json:
        print_json([asdict(letter) for letter in letters])
        return
    first = list(islice(letters, limit or None))
    if first:
        show(COLUMNS, map(_row, first))
    for line in _summary(found.info.id, archive, reason, len(first)):
        typer.echo(line)


def retry(run: RunName, reason: Reason = None) -> None:
    """Put a run's dead letters back into its queue; `scrape resume` fetches them."""
    found = find_on_disk(run, project_runs())
    with found.locked():
        reasons = Archive(found.database).failures()
        if reason and reasons and reason not in reasons:
            raise ArgumentError(
                f"No page of run {found.info.id} failed for {reason!r}. Their reasons: {_listed(reasons)}."
            )
        revived = revive(found.database, reason)
        if revived:
            found.info = found.info.model_copy(update={"state": "stopped", "reason": "retry"})
            found.save()
    now = f" Now: scrape resume {found.info.id}" if revived else ""
    typer.echo(f"Put back {count(revived)} request{'' if revived == 1 else 's'}.{now}")


def add_to(app: typer.Typer) -> None:
    app.command()(failed)
    app.command()(retry)


def _row(letter: DeadLetter) -> Row:
    return "", (when(letter.at), count(letter.attempts), printable(letter.reason), printable(letter.url))


def _summary(run: str, archive: Archive, reason: str | None, shown: int) -> Iterator[str]:
    reasons = archive.failures()
    total = reasons.total() if reason is None else reasons[reason]
    if shown < total:
        yield f"… and {count(total - shown)} more: --limit 0 shows all."
    if not reasons:
        yield f"No page of run {run} failed."
        return
    yield f"{count(reasons.total())} failed in run {run}: {_listed(reasons)}."
    wanted = f" --reason {shlex.quote(reason)}" if reason else ""
    if total:
        yield f"To fetch {'it' if total == 1 else 'them'} again: scrape retry {run}{wanted}"


def _listed(reasons: Counter[str]) -> str:
    return ", ".join(f"{count(number)} {printable(why)}" for why, number in reasons.most_common())
