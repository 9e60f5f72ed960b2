"""A command as a person types it, in a process that the system treats badly."""

import ctypes
import os
import resource
import sqlite3
import sys
from pathlib import Path
from typing import Any

from scraper import filesystems
from scraper.cli import main

CAPABILITIES = 0x20080522  # the version of capset(2) with two words of them
MAY_PASS_BY_MODES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def command(words: list[str], at: str, **hindered: Any) -> int:
    """Its exit code. `hindered`: the name of a function below, and what it takes."""
    os.chdir(at)
    os.environ["COLUMNS"] = "200"
    sys.path[:0] = [at]
    sys.argv = ["scrape", *words]
    for name, value in hindered.items():
        HINDRANCES[name](value)
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _files_no_larger_than(size: int) -> None:
    """A write beyond it fails, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _databases_no_larger_than(pages: int) -> None:
    """SQLite's own word for a full disk."""
    _on_connect(lambda base: base.execute(f"PRAGMA max_page_count = {pages}"))


def _obeys_modes(_: bool) -> None:
    """The superuser too may write only where modes say so."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(CAPABILITIES, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; and the same for higher numbers
    if libc.capget(head, words):
        raise OSError(ctypes.get_errno(), "capget")
    words[0] &= ~MAY_PASS_BY_MODES
    if libc.capset(head, words):
        raise OSError(ctypes.get_errno(), "capset")


def _waits_for_locks(seconds: float) -> None:
    _on_connect(lambda base: base.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}"))


def _has_mounts(text: str) -> None:
    """As if the system had said so of what is mounted."""
    filesystems.MOUNTS = Path(text)


def _on_connect(change: Any) -> None:
    connect = sqlite3.connect

    def changed(*args: Any, **options: Any) -> sqlite3.Connection:
        base = connect(*args, **options)
        change(base)
        return base

    sqlite3.connect = changed  # type: ignore[assignment]


HINDRANCES = {
    "files_no_larger_than": _files_no_larger_than,
    "databases_no_larger_than": _databases_no_larger_than,
    "obeys_modes": _obeys_modes,
    "waits_for_locks": _waits_for_locks,
    "has_mounts": _has_mounts,
}
