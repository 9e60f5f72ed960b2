"""The service: a worker from its first signal to its last, with its store, its HTTP and its systemd."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import structlog

from scraper import log as logs
from scraper.bell import Bell
from scraper.errors import StorageError, UsageError
from scraper.jobs.places import jobs_file
from scraper.jobs.store import SqliteJobs
from scraper.project import Project
from scraper.settings import Settings
from scraper.worker.http.app import serve
from scraper.worker.office import Office
from scraper.worker.outlet import Outlet
from scraper.worker.supervisor import LOOK, Supervisor, Terms
from scraper.worker.systemd import Systemd
from scraper.worker.tidying import tidy

# seconds for whoever writes the store: the loop waits with it, and asks again at the next beat
PATIENCE = 0.5

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Told:
    """What was typed; None: as the settings say. `http`: whether to listen at all. `grace`: seconds."""

    jobs: int | None = None
    listen: str | None = None
    token: str | None = None
    grace: float | None = None
    http: bool = True

    def terms(self, settings: Settings) -> Terms:
        return Terms(
            settings.worker.jobs if self.jobs is None else self.jobs,
            settings.grace if self.grace is None else self.grace,
            settings.worker,
        )


async def work(project: Project, told: Told) -> None:
    """Until a signal ends it. Raises UsageError, StorageError where it can't begin."""
    settings = project.settings().settings
    outlet = cast(TextIO, Outlet(sys.stdout))
    logs.configure(level=settings.log_level, json=True, stream=outlet)
    bell, systemd = Bell(), Systemd()
    with closing(
        SqliteJobs(jobs_file(project.root), lease=settings.worker.lease, patience=PATIENCE)
    ) as store:
        office = Office(project, store, bell.ring)
        supervisor = Supervisor(
            office,
            told.terms(settings),
            bell,
            out=outlet,
            look=min(LOOK, systemd.watchdog / 4 or LOOK),
            on_beat=systemd.well,
            tidy=_Tidier(office),
        )
        _on_signals(supervisor, systemd, lambda: _read_again(project, told, supervisor, systemd))
        async with _listening(office, settings, told) as url:
            log.info(
                "worker ready", worker=supervisor.name, project=str(project.root), listen=url, pid=os.getpid()
            )
            systemd.ready()
            await supervisor.run()
        log.info("worker stopped", worker=supervisor.name)


@asynccontextmanager
async def _listening(office: Office, settings: Settings, told: Told) -> AsyncIterator[str]:
    """Its URL; "" where nobody may ask."""
    if not told.http:
        yield ""
        return
    token = settings.worker.token.get_secret_value() if told.token is None else told.token
    async with serve(office, told.listen or settings.worker.listen, token) as url:
        yield url


class _Tidier:
    """One at a time, in a thread."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._turn = asyncio.Lock()

    async def __call__(self, spider: str, keep_runs: int) -> None:
        async with self._turn:
            try:
                await asyncio.to_thread(
                    tidy, self._office.project, self._office.store, spider, keep_runs=keep_runs
                )
            except StorageError as error:
                log.error("old runs are not pruned", spider=spider, problem=str(error))


def _on_signals(supervisor: Supervisor, systemd: Systemd, read_again: Callable[[], None]) -> None:
    def stop() -> None:
        log.warning(
            "stopping",
            note="a second signal stops at once; what is not finished goes on with the next worker",
        )
        systemd.stopping()
        supervisor.stop()

    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM"):
        if sys.platform == "win32":
            signal.signal(getattr(signal, name), lambda *_: loop.call_soon_threadsafe(stop))
        else:
            loop.add_signal_handler(getattr(signal, name), stop)
    if sys.platform != "win32":
        loop.add_signal_handler(signal.SIGHUP, read_again)


def _read_again(project: Project, told: Told, supervisor: Supervisor, systemd: Systemd) -> None:
    """Settings and spiders, for new jobs; what does not fit leaves the old ones in force."""
    if supervisor.stopping:
        return  # there will be no new job, and READY=1 would take the STOPPING=1 back
    systemd.reloading()
    try:
        supervisor.terms = told.terms(project.settings().settings)
    except UsageError as error:
        log.error("the settings can't be read again: the old ones stay", problem=str(error))
    else:
        _forget_modules(project.root)
        log.info("settings read again", jobs=supervisor.terms.jobs)
    systemd.ready()


def _forget_modules(root: Path) -> None:
    """The project's own: whoever looks at a spider next imports it as it is now. Processes of crawls do so anyway."""
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        file = getattr(module, "__file__", None)
        if top != "scraper" and file and Path(file).is_relative_to(root):
            place = Path(file).relative_to(root).parts[0]
            if place in (top, f"{top}.py"):
                del sys.modules[name]
