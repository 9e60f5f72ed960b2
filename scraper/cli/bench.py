"""Command bench: what each client costs on this machine."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from scraper.bench.clients import IN_FLIGHT, check_local, installed, measure
from scraper.bench.drive import Figures
from scraper.bench.picture import check_picture, draw
from scraper.bench.site import serving
from scraper.cli.as_json import AsJson, print_json
from scraper.cli.tables import Column, show
from scraper.errors import UsageError

bench = typer.Typer(help="Measure on this machine.", no_args_is_help=True)

COLUMNS = (
    Column("in flight", right=True),
    Column("client"),
    Column("requests/s", right=True),
    Column("of the fastest", right=True),
    Column("CPU a request", right=True),
    Column("memory", right=True),
    Column("failed", right=True),
)


@bench.command()
def clients(
    url: Annotated[
        str,
        typer.Argument(
            help="On loopback, such as http://127.0.0.1:8081/p/ (a number is added); else a bundled site."
        ),
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option("--client", help="Only this one. Repeat for several.")
    ] = None,
    in_flight: Annotated[str, typer.Option(help="Requests at a time.")] = ",".join(map(str, IN_FLIGHT)),
    requests: Annotated[int, typer.Option(min=1, help="Requests in each measurement.")] = 5_000,
    rounds: Annotated[
        int, typer.Option(min=1, help="The clients take turns; what is shown is the median.")
    ] = 1,
    plot: Annotated[Path | None, typer.Option(help="Write a picture, .svg or .png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure every installed client, through the whole downloader with its middlewares."""
    there, missing = installed()
    chosen = only or there
    for name in chosen:
        if name not in there:
            raise UsageError(
                missing.get(name, f"There is no client {name!r}. There are: {', '.join(there)}.")
            )
    numbers = _numbers(in_flight)
    if plot is not None:
        check_picture(plot)
    with ExitStack() as stack:
        if url:
            check_local(url)
        figures = list(
            measure(
                chosen,
                url or stack.enter_context(serving()),
                in_flight=numbers,
                requests=requests,
                rounds=rounds,
            )
        )
    if as_json:
        print_json([asdict(one) for one in figures])
    else:
        _print(figures, {} if only else missing)
    if plot is not None:
        draw(figures, plot)


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UsageError(f"--in-flight takes numbers such as 50,100,500; got {text!r}.")
    return numbers


def _print(figures: list[Figures], missing: dict[str, str]) -> None:
    rows = []
    for number in dict.fromkeys(one.in_flight for one in figures):
        here = sorted((one for one in figures if one.in_flight == number), key=lambda one: -one.per_second)
        for one in here:
            share = one.per_second / here[0].per_second if here[0].per_second else 0.0
            cells = (
                f"{number:,}",
                one.client,
                f"{one.per_second:,.0f}",
                f"{share:.0%}",
                f"{one.cpu:,.0f} µs",
                f"{one.peak:,.0f} MB",
                str(one.failed or ""),
            )
            rows.append(("red" if one.failed else "", cells))
    show(COLUMNS, rows)
    for name, how in missing.items():
        typer.echo(f"{name} was not measured. {how}")


def add_to(app: typer.Typer) -> None:
    app.add_typer(bench, name="bench")
