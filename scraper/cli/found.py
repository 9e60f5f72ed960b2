"""Found: the run that a person means."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated

import typer

from scraper.errors import RunError, ScrapeError
from scraper.project import Project
from scraper.runs import Run, Runs


def project_runs() -> Runs:
    return Runs(Project.with_runs().root)


def find(name: str | None, runs: Runs) -> Run:
    """The run of that name, or the only one whose name begins so; the latest, where none is named."""
    if name is None:
        return _latest(runs)
    try:
        return runs.get(name)
    except RunError:
        close = [run for run in runs.all() if name and run.info.id.startswith(name)]
        if len(close) > 1:
            raise _several(name, close) from None
        if not close:
            raise
        return close[0]


def find_on_disk(name: str | None, runs: Runs) -> Run:
    """As `find`; one that was kept in memory has nothing to read."""
    run = find(name, runs)
    if not run.database.is_file():
        raise RunError(f"Run {run.info.id} was in memory: nothing of it was kept.")
    return run


def _latest(runs: Runs) -> Run:
    found = runs.all()
    if not found:
        raise RunError("There is no run in this project yet: `scrape crawl NAME` makes one.")
    return found[0]


def _several(name: str, close: list[Run]) -> RunError:
    some = ", ".join(run.info.id for run in close[:5]) + (", …" if len(close) > 5 else "")
    return RunError(f"{len(close)} runs begin with {name!r}: {some}. Write more of the name.")


def begins(incomplete: str) -> list[str]:
    """For the shell, after a tab."""
    with suppress(ScrapeError):  # no project here: nothing to offer
        return [run.info.id for run in project_runs().all() if run.info.id.startswith(incomplete)]
    return []


RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="The run, or how its name begins.", autocompletion=begins)
]
RunOrLatest = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="The run, or how its name begins; the latest, if left out.",
        autocompletion=begins,
    ),
]
