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
    """Keeps what is written until the view's next look: a redraw for every line would cost 1 ms each."""

    def __init__(self, console: Console) -> None:
        self.rich_proxied_file = console.file  # by this name rich finds the terminal behind us
        self.buffer: Any = getattr(sys.stdout, "buffer", None)
        self._console = console
        self._waiting: deque[str] = deque(maxlen=UNPOURED)
        self._line = ""
        self._ended = False

    def write(self, text: str) -> int:
        if self._ended:
            return self.rich_proxied_file.write(text)
        self._waiting.append(text)
        return len(text)

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def pour(self) -> None:
        """Prints the lines that are whole."""
        text = self._line + "".join(self._waiting.popleft() for _ in range(len(self._waiting)))
        lines, newline, self._line = text.rpartition("\n")
        if newline:
            self._console.print(Text(lines), soft_wrap=True)

    def end(self) -> None:
        """The view is gone: prints what waits, and from here on at once."""
        self.pour()
        if self._line:
            self._console.print(Text(self._line), soft_wrap=True)
        self._ended = True

    def isatty(self) -> bool:
        return self._console.is_terminal

    def fileno(self) -> int:
        return self.rich_proxied_file.fileno()
