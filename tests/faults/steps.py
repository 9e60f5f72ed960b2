"""Steps: everything that a crawl does to its files, one after the other; the process can die at any of them."""

import json
import os
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from scraper.sinks import append_file

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
VERB = re.compile(
    r"\s*(?P<verb>BEGIN|COMMIT|ROLLBACK|PRAGMA|INSERT|REPLACE|UPDATE|DELETE|CREATE|DROP|ALTER)\b"
    r"(?:(?: OR \w+)?(?: INTO| FROM| TABLE| INDEX| IMMEDIATE)? (?P<noun>\w+))?"
)


class Fault(NamedTuple):
    """The `nth` time that this step is made is the process's last."""

    step: str
    nth: int


class Steps:
    """Of one process. A step is a sentence such as `before COMMIT in frontier.db`, `after fsync of all.csv`."""

    def __init__(self, root: Path, fault: Fault | None) -> None:
        self._root = str(root)
        self._fault = fault
        self._lock = threading.Lock()
        self.made: Counter[str] = Counter()

    def at(self, step: str) -> None:
        with self._lock:
            self.made[step] += 1
            if self._fault == (step, self.made[step]):
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """From here on, in this process and for good."""
        sys.addaudithook(self._heard)
        self._watch_syncs()
        self._watch_databases()
        self._watch_feeds()

    def told(self, **more: Any) -> str:
        return json.dumps({"made": dict(sorted(self.made.items())), **more})

    # ── what Python tells of files: before it is done ────────────────────────────────────────────────────

    def _heard(self, event: str, told: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(told[2], int) and told[2] & WRITES:
            self._before("open", told[0])
        elif event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate"):
            self._before(event.removeprefix("os."), told[0])

    def _before(self, what: str, path: Any) -> None:
        if isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(self._root):
            self.at(f"before {what} of {_named(os.fsdecode(path))}")

    # ── syncs ────────────────────────────────────────────────────────────────────────────────────────────

    def _watch_syncs(self) -> None:
        os.fsync = self._around("fsync", os.fsync)
        if hasattr(os, "fdatasync"):  # macOS and Windows have fsync only
            os.fdatasync = self._around("fdatasync", os.fdatasync)
        append_file._fdatasync = getattr(os, "fdatasync", os.fsync)

    def _around(self, name: str, sync: Any) -> Any:
        def watched(descriptor: int) -> None:
            path = _path_of(descriptor)
            self.at(f"before {name} of {_named(path)}")
            sync(descriptor)
            self.at(f"after {name} of {_named(path)}")

        return watched

    # ── databases ────────────────────────────────────────────────────────────────────────────────────────

    def _watch_databases(self) -> None:
        connect = sqlite3.connect

        def watched(path: Any, *args: Any, **options: Any) -> sqlite3.Connection:
            name = _named(str(path).partition("?")[0])
            base = connect(path, *args, **{**options, "factory": _watched_by(self, name)})
            base.set_trace_callback(lambda sql: self._statement("before", sql, name))
            return base

        sqlite3.connect = watched  # type: ignore[assignment]

    def _statement(self, when: str, sql: str, name: str) -> None:
        found = VERB.match(sql)
        if found:
            noun = found["noun"]
            self.at(f"{when} {found['verb']}{f' {noun}' if noun else ''} in {name}")

    # ── feeds ────────────────────────────────────────────────────────────────────────────────────────────

    def _watch_feeds(self) -> None:
        born = append_file.AppendFile.__init__

        def opened(file: Any, path: Path) -> None:
            born(file, path)
            file._file = _Halting(file._file, _named(str(path)), self)

        append_file.AppendFile.__init__ = opened  # type: ignore[method-assign]


class _Halting:
    """A feed's file that takes half of what it is given, so that a process may die between the halves."""

    def __init__(self, file: Any, name: str, steps: Steps) -> None:
        self._file = file
        self._name = name
        self._steps = steps

    def write(self, part: Any) -> int:
        self._steps.at(f"before write to {self._name}")
        taken: int = self._file.write(part[: len(part) // 2 + 1])
        self._steps.at(f"after write to {self._name}")
        return taken

    def truncate(self, end: int) -> int:
        self._steps.at(f"before truncate of {self._name}")
        size: int = self._file.truncate(end)
        self._steps.at(f"after truncate of {self._name}")
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> Any:
        return self._file.__enter__()

    def __exit__(self, *raised: Any) -> Any:
        return self._file.__exit__(*raised)


def _watched_by(steps: Steps, name: str) -> type[sqlite3.Connection]:
    """A connection whose statements are steps when they have ended; SQLite itself tells when they begin."""

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            cursor = super().execute(sql, *values)
            steps._statement("after", sql, name)
            return cursor

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            cursor = super().executemany(sql, *values)
            steps._statement("after", sql, name)
            return cursor

        def executescript(self, sql: str) -> sqlite3.Cursor:
            cursor = super().executescript(sql)
            steps.at(f"after script in {name}")
            return cursor

        def close(self) -> None:
            steps.at(f"before close of {name}")
            super().close()
            steps.at(f"after close of {name}")

    return Watched


def _path_of(descriptor: int) -> str:
    proc = Path(f"/proc/self/fd/{descriptor}")
    return str(proc.readlink()) if proc.exists() else "a file"


def _named(path: str) -> str:
    """The last two steps of a path; what varies from run to run is left out."""
    there = Path(re.sub(r"\.new-\w+", ".new", path))
    if there.parent.name == "feeds":
        there = there.with_stem("claim")
    return there.name
