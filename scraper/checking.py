"""Checking: what is right and what is wrong with a run, and what can be saved of it. The run is not touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scraper.frontiers.archive import check_format
from scraper.frontiers.copying import copied
from scraper.frontiers.health import Examined, Finding, Items, examine
from scraper.item import REJECTED
from scraper.runs import Run, Runs
from scraper.sinks.choose import parse_feed
from scraper.sinks.looking import fault


@dataclass(frozen=True, slots=True)
class Checkup:
    """`database`, `feeds`: what was found in each. `damaged`: whether the database's file is."""

    run: Run
    database: Sequence[Finding]
    feeds: Sequence[Finding]
    items: Items
    damaged: bool

    @property
    def findings(self) -> Sequence[Finding]:
        return [*self.database, *self.feeds]

    @property
    def sound(self) -> bool:
        return all(finding.right for finding in self.findings)

    @property
    def contradicted(self) -> bool:
        """Whether the database, though whole, says what is not so."""
        return not self.damaged and not all(finding.right for finding in self.database)

    @property
    def lost_feeds(self) -> list[str]:
        """The files of `-o` that are not what the run has written."""
        rejected = str(self.run.rejected)
        return [found.about for found in self.feeds if not found.right and found.about != rejected]


def check(run: Run, runs: Runs) -> Checkup:
    """Looks at a copy of the run's database, then at its feeds.

    Raises StorageError where it can't be copied, RunError where it has another format or nothing in it.
    """
    check_format(run.database)
    with copied(run) as copy:
        found = examine(copy, keep_items=keeps_items(run))
    return Checkup(run, found.findings, list(_feeds(run, runs, found)), found.items, found.damaged)


def keeps_items(run: Run) -> bool:
    """Whether it was told to keep items that every feed has."""
    return bool(run.info.settings.get("feeds", {}).get("keep_items", True))


def _feeds(run: Run, runs: Runs, found: Examined) -> Iterator[Finding]:
    for name in (*run.info.feeds, REJECTED):
        path = run.rejected if name == REJECTED else parse_feed(name).path
        if path is None:
            continue  # standard output
        mark = found.marks.get(name)
        if writer := _other_writer(runs, path, run):
            yield Finding(str(path), True, f"belongs to run {writer} now")
        elif mark is None and found.damaged:
            yield Finding(str(path), False, f"{_bytes(path)}; what they should be can't be read. Keep them")
        elif mark is None:
            yield Finding(str(path), False, "has no mark: nobody knows what of the run it holds")
        else:
            yield _feed(path, mark)


def _bytes(path: Path) -> str:
    return f"{path.stat().st_size:,} bytes" if path.is_file() else "0 bytes"


def _feed(path: Path, mark: Mapping[str, Any]) -> Finding:
    wrong = fault(path, mark["sink"])
    return Finding(str(path), not wrong, wrong or f"holds the run's items up to number {mark['seq']:,}")


def _other_writer(runs: Runs, path: Path, run: Run) -> str:
    """The run that has written the file since; "" where none has."""
    note = runs.claims._note(path)
    writer = note.read_text("utf-8") if note.is_file() else ""
    return "" if writer == run.info.id else writer
