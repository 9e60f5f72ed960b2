"""Tables: rows in columns, whole lines, for a terminal and for `grep`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

GAP = 2  # spaces between two columns


@dataclass(frozen=True, slots=True)
class Column:
    """`right`: for numbers. `spare`: a terminal that is too narrow does without it, the highest first; 0 = never."""

    title: str
    right: bool = False
    spare: int = 0


Row = tuple[str, Sequence[str]]  # its style (rich), and a cell for each column


def show(columns: Sequence[Column], rows: Iterable[Row], console: Console | None = None) -> None:
    """No cell is cut or folded: the last column may run over the edge, so what is long belongs there."""
    console = console or Console()
    table = [("bold", [column.title for column in columns]), *rows]
    widths = [max(cell_len(cells[n]) for _, cells in table) for n in range(len(columns))]
    shown = _fitting(columns, widths, console.width) if console.is_terminal else list(range(len(columns)))
    for style, cells in table:
        line = (" " * GAP).join(_padded(cells[n], widths[n], right=columns[n].right) for n in shown)
        console.print(Text(line.rstrip(), style), soft_wrap=True)


def _fitting(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The columns that are shown."""
    shown = list(range(len(columns)))
    for n in sorted(shown, key=lambda n: -columns[n].spare):
        if not columns[n].spare or sum(widths[m] + GAP for m in shown) - GAP <= width:
            break
        shown.remove(n)
    return shown


def _padded(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space
