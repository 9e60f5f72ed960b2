"""The commands as a user types them, in a new project of its own."""

import gc
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from scraper.cli import main
from scraper.cli.scaffold import start_project
from tests.cli.shelf import PATIENCE, SPIDER, Shelf

NOT_OURS = ("PYTEST_", "SCRAPER_", "GITHUB_", "FORCE_COLOR", "PY_COLORS")
USER_CODE = ("spiders", "pipelines", "middlewares")


@pytest.fixture(scope="session")
def scaffold(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scaffold") / "shop"
    start_project(folder, "shop")
    return folder


@pytest.fixture
def project(scaffold, tmp_path) -> Path:
    return Path(shutil.copytree(scaffold, tmp_path / "shop"))


# ── in a process of its own ──────────────────────────────────────────────────────────────────────────────


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    return {**kept, "COLUMNS": "160"}


@pytest.fixture
def scrape(project) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command to its end, by default in the project's folder."""

    def run(*typed: str, at: Path = project, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "scraper", *map(str, typed)]
        usual = {"env": environment(), "capture_output": True, "text": True, "timeout": PATIENCE}
        return subprocess.run(command, cwd=at, stdin=subprocess.DEVNULL, **{**usual, **options})

    return run


@pytest.fixture
def started(project) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command and goes on; what still runs at the end of the test is killed."""
    living: list[subprocess.Popen[str]] = []

    def start(*typed: str, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "scraper", *map(str, typed)]
        usual = {
            "env": environment(),
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        living.append(subprocess.Popen(command, cwd=project, text=True, **{**usual, **options}))
        return living[-1]

    yield start
    for process in living:
        process.kill()
        process.communicate()


# ── in this process ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def typed(
    project, monkeypatch, capsys, as_it_was
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """As `scrape`, where a process of its own would only cost its second to start."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in os.environ if name.startswith(NOT_OURS)]:
        monkeypatch.delenv(name)

    def run(*words: str, at: Path = project) -> subprocess.CompletedProcess[str]:
        forget_user_code()
        monkeypatch.chdir(at)
        monkeypatch.setattr(sys, "argv", ["scrape", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(words, int(end.value.code or 0), said.out, said.err)

    yield run
    forget_user_code()


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """What a crawl sets for its whole process is put back: it was not its own."""
    logs, handlers, thresholds = structlog.get_config(), logging.root.handlers[:], gc.get_threshold()
    yield
    structlog.configure(**logs)
    logging.root.handlers[:] = handlers
    logging.captureWarnings(False)
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def forget_user_code() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in USER_CODE]:
        del sys.modules[name]


# ── a site that can be held up ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shelf(project) -> Iterator[Shelf]:
    """The site, with a spider for it in the project: `scrape crawl shelf -a url=…`."""
    with on_shelf(project) as site:
        yield site


@contextmanager
def on_shelf(project: Path) -> Iterator[Shelf]:
    (project / "spiders" / "shelf.py").write_text(SPIDER, "utf-8")
    with Shelf() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield site
        site.release.set()
        site.shutdown()
        thread.join()
