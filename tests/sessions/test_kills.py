"""What a run knows of its sessions after a kill: who was logged in still is, and who was rotated stays rotated."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.sessions.club import Club
from tests.sessions.conftest import MEMBERS, PATIENCE, ended

pytestmark = pytest.mark.long

SLOW = ("-s", "per_host=2", "-s", "retry.wait=0", "-s", "retry.jitter=0", "-s", "retry.attempts=20")
ALL = sorted((f"/members/{name}/{number}", name) for name in ("anna", "bert") for number in range(40))


def begun(club: Club, *more: str) -> list[str]:
    """The words that begin a run of 2 × 40 pages."""
    arguments = [f"url={club.url}", "pages=40", 'members=["anna", "bert"]']
    told = [word for one in arguments for word in ("-a", one)]
    return ["run", MEMBERS.name, "--run", "club", "-o", "seen.jsonl", *told, *SLOW, *more]


def seen(folder: Path) -> list[tuple[str, str]]:
    items = [json.loads(line) for line in (folder / "seen.jsonl").read_text().splitlines()]
    return sorted((item["page"], item["seen"]) for item in items)


def remembered(folder: Path) -> set[tuple[str, str]]:
    """What the run has stored of its sessions: (owner, key)."""
    database = folder / ".scrape" / "runs" / "club" / "frontier.db"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as base:
        return set(base.execute("SELECT owner, key FROM memory WHERE owner IN ('sessions', 'cookies')"))


async def test_who_was_logged_in_when_the_process_was_killed_is_logged_in_when_it_resumes(live, tmp_path):
    async with Club() as club, asyncio.timeout(PATIENCE):
        life = await live(*begun(club))
        await club.until(lambda: len(club.log) >= 40)
        life.kill()
        await ended(life)
        assert await ended(await live("resume", "club")) == 0
    assert seen(tmp_path) == ALL
    assert club.logins == {"anna": 1, "bert": 1}


async def test_who_was_banned_when_the_process_was_killed_does_not_come_back_as_the_same(live, tmp_path):
    async with Club(patience=15) as club, asyncio.timeout(PATIENCE):
        life = await live(*begun(club, "-s", "sessions.blocked_statuses=[403]"))
        await club.until(lambda: club.logins == {"anna": 1, "bert": 1})
        club.hold_logins()
        await club.until(lambda: club.held == 2)  # both are banned, and about to log in as somebody else
        while remembered(tmp_path):  # noqa: ASYNC110  # a file rings no bell
            await asyncio.sleep(0.002)
        life.kill()
        await ended(life)
        before = len(club.log)
        club.release_logins()
        assert await ended(await live("resume", "club")) == 0
    assert seen(tmp_path) == ALL
    assert set(club.came_with) == {""}
    assert not {"key=anna-1", "key=bert-1"} & {one.headers.get("Cookie") for one in club.log[before:]}
