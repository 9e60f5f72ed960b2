"""The figures as a picture: requests a second over requests in flight, a line for each client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scraper.bench.drive import Figures
from scraper.errors import MissingExtra, UsageError

KINDS = (".svg", ".png")


def check_picture(path: Path) -> None:
    """Raises UsageError before anything is measured."""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"--plot {path}: a picture's name ends in .svg or .png.")
    try:
        import matplotlib  # noqa: F401  # whether it is there
    except ImportError:
        raise MissingExtra("--plot", "plot") from None


def draw(figures: Sequence[Figures], path: Path) -> None:
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(8, 5), layout="constrained")
    axes = canvas.add_subplot()
    for client in dict.fromkeys(one.client for one in figures):
        mine = [one for one in figures if one.client == client]
        axes.plot([one.in_flight for one in mine], [one.per_second for one in mine], marker="o", label=client)
    axes.set(xlabel="requests in flight", ylabel="requests a second", xscale="log", ylim=(0, None))
    ticks = sorted({one.in_flight for one in figures})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        canvas.savefig(path)
    except OSError as error:
        raise UsageError(f"'{path}' can't be written: {error.strerror}.") from error
