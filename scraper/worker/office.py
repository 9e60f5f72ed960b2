"""The office: what whoever talks with a worker may see of it, and the bell that they ring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scraper.jobs.places import log_file
from scraper.project import Project
from scraper.protocols import JobStore
from scraper.worker.board import Board


@dataclass(slots=True)
class Office:
    """`ready`: new jobs are taken; not while the worker stops, nor while the store does not answer.

    `ring`: wakes whoever takes jobs.
    """

    project: Project
    store: JobStore
    ring: Callable[[], None]
    board: Board = field(default_factory=Board)
    ready: bool = False

    def wake(self) -> None:
        """A job was added or cancelled: it is looked at now, not at the next beat."""
        self.ring()

    def log_file(self, job_id: str) -> Path:
        """Where the lines of a job are; older ones beside it as `<name>.1`, `<name>.2` …"""
        return log_file(self.project.root, job_id)
