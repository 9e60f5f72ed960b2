"""Copying: a run's database as it stands now, to look into without touching the run."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scraper.errors import RunError, StorageError
from scraper.runs import Run
from scraper.transactions import is_damage

PREFIX = ".check-"  # of the folders beside the runs, where copies lie while they are looked into


@contextmanager
def copied(run: Run) -> Iterator[Path]:
    """A copy of the database, private and deleted at the end. Raises StorageError where there is no room for it.

    It lies beside the runs, where room for it is likeliest, else in the folder for temporary files: that one
    may be memory.
    """
    try:
        with tempfile.TemporaryDirectory(
            prefix=PREFIX, dir=_roomy(run), ignore_cleanup_errors=True
        ) as folder:
            copy = Path(folder) / run.database.name
            _copy(run, copy)
            yield copy
    except OSError as error:
        raise StorageError(f"Run {run.info.id} can't be copied: {error.strerror or error}.") from error


def _roomy(run: Run) -> Path:
    wanted = sum(file.stat().st_size for file in _files(run.database))
    folders = [run.folder.parent, Path(tempfile.gettempdir())]
    for folder in folders:
        if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > wanted:
            return folder
    raise StorageError(
        f"A copy of run {run.info.id} needs {wanted / 1e6:,.0f} MB, and neither {folders[0]} nor {folders[1]} has"
        " so much free. Make room, or name a folder that has: TMPDIR=/a/folder scrape runs check …"
    )


def _copy(run: Run, copy: Path) -> None:
    """Of a run that nobody works on the files, as they are: what is damaged in them must come along.

    While a crawl writes, files that are copied one after the other do not fit together: SQLite's own backup
    reads them in one transaction, in one step (it would begin anew after each commit of the crawl).
    """
    try:
        with run.locked():
            _copy_files(run.database, copy)
    except RunError:
        _back_up(run.database, copy)


def _back_up(database: Path, copy: Path) -> None:
    source = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
    target = sqlite3.connect(copy)
    try:
        source.backup(target)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise StorageError(f"{database} can't be copied: {error}.") from error
        target.close()
        _copy_files(database, copy)  # it is no database any more, so nobody can be writing into it
    finally:
        source.close()
        target.close()


def _copy_files(database: Path, copy: Path) -> None:
    for file in _files(database):
        shutil.copyfile(file, copy.with_name(file.name))


def _files(database: Path) -> list[Path]:
    """The database and its log; not the log's index (-shm), which SQLite builds anew from the log."""
    files = (database, database.with_name(database.name + "-wal"))
    return [file for file in files if file.is_file()]
