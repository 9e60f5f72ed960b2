"""A crawl that listens is killed: what its messages brought is there, and a resume opens the socket again."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from tests.sockets.ticker import Ticker, for_ever, numbers, serving

SPIDER = """
from scraper import Request, Spider

class Ticks(Spider):
    name = "ticks"
    url: str

    async def start(self):
        yield Request(self.url, callback=self.on_messages)

    async def on_messages(self, response):
        async for message in response.messages:
            yield {"ordinal": message.ordinal, "n": message.json()["n"]}
"""


async def scrape(root: Path, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scraper", *words, cwd=root, stderr=asyncio.subprocess.PIPE
    )


async def lines_in(feed: Path, many: int) -> list[dict[str, int]]:
    async with asyncio.timeout(20):
        while not feed.is_file() or feed.read_text().count("\n") < many:  # noqa: ASYNC110
            await asyncio.sleep(0)
    return [json.loads(line) for line in feed.read_text().splitlines()[:many]]


async def test_what_came_before_a_kill_stays_and_numbers_go_on(tmp_path: Path):
    (tmp_path / "ticks.py").write_text(SPIDER)
    (tmp_path / "settings.toml").write_text('log_level = "error"\n[feeds]\nsync = 0.1\n')
    feed = tmp_path / "ticks.jsonl"

    async def ten_at_a_time(socket: web.WebSocketResponse) -> None:
        life = len(ticker.asked)
        await numbers(10 * life - 9, 10 * life)(socket)
        if life < 3:
            await for_ever(socket)

    async with serving(Ticker(ten_at_a_time)) as ticker:
        life = await scrape(
            tmp_path, "run", "ticks.py", "-a", f"url={ticker.url}", "-o", "ticks.jsonl", "--run", "t"
        )
        for many in (10, 20):
            kept = await lines_in(feed, many)
            os.kill(life.pid, signal.SIGKILL)
            await life.wait()
            assert [item["n"] for item in kept] == list(range(1, many + 1))
            life = await scrape(tmp_path, "resume", "t")
        assert await asyncio.wait_for(life.wait(), 20) == 0
    items = await lines_in(feed, 30)
    assert [item["n"] for item in items] == list(range(1, 31))
    assert [item["ordinal"] for item in items] == list(range(30))
