"""10,000 requests through 2,000 proxies: what is kept open has a bound, and nothing stays open behind a client."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.clients.servers import listening
from tests.proxies.behind import Behind, behind
from tests.proxies.real import HOST

PORTS = 200
USERS = 10  # of each: to a client that is a proxy of its own, as vendors sell them; the user names the exit
REQUESTS, AT_ONCE = 10_000, 100
FILES = 1_024  # that a process may usually have open
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


class Crowd:
    """Proxies of one kind that answer for every site themselves. `open`: connections now; `most`: ever at once."""

    def __init__(self) -> None:
        self.open = self.most = self.served = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if (await reader.readexactly(1)) == b"\5":
                await self._shake_hands(reader, writer)
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.served += 1
                writer.write(ANSWER)
        finally:
            self.open -= 1

    async def _shake_hands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\5\0")
        await reader.readexactly(4 + 1 + len("site.example") + 2)
        writer.write(b"\5\0\0\1" + bytes(6))


@asynccontextmanager
async def crowd(scheme: str) -> AsyncIterator[tuple[Crowd, dict[str, str]]]:
    """The proxies, and the pool that names them."""
    proxies = Crowd()
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(listening(proxies)) for _ in range(PORTS)]
        users = [(f"user{n}", port) for n in range(USERS) for port in ports]
        yield proxies, {f"{user} {port}": f"{scheme}://{user}:x@{HOST}:{port}" for user, port in users}


async def get_all(browser: Behind) -> set[str]:
    """The names of the proxies that answered."""
    used: set[str] = set()
    waiting = iter(range(REQUESTS))

    async def worker() -> None:
        for n in waiting:
            response = await browser.get(f"http://site.example/{n}")
            assert response.body == b"hello"
            used.add(response.proxy)

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(worker())
    return used


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def turn_of_the_loop() -> None:
    await asyncio.sleep(0)


async def until(true: Callable[[], bool]) -> None:
    """A server's end of a connection takes a turn or two."""
    async with asyncio.timeout(10):
        while not true():
            await turn_of_the_loop()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Open files are counted in /proc.")
@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_what_is_kept_open_has_a_bound(client: str, scheme: str, authority: Path):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        async with crowd(scheme) as (proxies, pool):
            async with behind(client, dict([next(iter(pool.items()))]), authority / "ca.pem") as browser:
                await browser.get(
                    "http://site.example/"
                )  # a library may keep an event loop of its own for good
            del browser
            await until(lambda: proxies.open == 0)
            proxies.served = 0
            before = open_files()
            async with behind(client, pool, authority / "ca.pem") as browser:
                assert await get_all(browser) == set(pool)
                assert proxies.served == REQUESTS
                assert proxies.most < FILES
            del browser
            await until(lambda: open_files() <= before)
            assert proxies.open == 0
        gc.collect()
    assert [str(warning.message) for warning in warned] == []
