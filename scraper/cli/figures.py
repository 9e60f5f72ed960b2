"""Figures as a person reads them: thousands apart, megabytes, hours and minutes, the foremost reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from heapq import nlargest
from pathlib import Path

TOP_REASONS = 5


def count(number: int) -> str:
    return f"{number:,}"


def size(octets: int) -> str:
    return f"{octets / 1e6:,.1f} MB"


def when(unix: float | None, *, seconds: bool = True) -> str:
    """Local time; "" for none."""
    if unix is None:
        return ""
    local = datetime.fromtimestamp(unix, UTC).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S}" if seconds else f"{local:%Y-%m-%d %H:%M}"


def time_span(seconds: float, *, tenths: bool = True) -> str:
    """`12.3 s`, `2 min 05 s`, `1 h 02 min`, `3 d 04 h`."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s" if tenths else f"{int(seconds)} s"
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days} d {hours % 24:02} h"
    return f"{hours} h {minutes % 60:02} min" if hours else f"{minutes} min {whole % 60:02} s"


def reasons(counters: Mapping[str, int], name: str, most: int = TOP_REASONS) -> str:
    """`8 status 404 · 4 read timeout`, the most frequent first."""
    return " · ".join(
        f"{count(number)} {printable(why)}" for why, number in top_reasons(counters, name, most)
    )


def top_reasons(counters: Mapping[str, int], name: str, most: int = TOP_REASONS) -> list[tuple[str, int]]:
    prefix = name + "/"
    found = ((key.removeprefix(prefix), n) for key, n in counters.items() if n and key.startswith(prefix))
    return nlargest(most, found, key=lambda pair: pair[1])


def printable(text: str) -> str:
    """A reason may quote a page: nothing in it may steer the terminal."""
    return "".join(sign if sign.isprintable() else "·" for sign in text)


def nearby(path: Path) -> str:
    """Relative where it lies below the working directory."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
