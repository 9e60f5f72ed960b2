"""The log of a job: a file of its own, rotated by size, and the worker's standard output."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

from scraper.worker.hushed import without_passwords

log = structlog.get_logger()


class JobLog:
    """`most`: bytes of the file; `kept`: older ones beside it, `.1` the newest of them. `run` may come later."""

    def __init__(
        self, file: Path, *, most: int, kept: int, out: TextIO, job: str, spider: str, run: str = ""
    ) -> None:
        self._path = file
        self._most = most
        self._kept = kept
        self._out = out
        self._job = job
        self._spider = spider
        self._file: int | None = None
        self._size = 0
        self._lost = 0
        self.run = run

    def write(self, line: bytes) -> None:
        """A line of the process's standard error: an event, or whatever else is said there."""
        if not line.strip():
            return
        event = _event(without_passwords(line.decode("utf-8", "replace")))
        who = {"job": self._job, "run": self.run or event.get("run", ""), "spider": self._spider}
        written = orjson.dumps({**event, **who}, option=orjson.OPT_APPEND_NEWLINE)
        try:
            self._keep(written)
        except OSError as error:
            if not self._lost:
                log.warning(
                    "the log of a job can't be written", file=str(self._path), problem=error.strerror, **who
                )
            self._lost += 1
        self._out.write(written.decode())
        self._out.flush()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # ── the file ─────────────────────────────────────────────────────────────────────────────────────────

    def _keep(self, line: bytes) -> None:
        if self._file is None:
            self._open()
        if self._size and self._size + len(line) > self._most:
            self._rotate()
        if self._file is not None:
            self._size += os.write(self._file, line)

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._file).st_size

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept - 1, 0, -1):
            if self._older(number).exists():
                self._older(number).replace(self._older(number + 1))
        if self._kept:
            self._path.replace(self._older(1))
        else:
            self._path.unlink()
        self._open()

    def _older(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _event(line: str) -> dict[str, Any]:
    try:
        told = orjson.loads(line)
    except ValueError:
        told = None
    if isinstance(told, dict) and "event" in told:
        return told
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return {"event": "said", "text": line, "level": "warning", "timestamp": now}
