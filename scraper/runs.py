"""Runs: a folder for each crawl, with what it was told, what it remembers, and a lock while it lives."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import portalocker
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from scraper.errors import RunError, StorageError
from scraper.version import __version__

log = structlog.get_logger()

State = Literal["running", "finished", "waiting", "stopped", "interrupted", "crashed"]
RESUMABLE: tuple[State, ...] = ("running", "waiting", "stopped", "interrupted", "crashed")


class RunInfo(BaseModel):
    """run.json: what the run was told at its start, and how it stands. Times are Unix seconds."""

    model_config = ConfigDict(extra="ignore")

    id: str
    spider: str
    file: str | None = None  # of `scrape run FILE.py`
    arguments: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    feeds: list[str] = []
    append: bool = False
    source: str = ""  # a hash of the spider's file
    version: str = __version__
    started: float
    ended: float | None = None
    state: State = "running"
    reason: str = ""
    waiting_until: float | None = None
    counters: dict[str, int] = {}

    @property
    def resumable(self) -> bool:
        return self.state in RESUMABLE and self.settings.get("frontier", {}).get("kind") != "memory"


class Run:
    """One run's folder (mode 0700: it holds cookies and request bodies)."""

    def __init__(self, folder: Path, info: RunInfo) -> None:
        self.folder = folder
        self.info = info

    @property
    def database(self) -> Path:
        return self.folder / "frontier.db"

    @property
    def rejected(self) -> Path:
        return self.folder / "rejected.jsonl"

    def save(self) -> None:
        """Replaces run.json in one step: a reader sees the old one or the new one."""
        target = self.folder / "run.json"
        fresh = target.with_suffix(".new")
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(self.info.model_dump_json(indent=2))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)
        except OSError as error:
            raise StorageError(
                f"The run's folder {self.folder} can't be written: {error.strerror}."
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run while it lives. Raises RunError where another process does."""
        with (self.folder / "lock").open("a+") as file:
            try:
                portalocker.lock(file, portalocker.LOCK_EX | portalocker.LOCK_NB)
            except portalocker.LockException:
                raise RunError(f"Run {self.info.id} is being worked on by another process.") from None
            yield

    @property
    def alive(self) -> bool:
        """Whether a process works on it now."""
        try:
            with self.locked():
                return False
        except RunError:
            return True


class Runs:
    """All runs of a project, under `.scrape/runs/`."""

    def __init__(self, root: Path) -> None:
        self._home = root / ".scrape"
        self._folder = self._home / "runs"

    def create(self, spider: str, *, run_id: str | None = None, **told: Any) -> Run:
        """A new run. Raises RunError where `run_id` exists, StorageError where nothing can be written."""
        now = time.time()
        wanted = run_id or f"{spider}-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}"
        if "/" in wanted or "\\" in wanted or wanted.startswith("."):
            raise RunError(f"{wanted!r} can't be a run's name: it is the name of a folder.")
        folder = self._new_folder(wanted, exact=run_id is not None)
        run = Run(folder, RunInfo(id=folder.name, spider=spider, started=now, **told))
        run.save()
        return run

    def _new_folder(self, name: str, *, exact: bool) -> Path:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for attempt in range(1, 1000):
                folder = self._folder / (name if attempt == 1 else f"{name}-{attempt}")
                try:
                    folder.mkdir(mode=0o700)
                except FileExistsError:
                    if exact:
                        raise RunError(
                            f"There is a run {name!r} already: `scrape resume {name}` goes on with it."
                        ) from None
                else:
                    return folder
        except OSError as error:
            raise RunError(
                f"The project's folder {self._folder} can't be written: {error.strerror}."
            ) from error
        raise RunError(f"There are too many runs named {name!r}.")

    def get(self, run_id: str) -> Run:
        folder = self._folder / run_id
        if Path(run_id).name != run_id or not (folder / "run.json").is_file():
            recent = ", ".join(run.info.id for run in self.all()[:3]) or "none"
            raise RunError(f"There is no run {run_id!r} in this project. The latest: {recent}.")
        return _read(folder)

    def all(self) -> list[Run]:
        """Newest first."""
        if not self._folder.is_dir():
            return []
        runs = []
        for folder in self._folder.iterdir():
            if (folder / "run.json").is_file():
                try:
                    runs.append(_read(folder))
                except RunError as error:
                    log.warning("a run is left out", problem=str(error))
        return sorted(runs, key=lambda run: run.info.started, reverse=True)

    def latest_resumable(self, spider: str | None = None) -> Run:
        """The newest run that did not finish. Raises RunError where there is none."""
        of = f" of spider {spider!r}" if spider else ""
        runs = [run for run in self.all() if spider in (None, run.info.spider)]
        for run in runs:
            if run.info.resumable:
                return run
        latest = f" The latest, {runs[0].info.id}, is {runs[0].info.state}." if runs else ""
        raise RunError(f"There is no run{of} to resume.{latest}")

    # ── who wrote a feed last ────────────────────────────────────────────────────────────────────────

    def claim_feed(self, path: Path, run: Run) -> None:
        """Writes down that this run writes the file."""
        note = self._note(path)
        note.parent.mkdir(mode=0o700, exist_ok=True)
        note.write_text(run.info.id, "utf-8")

    def check_feed(self, path: Path, run: Run) -> None:
        """Raises RunError where another run has written the file since."""
        note = self._note(path)
        writer = note.read_text("utf-8") if note.is_file() else run.info.id
        if writer != run.info.id:
            raise RunError(
                f"{path} has been written by run {writer} since: going on would mix the two."
                f" Move it away, and {run.info.id} writes its own again when it is resumed."
            )

    def _note(self, path: Path) -> Path:
        return self._home / "feeds" / hashlib.blake2b(os.fsencode(path), digest_size=12).hexdigest()


def _read(folder: Path) -> Run:
    try:
        return Run(folder, RunInfo.model_validate_json((folder / "run.json").read_text("utf-8")))
    except (OSError, ValidationError) as error:
        raise RunError(f"{folder / 'run.json'} can't be read: {error}.") from None


RESUME_MAY_CHANGE = frozenset(
    [
        "concurrency",
        "per_host",
        "delay",
        "seats",
        "hosts",
        "timeouts",
        "retry",
        "proxies",
        "log",
        "log_level",
        "grace",
        "max_wait",
        "max_failed",
        "loop",
    ]
)


def check_changes(changes: Mapping[str, Any]) -> None:
    """A resume may go at another speed, through other proxies, with other timeouts and logging; nothing else."""
    for key in changes:
        if key not in RESUME_MAY_CHANGE:
            raise RunError(
                f"A resume keeps the run's {key!r}; -s may change: {', '.join(sorted(RESUME_MAY_CHANGE))}."
            )
