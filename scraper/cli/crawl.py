"""Commands that crawl: crawl, run, resume."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console

from scraper.cli import process
from scraper.cli.found import begins, find
from scraper.cli.report import summary, summary_event
from scraper.errors import ArgumentError, RunError
from scraper.job import Job, Result
from scraper.project import Project, spider_in_file
from scraper.resuming import arguments_of, check_feeds, check_spider, check_version
from scraper.runs import Run, Runs, check_changes
from scraper.settings import Layer, duration, override_layer
from scraper.sinks.choose import parse_feed
from scraper.spider import Spider, with_arguments

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
    limits = _limits(max_pages, max_items, max_time)
    settings = [*(setting or []), *([f"log={log}"] if log else [])]
    if resume:
        found = find(run, Runs(project.root)) if run else Runs(project.root).latest_resumable(name)
        if found.info.spider != name:
            raise RunError(f"Run {found.info.id} is one of spider {found.info.spider!r}, not of {name!r}.")
        _finish(_resumed(project, found, settings, limits, _pairs(argument), output or [], append=append))
    spider = project.spider(name)
    _finish(_new(project, spider, output, append, argument, settings, run, limits))


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
    settings = [*(setting or []), *([f"log={log}"] if log else [])]
    limits = _limits(max_pages, max_items, max_time)
    job = _new(project, spider_in_file(file), output, append, argument, settings, run, limits)
    _finish(replace(job, file=str(file.absolute())))


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
    settings = [*(setting or []), *([f"log={log}"] if log else [])]
    found = find(run, runs) if run else runs.latest_resumable()
    limits = _limits(max_pages, max_items, max_time)
    _finish(_resumed(project, found, settings, limits, _pairs(argument), output or [], append=append))


def add_to(app: typer.Typer) -> None:
    app.command()(crawl)
    app.command("run")(run_file)
    app.command()(resume)


# ── from what was typed to a job ─────────────────────────────────────────────────────────────────────────


def _new(
    project: Project,
    spider: type[Spider],
    output: list[str] | None,
    append: bool,
    argument: list[str] | None,
    settings: list[str],
    run: str | None,
    limits: dict[str, Any],
) -> Job:
    given = _pairs(argument)
    loaded = project.settings(spider, settings)
    return Job(
        spider=with_arguments(spider, given),
        settings=loaded.settings,
        root=project.root,
        arguments=given,
        feeds=[*loaded.settings.feeds.files, *(output or [])],
        append=append or loaded.settings.feeds.append,
        run_id=run,
        **limits,
    )


def _resumed(
    project: Project,
    run: Run,
    settings: list[str],
    limits: dict[str, Any],
    arguments: dict[str, str],
    output: list[str],
    *,
    append: bool,
) -> Job:
    """With the run's own arguments, files and settings; what was typed again may not say otherwise."""
    info = run.info
    if not info.resumable:
        raise RunError(f"Run {info.id} is {info.state}: there is nothing to resume.")
    check_changes(override_layer(settings).values)
    told = arguments_of(run, arguments)
    check_feeds(run, [str(parse_feed(text)) for text in output], append=append)
    spider = spider_of(project, run)
    loaded = project.settings(spider, settings, stored=Layer(f"run {info.id}", info.settings))
    made = with_arguments(spider, told)
    process.configure(loaded.settings)
    check_version(run)
    check_spider(run, spider)
    return Job(
        spider=made,
        settings=loaded.settings,
        root=project.root,
        arguments=told,
        feeds=info.feeds,
        append=info.append,
        file=info.file,
        resume=run,
        **limits,
    )


def spider_of(project: Project, run: Run) -> type[Spider]:
    """The class of the run's spider as it is now. Raises ProjectError."""
    project.on_path()
    return spider_in_file(Path(run.info.file)) if run.info.file else project.spider(run.info.spider)


def _limits(pages: int, items: int, time: str) -> dict[str, Any]:
    try:
        return {"max_pages": pages, "max_items": items, "max_time": duration(time) if time else 0.0}
    except ValueError as error:
        raise ArgumentError(f"--max-time: {error}.") from None


def _pairs(texts: list[str] | None) -> dict[str, str]:
    pairs = {}
    for text in texts or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise ArgumentError(f"-a takes key=value, such as -a max_pages=10; got {text!r}.")
        pairs[key] = value
    return pairs


def _finish(job: Job) -> None:
    """Crawls, says how it ended, and exits with the code that says the same."""
    console = Console(stderr=True)
    result = process.run(job, console=console)
    _tell(result, job, console)
    sys.exit(result.exit_code)


def _tell(result: Result, job: Job, console: Console) -> None:
    if console.is_terminal and job.settings.log == "text":
        console.print(summary(result, feeds=list(job.feeds)))
    else:
        structlog.get_logger().info("crawl ended", **summary_event(result))
