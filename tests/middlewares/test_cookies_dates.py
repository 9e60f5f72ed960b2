"""What browsers make of the dates in cookies (RFC 6265bis §5.1.1)."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.middlewares.cookie_date import cookie_date

THEN = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",  # the three forms of RFC 9110 §5.6.7
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "6 november 1994 8:49:37",
        "NOV 06 1994 08:49:37",
        "08:49:37 1994 Nov 06",
        "Sun, 06 Nov 1994 08:49:37 +0200",  # zones say nothing
        "Sun, 06 Nov 1994 08:49:37 PST",
        "Sun,06Nov,Nov,1994,08:49:37",  # 06Nov is the day as much as 06
        "Sun, 06 Nov 1994 08:49:37.123 GMT",
        "06 Nov 1994 08:49:37 07 Dec 1995 09:50:38",  # the first of each counts
    ],
)
def test_a_date_is_found_however_it_is_written(text):
    assert cookie_date(text) == THEN


@pytest.mark.parametrize(("short", "year"), [("69", 2069), ("70", 1970), ("99", 1999), ("00", 2000)])
def test_two_digits_of_a_year_mean_1970_to_2069(short, year):
    assert cookie_date(f"01 Jan {short} 00:00:00") == datetime(year, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "soon",
        "06 Nov 1994",
        "Nov 1994 08:49:37",
        "06 1994 08:49:37",
        "06 Nov 08:49:37",
        "31 Apr 2024 00:00:00",
        "00 Nov 1994 08:49:37",
        "06 Nov 1994 24:00:00",
        "06 Nov 1994 08:60:00",
        "06 Nov 1994 08:49:60",
        "06 Nov 1994 08:49",
        "06 Nov 1600 08:49:37",
        "06 Nov 19940 08:49:37",
        "006 Nov 1994 08:49:37",
    ],
)
def test_what_is_no_date_is_none(text):
    assert cookie_date(text) is None


@settings(database=None, deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789:,- NovJan") | st.characters(), max_size=40))
def test_no_text_breaks_it(text):
    assert cookie_date(text) is None or cookie_date(text) <= 253_402_300_799  # the last second of 9999


@settings(database=None, deadline=None)
@given(st.datetimes(datetime(1970, 1, 1), datetime(2069, 12, 31)))  # noqa: DTZ001  # hypothesis adds no zone
def test_every_moment_is_read_as_it_is_written(moment):
    at = moment.replace(microsecond=0, tzinfo=UTC)
    assert cookie_date(f"{at:%a, %d %b %Y %H:%M:%S GMT}") == at.timestamp()
    assert cookie_date(f"{at:%A, %d-%b-%y %H:%M:%S GMT}") == at.timestamp()
