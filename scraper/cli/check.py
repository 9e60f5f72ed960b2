"""`scrape runs check`: whether a run is sound, and what can be saved of one that is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from scraper.checking import Checkup, keeps_items
from scraper.checking import check as check_run
from scraper.cli.as_json import AsJson, print_json
from scraper.cli.figures import count, nearby, printable
from scraper.cli.found import RunName, find_on_disk, project_runs
from scraper.frontiers.health import Finding


def check(run: RunName, as_json: AsJson = False) -> None:
    """Look through a run's database and files, on a copy: exit code 0 where all is well, 1 where something is wrong."""
    runs = project_runs()
    checkup = check_run(find_on_disk(run, runs), runs)
    if as_json:
        print_json(_described(checkup))
    else:
        _print(checkup)
    sys.exit(0 if checkup.sound else 1)


def add_to(app: typer.Typer) -> None:
    app.command()(check)


def _print(checkup: Checkup) -> None:
    console = Console(highlight=False)
    for finding in checkup.findings:
        sign, style = ("✓", "green") if finding.right else ("✗", "bold red")
        line = Text.assemble((f"{sign} ", style), (f"{_name(finding)}: ", "bold"), printable(finding.says))
        console.print(line, soft_wrap=True)
    for sentence in advice(checkup):
        console.print(Text(sentence), soft_wrap=True)


def _name(finding: Finding) -> str:
    path = Path(finding.about)
    return nearby(path) if path.is_absolute() else finding.about


def advice(checkup: Checkup) -> Iterator[str]:
    """What it comes to, and what to do."""
    run = checkup.run.info.id
    wrong = sum(not finding.right for finding in checkup.findings)
    if checkup.sound:
        live = "; it is being worked on, and this is its last commit" if checkup.run.alive else ""
        yield f"Run {run} is sound{live}."
        return
    yield f"{count(wrong)} thing{' is' if wrong == 1 else 's are'} wrong with run {run}."
    if checkup.damaged:
        yield f"The database is damaged. {_readable(checkup)}"
        yield "A resume would meet the damage again: start a new run."
    elif checkup.contradicted:
        yield f"The database is whole, but contradicts itself. {_readable(checkup)}"
        yield "That is a mistake in the framework: please report it, with these lines."
    if checkup.lost_feeds:
        yield _rewritten(checkup)


def _readable(checkup: Checkup) -> str:
    items, run = checkup.items, checkup.run.info.id
    known = "" if items.expected is None else f" of {count(items.expected)}"
    if not items.readable:
        return f"None{known and known + ' items'} can be read."
    return f"{count(items.readable)}{known} items can be read: `scrape export {run} -o FILE` writes them."


def _rewritten(checkup: Checkup) -> str:
    info, files = checkup.run.info, ", ".join(nearby(Path(feed)) for feed in checkup.lost_feeds)
    if not keeps_items(checkup.run):
        return f"Of {files} nothing can be written again: the run was told to forget its items."
    if info.resumable and not checkup.damaged:
        return f"`scrape resume {info.id}` writes {files} again."
    return f"`scrape export {info.id} -o …` writes {files} again."


def _described(checkup: Checkup) -> dict[str, Any]:
    return {
        "run": checkup.run.info.id,
        "sound": checkup.sound,
        "damaged": checkup.damaged,
        "findings": [
            {"about": finding.about, "right": finding.right, "says": finding.says}
            for finding in checkup.findings
        ],
        "items_readable": checkup.items.readable,
        "items_expected": checkup.items.expected,
        "advice": list(advice(checkup)),
    }
