"""Units: seconds and bytes as people write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
DURATION = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d|)")
SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?([kmg]i?b|)")
MULTIPLES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def duration(text: str) -> float:
    """Seconds in `10m`, `30s`, `1h30m`, `2d`, `500ms` or `90`. Raises ValueError in words."""
    rest, seconds = text.strip().lower(), 0.0
    while match := DURATION.match(rest):
        seconds += float(match[1]) * UNITS[match[2]]
        rest = rest[match.end() :]
        if not rest:
            return seconds
        if not match[2]:
            break  # a number without a unit ends it
    raise ValueError(f"{text!r} is no duration: write it as 90, 30s, 10m or 1h30m")


def _seconds(value: Any) -> Any:
    return duration(value) if isinstance(value, str) else value


def size(text: str) -> int:
    """Bytes in `512MB`, `2GiB` or `1000000`. Raises ValueError in words."""
    match = SIZE.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no size: write it as 1000000, 512MB or 2GiB")
    return int(float(match[1]) * MULTIPLES[match[2]])


def _bytes(value: Any) -> Any:
    return size(value) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
