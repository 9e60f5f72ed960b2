"""Commands that crawl: crawl, run, resume."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer
from rich.console import Console

from scraper.cli import process
from scraper.cli.found import begins, find
from scraper.cli.report import summary, summary_event
from scraper.errors import ArgumentError, RunError
from scraper.order import Order, Result
from scraper.ordering import check_fits, new_order, resumed_order
from scraper.project import Project, spider_in_file
from scraper.runs import Run, Runs
from scraper.units import duration

Output = Annotated[
    list[str] | None,
    typer.Option(
        "-o",
        "--output",
        metavar="[ITEM:]FILE",
        help="Write items here: .jsonl, .json, .csv, .sqlite, or - for standard output. Repeat for several.",
    ),
]
Append = Annotated[bool, typer.Option("--append", help="Append to the -o files instead of replacing them.")]
Arguments = Annotated[
    list[str] | None, typer.Option("-a", "--argument", metavar="KEY=VALUE", help="An argument of the spider.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("-s", "--set", metavar="KEY=VALUE", help="A setting, such as -s concurrency=50."),
]
RunName = Annotated[
    str | None, typer.Option("--run", metavar="ID", help="The run's name; with --resume, which run.")
]
MaxPages = Annotated[int, typer.Option("--max-pages", min=0, help="Stop after so many pages.")]
MaxItems = Annotated[
    int, typer.Option("--max-items", min=0, help="Stop after the page that brings so many items.")
]
MaxTime = Annotated[
    str, typer.Option("--max-time", metavar="10m", help="Stop after so long: 90s, 10m, 1h30m.")
]
LogFormat = Annotated[
    str | None, typer.Option("--log", metavar="text|json", help="Log lines for people or machines.")
]


def crawl(
    name: Annotated[str, typer.Argument(help="The spider's name; `scrape list` shows them.")],
    output: Output = None,
    append: Append = False,
    argument: Arguments = None,
    setting: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the spider's latest run.")] = False,
    run: RunName = None,
    max_pages: MaxPages = 0,
    max_items: MaxItems = 0,
    max_time: MaxTime = "",
    log: LogFormat = None,
) -> None:
    """Crawl with a spider of this project."""
    project = Project.find()
    told = _told(output, append, argument, setting, log) | _limits(max_pages, max_items, max_time)
    if resume:
        found = find(run, Runs(project.root)) if run else Runs(project.root).latest_resumable(name)
        if found.info.spider != name:
            raise RunError(f"Run {found.info.id} is one of spider {found.info.spider!r}, not of {name!r}.")
        _resume(project, found, told)
    _finish(new_order(project, project.spider(name), run_id=run, **told))


def run_file(
    file: Annotated[Path, typer.Argument(help="A Python file with one spider class.")],
    output: Output = None,
    append: Append = False,
    argument: Arguments = None,
    setting: Overrides = None,
    run: RunName = None,
    max_pages: MaxPages = 0,
    max_items: MaxItems = 0,
    max_time: MaxTime = "",
    log: LogFormat = None,
) -> None:
    """Crawl with the spider in a single file; it needs no project."""
    project = Project.around(file)
    project.on_path()
    told = _told(output, append, argument, setting, log) | _limits(max_pages, max_items, max_time)
    order = new_order(project, spider_in_file(file), run_id=run, **told)
    _finish(replace(order, file=str(file.absolute())))


def resume(
    run: Annotated[
        str | None,
        typer.Argument(help="The run; the latest one that can go on, if left out.", autocompletion=begins),
    ] = None,
    output: Annotated[list[str] | None, typer.Option("-o", "--output", hidden=True)] = None,
    append: Annotated[bool, typer.Option("--append", hidden=True)] = False,
    argument: Annotated[list[str] | None, typer.Option("-a", "--argument", hidden=True)] = None,
    setting: Overrides = None,
    max_pages: MaxPages = 0,
    max_items: MaxItems = 0,
    max_time: MaxTime = "",
    log: LogFormat = None,
) -> None:
    """Go on with a run that was interrupted, stopped, killed, or is waiting."""
    project = Project.with_runs()
    runs = Runs(project.root)
    told = _told(output, append, argument, setting, log) | _limits(max_pages, max_items, max_time)
    _resume(project, find(run, runs) if run else runs.latest_resumable(), told)


def add_to(app: typer.Typer) -> None:
    app.command()(crawl)
    app.command("run")(run_file)
    app.command()(resume)


# ── what was typed ───────────────────────────────────────────────────────────────────────────────────────


def _told(
    output: list[str] | None,
    append: bool,
    argument: list[str] | None,
    setting: list[str] | None,
    log: str | None,
) -> dict[str, Any]:
    """As `new_order` and `resumed_order` take it."""
    return {
        "arguments": pairs(argument),
        "overrides": [*(setting or []), *([f"log={log}"] if log else [])],
        "feeds": output or [],
        "append": append,
    }


def _limits(pages: int, items: int, time: str) -> dict[str, Any]:
    try:
        return {"max_pages": pages, "max_items": items, "max_time": duration(time) if time else 0.0}
    except ValueError as error:
        raise ArgumentError(f"--max-time: {error}.") from None


def pairs(texts: list[str] | None) -> dict[str, str]:
    pairs = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise ArgumentError(f"-a takes key=value, such as -a max_pages=10; got {text!r}.")
        pairs[key] = value
    return pairs


def _resume(project: Project, run: Run, told: dict[str, Any]) -> NoReturn:
    order = resumed_order(project, run, **told)
    process.configure(order.settings)
    check_fits(order)
    _finish(order)


def _finish(order: Order) -> NoReturn:
    """Crawls, says how it ended, and exits with the code that says the same."""
    console = Console(stderr=True)
    result = process.run(order, console=console)
    _tell(result, order, console)
    sys.exit(result.exit_code)


def _tell(result: Result, order: Order, console: Console) -> None:
    if console.is_terminal and order.settings.log == "text":
        console.print(summary(result, feeds=list(order.feeds)))
    else:
        structlog.get_logger().info("crawl ended", **summary_event(result))
