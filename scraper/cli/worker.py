"""`scrape worker`: runs the jobs of this project until it is told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from scraper.errors import ArgumentError, MissingExtra
from scraper.project import Project
from scraper.units import duration


def worker(
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Crawls at once, each in a process of its own.")
    ] = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where HTTP is served.")
    ] = None,
    no_http: Annotated[bool, typer.Option("--no-http", help="Serve no HTTP.")] = False,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", metavar="FILE", help="A file with the token that HTTP asks for."),
    ] = None,
    grace: Annotated[
        str, typer.Option("--grace", metavar="30s", help="What a stop gives to what is in flight.")
    ] = "",
) -> None:
    """Run jobs (`scrape jobs add …`), each crawl in a process of its own, until a signal stops it.

    SIGTERM or Ctrl-C: no new job; what is in flight has its grace; what is not finished goes on with the next worker.
    Twice: at once, nothing is lost. SIGHUP: settings and spiders are read again for new jobs.
    """
    if no_http and listen is not None:
        raise ArgumentError("--listen and --no-http can't go together: leave one of them out.")
    token = None if token_file is None else _token(token_file)
    try:
        from scraper.worker.service import Told, work
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "prometheus_client":
            raise
        raise MissingExtra("scrape worker", "worker") from None
    told = Told(jobs=jobs, listen=listen, token=token, grace=_grace(grace), http=not no_http)
    asyncio.run(work(Project.find(), told))


def add_to(app: typer.Typer) -> None:
    app.command()(worker)


def _grace(text: str) -> float | None:
    try:
        return duration(text) if text else None
    except ValueError as error:
        raise ArgumentError(f"--grace: {error}.") from None


def _token(file: Path) -> str:
    """Raises ArgumentError where the file holds none: nobody would be kept out."""
    try:
        token = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"--token-file: {file} can't be read: {error}.") from None
    if not token:
        raise ArgumentError(f"--token-file: {file} is empty: write a long random token into it.")
    return token
