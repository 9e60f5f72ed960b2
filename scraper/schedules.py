"""Schedules: when a job is due, and when the next one of its series is."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from scraper.errors import MissingExtra


def check_timezone(name: str) -> str:
    """An IANA name, such as Europe/Berlin. Raises ValueError in words."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}: write it as Europe/Berlin, or UTC") from None
    return name


def check_cron(expression: str) -> str:
    """Five fields: minute, hour, day of the month, month, day of the week. Raises ValueError in words."""
    if expression:
        _next_of_cron(expression, datetime.now(UTC))
    return expression


def following(due: float, now: float, *, every: float, cron: str, timezone: str) -> float:
    """The first tick after `now` (Unix seconds) of a series whose last tick was due at `due`.

    Ticks of `every` keep their distance to `due`; those of `cron` are in the wall time of `timezone`. What was missed
    meanwhile is not made up for: the tick that was due has run once.
    """
    if cron:
        return _next_of_cron(cron, datetime.fromtimestamp(now, ZoneInfo(timezone))).timestamp()
    return due + every * (math.floor((now - due) / every) + 1)


def _next_of_cron(expression: str, after: datetime) -> datetime:
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise MissingExtra("cron", "worker") from None
    try:
        return next(CronSim(expression, after))
    except CronSimError as error:
        raise ValueError(f"{expression!r} is no cron expression: {error}") from None
    except StopIteration:
        raise ValueError(f"{expression!r} never comes") from None
