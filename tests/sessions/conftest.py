"""For crawls that are killed: lives of one run, each a process of its own."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.cli.conftest import environment

PATIENCE = 30  # seconds for what takes one
MEMBERS = Path(__file__).with_name("members.py")
collect_ignore_glob = ["test_kills.py"] if sys.platform == "win32" else []  # no SIGKILL

Life = asyncio.subprocess.Process


@pytest.fixture
async def live(tmp_path) -> AsyncIterator[Callable[..., Life]]:
    """Starts a `scrape` command in a folder of its own, with the members' spider in it; what still runs at the end
    of the test is killed."""
    lives: list[Life] = []
    shutil.copy(MEMBERS, tmp_path)

    async def begin(*words: object) -> Life:
        with (tmp_path / f"life-{len(lives)}.log").open("wb") as said:
            command = [sys.executable, "-m", "scraper", *map(str, words)]
            life = await asyncio.create_subprocess_exec(
                *command,
                cwd=tmp_path,
                env=environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        lives.append(life)
        return life

    yield begin
    for life in lives:
        if life.returncode is None:
            life.kill()
            await life.wait()


async def ended(life: Life) -> int:
    """Its exit code."""
    async with asyncio.timeout(PATIENCE):
        return await life.wait()
