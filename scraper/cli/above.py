"""Above: the stream whose lines appear above the live view."""

from __future__ import annotations

import io
import sys
from collections import deque
from typing import Any

from rich.console import Console
from rich.text import Text

UNPOURED = 20_000  # writes kept for a terminal that has stopped taking them


class Above(io.TextIOBase):
    """A stream whose lines wait for the view's next look: a redraw for each would cost 1 ms."""

    def __init__(self, console: Console) -> None:
        self.rich_proxied_file = console.file  # by this name rich finds the terminal behind us
        self.buffer: Any = getattr(sys.stdout, "buffer", None)
        self._console = console
        self._waiting: deque[str] = deque(maxlen=UNPOURED)
        self._line = ""

    def write(self, text: str) -> int:
        self._waiting.append(text)
        return len(text)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def pour(self, *, rest: bool = False) -> bool:
        """Prints the lines that are whole, with `rest` the last one too; whether there were any."""
        text = self._line + "".join(self._waiting.popleft() for _ in range(len(self._waiting)))
        whole, newline, self._line = text.rpartition("\n")
        if rest and self._line:
            whole, newline, self._line = text, "\n", ""
        if newline:
            self._console.print(Text(whole), soft_wrap=True)
        return bool(newline)

    def isatty(self) -> bool:
        return self._console.is_terminal

    def fileno(self) -> int:
        return self.rich_proxied_file.fileno()
