"""A terminal that a command believes in."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from contextlib import suppress


class Terminal:
    """A terminal of 120 × 40 that a command believes in, and what has appeared on it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        self._read = b""
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    @property
    def shown(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self._read.decode("utf-8", "replace"))

    def read_until(self, pattern: str) -> None:
        """Reads on until the pattern appears, or to the end."""
        with suppress(OSError):  # EIO: the command has gone
            while not re.search(pattern, self.shown) and (read := os.read(self._ours, 65536)):
                self._read += read

    def read_to_the_end(self) -> None:
        self.read_until(r"(?!)")

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def let_go(self) -> None:
        os.close(self.theirs)


def on_a_terminal(started, *typed: str) -> tuple[subprocess.Popen[str], Terminal]:
    terminal = Terminal()
    theirs = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": terminal.theirs}
    environment = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    crawl = started(*typed, **theirs, env={**environment, "TERM": "xterm-256color"})
    terminal.let_go()
    return crawl, terminal
