"""Commands about the project: list, settings, startproject, genspider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from scraper.cli.scaffold import gen_spider, start_project
from scraper.clients.choice import AUTO, reasons
from scraper.layers import flat
from scraper.project import Project
from scraper.spider import argument_types

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def list_spiders(as_json: AsJson = False) -> None:
    """List this project's spiders."""
    found = Project.find().spiders()
    if as_json:
        typer.echo(orjson.dumps(sorted(found)).decode())
        return
    table = Table(box=None, pad_edge=False)
    for title in ("spider", "arguments", "what it does"):
        table.add_column(title)
    for name, spider in sorted(found.items()):
        table.add_row(name, " ".join(argument_types(spider)), (spider.__doc__ or "").strip().split("\n")[0])
    Console().print(table)


def settings(
    name: Annotated[str | None, typer.Argument(help="As this spider would see them.")] = None,
    setting: Annotated[list[str] | None, typer.Option("-s", "--set", metavar="KEY=VALUE")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings in force, and where each value came from."""
    project = Project.find()
    loaded = project.settings(project.spider(name) if name else None, setting or [])
    rows = [(key, value, _origin(key, loaded.origins)) for key, value in flat(loaded.settings)]
    if as_json:
        typer.echo(
            orjson.dumps(
                [{"key": key, "value": value, "from": origin} for key, value, origin in rows]
            ).decode()
        )
        return
    table = Table(box=None, pad_edge=False)
    for title in ("setting", "value", "from"):
        table.add_column(title, overflow="fold")
    for key, value, origin in rows:
        table.add_row(key, orjson.dumps(value).decode(), origin, style="" if origin == "default" else "bold")
    Console().print(table)
    if loaded.settings.client == AUTO:
        for asked, why in reasons():
            typer.echo(f'client = "auto": {asked} → {why}')


def startproject(folder: Annotated[Path, typer.Argument(help="A new folder.")]) -> None:
    """Start a project: settings.toml, a first spider that runs at once, an example of each part."""
    for path in start_project(folder, folder.absolute().name):
        typer.echo(f"  {path}")
    typer.echo(f"Now: cd {folder} && scrape list && scrape crawl books -o books.jsonl")


def genspider(
    name: Annotated[str, typer.Argument(help="The spider's name, such as shop.")],
    site: Annotated[str, typer.Argument(help="Where it starts: example.com or https://example.com/list.")],
) -> None:
    """Write a new spider into spiders/."""
    path = gen_spider(Project.find().root, name, site)
    typer.echo(f"Wrote {path}. Now: scrape crawl {name} -o {name}.jsonl")


def add_to(app: typer.Typer) -> None:
    app.command("list")(list_spiders)
    app.command()(settings)
    app.command()(startproject)
    app.command()(genspider)


def _origin(key: str, origins: object) -> str:
    steps = key.split(".")
    found = (origins.get(".".join(steps[:n])) for n in range(len(steps), 0, -1))  # type: ignore[attr-defined]  # a mapping
    return next((origin for origin in found if origin), "default")
