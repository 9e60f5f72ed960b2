"""Runs: a folder for each crawl, with what it was told, what it remembers, and a lock while it lives."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import portalocker
import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from scraper.claims import Claims
from scraper.durable import replace_file, sync_folder
from scraper.errors import RunError, ScrapeError, StorageError
from scraper.lock import Lock
from scraper.version import __version__

log = structlog.get_logger()

State = Literal["running", "finished", "waiting", "stopped", "interrupted", "crashed"]
RESUMABLE: tuple[State, ...] = ("running", "waiting", "stopped", "interrupted", "crashed")
MOST_OF_A_NAME = 1_000  # runs whose names differ in the number at their end only


class RunInfo(BaseModel):
    """run.json: what the run was told at its start, and how it stands. Times are Unix seconds."""

    model_config = ConfigDict(extra="ignore")

    id: str
    spider: str
    file: str | None = None  # of `scrape run FILE.py`
    arguments: dict[str, Any] = {}
    secrets: list[str] = []  # the names of arguments that were given and are not kept
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
        self._lock = Lock(folder / "lock")

    @property
    def database(self) -> Path:
        return self.folder / "frontier.db"

    @property
    def rejected(self) -> Path:
        return self.folder / "rejected.jsonl"

    def save(self) -> None:
        """Replaces run.json in one step: a reader sees the old one or the new one."""
        with _told_as(StorageError, self.folder):
            self.write()

    def write(self) -> None:
        """As `save`, but raises OSError."""
        replace_file(self.folder / "run.json", self.info.model_dump_json(indent=2))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for this process. Raises RunError where another process does, or nothing can be written."""
        with _told_as(RunError, self.folder):
            try:
                self._lock.take()
            except portalocker.LockException:
                raise RunError(f"Run {self.info.id} is being worked on by another process.") from None
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def living(self) -> Iterator[None]:
        """As `locked`, for a crawl: while it goes on, and after it was killed, the lock says so."""
        with self.locked():
            with _told_as(RunError, self.folder):
                self._lock.begin()
            try:
                yield
            finally:
                self._lock.end()

    @property
    def was_killed(self) -> bool:
        """Whether its last life did not end by itself; known inside `locked`."""
        return self._lock.was_killed

    @property
    def alive(self) -> bool:
        """Whether a process works on it now."""
        return self._lock.held


class Runs:
    """All runs of a project, under `.scrape/runs/`. What begins with a dot there is no run."""

    def __init__(self, root: Path) -> None:
        self.folder = root / ".scrape" / "runs"
        self.claims = Claims(root / ".scrape" / "feeds")

    def create(self, spider: str, *, run_id: str | None = None, **told: Any) -> Run:
        """A new run, on the disk. Raises RunError where `run_id` exists or nothing can be written."""
        now = time.time()
        wanted = run_id or f"{spider}-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}"
        if "/" in wanted or "\\" in wanted or wanted.startswith("."):
            raise RunError(f"{wanted!r} can't be a run's name: it is the name of a folder.")
        info = RunInfo(id=wanted, spider=spider, started=now, **told)
        with _told_as(RunError, self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=self.folder))  # mode 0700
            try:
                run = self._named(fresh, info, exact=run_id is not None)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
            for folder in (self.folder, *self.folder.parents[:2]):
                sync_folder(folder)
        return run

    def _named(self, fresh: Path, info: RunInfo, *, exact: bool) -> Run:
        """Gives the folder its name: a run that can be seen has its run.json, whenever the process dies."""
        for number in range(1, MOST_OF_A_NAME):
            name = info.id if number == 1 else f"{info.id}-{number}"
            run = Run(fresh, info.model_copy(update={"id": name}))
            if not _taken(self.folder / name):
                run.write()
                if _renamed(fresh, self.folder / name):
                    return Run(self.folder / name, run.info)
            if exact:
                raise _in_the_way(self.folder / name)
        raise RunError(f"There are too many runs named {info.id!r}.")

    def get(self, run_id: str) -> Run:
        folder = self.folder / run_id
        if not self._is_run(folder) or folder.name != run_id:
            recent = ", ".join(run.info.id for run in self.all()[:3]) or "none"
            raise RunError(f"There is no run {run_id!r} in this project. The latest: {recent}.")
        return _read(folder)

    def all(self) -> list[Run]:
        """Newest first."""
        if not self.folder.is_dir():
            return []
        runs = []
        for folder in self.folder.iterdir():
            if self._is_run(folder):
                try:
                    runs.append(_read(folder))
                except RunError as error:
                    log.warning("a run is left out", problem=str(error))
        return sorted(runs, key=lambda run: run.info.started, reverse=True)

    def _is_run(self, folder: Path) -> bool:
        return not folder.name.startswith(".") and (folder / "run.json").is_file()

    def latest_resumable(self, spider: str | None = None) -> Run:
        """The newest run that did not finish. Raises RunError where there is none."""
        of = f" of spider {spider!r}" if spider else ""
        runs = [run for run in self.all() if spider in (None, run.info.spider)]
        for run in runs:
            if run.info.resumable:
                return run
        latest = f" The latest, {runs[0].info.id}, is {runs[0].info.state}." if runs else ""
        raise RunError(f"There is no run{of} to resume.{latest}")

    def claim_feed(self, path: Path, run: Run) -> None:
        self.claims.claim(path, run.info.id)

    def check_feed(self, path: Path, run: Run) -> None:
        self.claims.check(path, run.info.id)


def _read(folder: Path) -> Run:
    file = folder / "run.json"
    try:
        return Run(folder, RunInfo.model_validate_json(file.read_bytes()))
    except OSError as error:
        raise RunError(f"{file} can't be read: {error.strerror}.") from error
    except ValidationError as error:
        raise RunError(
            f"{file} is damaged ({error.errors()[0]['msg']}), so the run can't go on."
            " Put the file back from a backup, or start a new run."
        ) from error


def _taken(folder: Path) -> bool:
    """A folder with nothing in it is free."""
    return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))


def _renamed(fresh: Path, folder: Path) -> bool:
    """False where somebody else has taken the name meanwhile."""
    try:
        if os.name == "nt" and folder.is_dir():
            folder.rmdir()  # elsewhere renaming replaces an empty folder
        fresh.rename(folder)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def _in_the_way(folder: Path) -> RunError:
    name = folder.name
    if (folder / "run.json").is_file():
        return RunError(f"There is a run {name!r} already: `scrape resume {name}` goes on with it.")
    return RunError(
        f"{folder} is in the way, and is no run: it has no run.json. Move it away, or take another name."
    )


@contextmanager
def _told_as(kind: type[ScrapeError], folder: Path) -> Iterator[None]:
    """The one door for what the operating system refuses."""
    try:
        yield
    except OSError as error:
        raise kind(f"The folder {folder} can't be written: {error.strerror}.") from error
