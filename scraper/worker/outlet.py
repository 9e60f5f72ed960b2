"""The outlet: a worker's standard output, whose reader may go away and whose disk may be full."""

from __future__ import annotations

import io
import json
from typing import TextIO


class Outlet(io.TextIOBase):
    """Lines that can't be written are lost, not the worker; how many, it says once it can speak again."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = 0

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._stream.isatty()

    def write(self, text: str) -> int:
        try:
            if self._lost:
                said = {
                    "event": "lines of the log could not be written",
                    "lines": self._lost,
                    "level": "warning",
                }
                self._stream.write(json.dumps(said) + "\n")
                self._stream.flush()
                self._lost = 0
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._lost += text.count("\n")
        return len(text)

    def flush(self) -> None:
        """Each line goes out as it comes."""
