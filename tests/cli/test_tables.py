"""Tables: what a terminal is too narrow for is left out whole; nothing is cut, and a pipe gets everything."""

import io

import pytest
from rich.console import Console

from scraper.cli.tables import Column, show

COLUMNS = [Column("run"), Column("pages", right=True), Column("started", spare=2), Column("size", spare=1)]
ROWS = [("", ("books-1", "1,234", "yesterday", "1.0 MB")), ("", ("b", "5", "today", "22.0 MB"))]


def printed(width: int, *, terminal: bool = True) -> list[str]:
    file = io.StringIO()
    show(
        COLUMNS,
        ROWS,
        Console(file=file, width=width, force_terminal=terminal, no_color=True, color_system=None),
    )
    return file.getvalue().splitlines()


def test_columns_stand_below_their_titles():
    assert printed(80) == [
        "run      pages  started    size",
        "books-1  1,234  yesterday  1.0 MB",
        "b            5  today      22.0 MB",
    ]


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (34, ["run", "pages", "started", "size"]),
        (33, ["run", "pages", "size"]),
        (20, ["run", "pages"]),
        (5, ["run", "pages"]),
    ],
)
def test_a_narrow_terminal_does_without_what_can_be_spared(width, titles):
    assert printed(width)[0].split() == titles


def test_a_pipe_gets_every_column():
    assert printed(5, terminal=False)[0].split() == ["run", "pages", "started", "size"]


def test_wide_characters_take_two_places():
    file = io.StringIO()
    show(
        [Column("url"), Column("n")], [("", ("書店", "1")), ("", ("shop", "2"))], Console(file=file, width=80)
    )
    assert file.getvalue().splitlines() == ["url   n", "書店  1", "shop  2"]
