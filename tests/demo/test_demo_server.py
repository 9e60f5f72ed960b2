"""A demo site is served where its crawl expects it, and goes away without delay."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from scraper.demo import bookshop, quotes
from scraper.demo.server import PortTaken

ROOT = Path(__file__).parents[2]


async def test_a_resumed_crawl_finds_the_site_at_the_same_port():
    state: dict[str, int] = {}
    async with bookshop(state) as first:
        pass
    async with bookshop(state) as second:
        pass
    assert first == second == f"http://127.0.0.1:{state['demo_port']}/"


async def test_a_taken_port_is_told_in_a_sentence():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            async with quotes({"demo_port": port}):
                pass
    assert isinstance(caught.value, OSError)
    assert str(caught.value) == (
        f"Port {port} on 127.0.0.1 is taken by another program, so the demo site can't be served there: "
        "stop that program and try again, or start a new run, which takes a free port."
    )


async def test_both_sites_can_be_open_at_once():
    async with bookshop({}) as shop, quotes({}) as sayings, aiohttp.ClientSession() as session:
        for url in (shop, sayings):
            async with session.get(url) as response:
                assert response.status == 200


async def test_an_idle_connection_does_not_delay_the_end():
    wait = asyncio.timeout(5)
    async with wait, aiohttp.ClientSession() as session, bookshop({}) as url, session.get(url) as response:
        await response.read()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send SIGINT to one process")
@pytest.mark.skipif(signal.getsignal(signal.SIGINT) == signal.SIG_IGN, reason="SIGINT is ignored here")
@pytest.mark.parametrize("site", ["bookshop", "quotes"])
async def test_the_command_serves_until_it_is_interrupted(site):
    async with command(site) as process, aiohttp.ClientSession() as session:
        line = (await process.stdout.readline()).decode()
        async with session.get(line.split()[1]) as response:
            assert response.status == 200
        process.send_signal(signal.SIGINT)
        _, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")


async def test_the_command_says_when_its_port_is_taken():
    state: dict[str, int] = {}
    async with bookshop(state), command("quotes", "--port", str(state["demo_port"])) as process:
        _, complaints = await process.communicate()
    assert process.returncode == 2
    assert b"is taken by another program" in complaints


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    python = (sys.executable, "-m", "scraper.demo")
    process = await asyncio.create_subprocess_exec(*python, *arguments, stdout=pipe, stderr=pipe, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
