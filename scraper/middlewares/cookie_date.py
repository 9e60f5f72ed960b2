"""Dates in cookies: whatever servers write after `Expires=`, read as browsers do (RFC 6265bis §5.1.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

TOKENS = re.compile(r"[^\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
TIME = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)", re.ASCII)
DAY = re.compile(r"(\d{1,2})(?!\d)", re.ASCII)
MONTH = re.compile(r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)
YEAR = re.compile(r"(\d{2,4})(?!\d)", re.ASCII)
MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
EARLIEST = 1601


def cookie_date(text: str) -> float | None:
    """Unix time, whatever zone is named; None where it is no date."""
    wanted = [TIME, DAY, MONTH, YEAR]
    found: dict[re.Pattern[str], tuple[str, ...]] = {}
    for token in TOKENS.findall(text):
        for kind in wanted:
            match = kind.match(token)
            if match:  # each token is what fits first and is not there yet
                found[kind] = match.groups()
                wanted.remove(kind)
                break
    return None if wanted else _moment(found)


def _moment(found: dict[re.Pattern[str], tuple[str, ...]]) -> float | None:
    year = int(found[YEAR][0])
    if year < 100:
        year += 1900 if year >= 70 else 2000
    month = MONTHS.index(found[MONTH][0].lower()) // 3 + 1
    if year < EARLIEST:
        return None
    try:
        hour, minute, second = map(int, found[TIME])
        return datetime(year, month, int(found[DAY][0]), hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:  # the 31st of April, 25 o'clock
        return None
