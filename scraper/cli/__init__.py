"""The command line: `scrape crawl books -o books.jsonl`, and everything around it."""

from __future__ import annotations

import sys

import typer
from rich.console import Console
from rich.markup import escape

from scraper import log
from scraper.cli import bench, crawl, export, jobs, letters, project, runs, stats, why, worker
from scraper.errors import StorageError, UsageError

app = typer.Typer(
    name="scrape",
    help="Write spiders, crawl, lose nothing.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for commands in (crawl, runs, stats, letters, why, export, jobs, project, worker, bench):
    commands.add_to(app)


def main() -> None:
    """Runs a command; what a person must put right is one sentence and exit code 2, never a traceback."""
    log.configure()  # before a crawl brings its own settings
    try:
        app()
    except UsageError as error:
        _say(str(error))
        sys.exit(2)
    except StorageError as error:
        _say(str(error))
        sys.exit(1)


def _say(sentence: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]scrape:[/] {escape(sentence)}", highlight=False)
