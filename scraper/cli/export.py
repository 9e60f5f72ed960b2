"""`scrape export`: a run's items into files, without crawling again."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from scraper.checking import keeps_items
from scraper.cli.figures import count, nearby
from scraper.cli.found import RunName, find_on_disk, project_runs
from scraper.errors import RunError
from scraper.feeds import Feed
from scraper.frontiers.archive import check_format, opened
from scraper.frontiers.copying import copied
from scraper.frontiers.ledger import Ledger
from scraper.frontiers.mending import mend, opens
from scraper.frontiers.salvage import salvaged
from scraper.item import Record
from scraper.runs import Run, Runs
from scraper.sinks.choose import FeedSpec, check_writable, make_sink, parse_feed

AT_ONCE = 1_000  # items


def export(
    run: RunName,
    output: Annotated[
        list[str], typer.Option("-o", "--output", metavar="[ITEM:]FILE", help="As crawl takes it.")
    ],
    append: Annotated[
        bool, typer.Option("--append", help="Append to the files instead of replacing them.")
    ] = False,
) -> None:
    """Write a run's items to files: as far as it has come, and what can still be read of a damaged one."""
    runs = project_runs()
    found = find_on_disk(run, runs)
    if not keeps_items(found):
        raise RunError(f"Run {found.info.id} was told to forget its items (feeds.keep_items = false).")
    specs = [parse_feed(text) for text in output]
    for spec in specs:
        check_writable(spec)
    check_format(found.database)
    sys.exit(0 if _exported(found, runs, specs, append=append) else 1)


def add_to(app: typer.Typer) -> None:
    app.command()(export)


def _exported(run: Run, runs: Runs, specs: Sequence[FeedSpec], *, append: bool) -> bool:
    """Whether it was everything; says what was written, and what was not."""
    with ExitStack() as stack:
        outlets = []
        for spec in specs:
            outlets.append(Outlet(Feed(str(spec), make_sink(spec, append=append), spec.kind)))
            stack.callback(outlets[-1].feed.sink.close)
            outlets[-1].feed.sink.start()
            if spec.path is not None:
                runs.claim_feed(spec.path, run)  # whoever wrote it before must not cut it
        with _readable(run) as base:
            lost = _write_all(base, outlets)
        for outlet in outlets:
            outlet.feed.sink.finish()
            outlet.feed.sink.sync()
    for spec, outlet in zip(specs, outlets, strict=True):
        _say(outlet, spec)
    if lost:
        _warn(f"The database of run {run.info.id} is damaged: {lost}.")
    return not lost and not any(outlet.left_out for outlet in outlets)


@contextmanager
def _readable(run: Run) -> Iterator[sqlite3.Connection]:
    """The run's database; of one that does not open, a mended copy, as `scrape runs check` looks into it."""
    if not opens(run.database):
        with opened(run.database) as base:
            yield base
        return
    with copied(run) as copy:
        mend(copy)
        with opened(copy) as base:
            yield base


@dataclass(slots=True)
class Outlet:
    """A feed, and what became of the items for it. `problem`: of the first that did not fit."""

    feed: Feed
    written: int = 0
    left_out: int = 0
    problem: str = ""

    def write(self, records: Sequence[Record]) -> None:
        lines = [line for record in records if self.feed.takes(record) for line in self._line(record)]
        self.feed.sink.append(lines)
        self.written += len(lines)

    def _line(self, record: Record) -> Iterator[bytes]:
        try:
            yield self.feed.sink.encode(record)
        except ValueError as error:
            self.left_out += 1
            self.problem = self.problem or str(error)


def _write_all(base: sqlite3.Connection, outlets: Sequence[Outlet]) -> str:
    """Says what could not be read; "" where nothing is missing."""
    there, known = _last(base)
    read = last = 0
    items = salvaged(base)
    while group := list(islice(items, AT_ONCE)):
        read, last = read + len(group), group[-1][0]
        for outlet in outlets:
            outlet.write([record for _, record in group])
    missing = max(there, last) - read
    if not known:
        return (
            f"{count(missing)} items can't be read, or more"
            if missing
            else "nobody knows whether these are all"
        )
    return f"{count(missing)} items can't be read" if missing else ""


def _last(base: sqlite3.Connection) -> tuple[int, bool]:
    """The number of the last item that was committed, and whether it is known."""
    try:
        row = base.execute("SELECT state FROM ledger").fetchone()
        return (Ledger.decode(row[0]).item_seq if row else 0), True
    except (sqlite3.DatabaseError, ValueError):
        return 0, False


def _say(outlet: Outlet, spec: FeedSpec) -> None:
    where = "standard output" if spec.path is None else nearby(spec.path)
    typer.echo(
        f"Wrote {count(outlet.written)} item{'' if outlet.written == 1 else 's'} to {where}.", err=True
    )
    if outlet.left_out:
        _warn(f"{count(outlet.left_out)} did not fit: {outlet.problem}")


def _warn(sentence: str) -> None:
    typer.secho(sentence, fg="red", err=True)
