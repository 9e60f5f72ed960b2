"""One measurement: `python -m scraper.bench.drive CLIENT URL IN_FLIGHT REQUESTS` prints it as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scraper.admission import admission
from scraper.door import Door
from scraper.downloader import Downloader
from scraper.errors import FetchError, RetryLater
from scraper.gate import Gate
from scraper.interpreter import calm_the_collector
from scraper.memory import peak
from scraper.parts import MIDDLEWARES, build_all, furnish
from scraper.politeness import HostClock
from scraper.protocols import Limits
from scraper.request import Request
from scraper.settings import Settings
from scraper.spider import Spider
from scraper.switchboard import Switchboard

LONGEST = 60.0  # seconds after which a slow client has shown enough


class Measured(Spider):
    name = "measured"


@dataclass(frozen=True, slots=True)
class Figures:
    """`cpu`: µs a request; `peak`: MB of the process; `failed`: requests without a page."""

    client: str
    in_flight: int
    per_second: float
    cpu: float
    peak: float
    failed: int


async def drive(client: str, url: str, in_flight: int, requests: int) -> Figures:
    """Through every middleware, the gate and the door, as in a crawl; no parsing, no queue."""
    settings = Settings(client=client, concurrency=in_flight, per_host=in_flight)
    clock = HostClock(lambda lane: Limits(in_flight, 0.0))
    async with Switchboard(settings) as board:
        middlewares = build_all(settings.middlewares, settings, MIDDLEWARES, "middlewares")
        gate = Gate(clock, slots=in_flight, patience=LONGEST)
        door = Door(timeouts=settings.timeouts, max_body=settings.max_body, root=Path())
        downloader = Downloader(middlewares, gate=gate, door=door, client=board)
        admit = admission(domains=(), max_depth=0, max_length=settings.max_url_length)
        for part in middlewares:
            supplies = {"fetch": downloader.fetch_now, "clock": clock, "admit": admit, "spider": Measured()}
            furnish(part, supplies)
        await _all(downloader, url, in_flight, in_flight)  # connections, robots.txt
        calm_the_collector()  # as in a crawl
        wall, cpu = time.perf_counter(), time.process_time()
        done, failed = await _all(downloader, url, in_flight, requests)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Figures(
        client, in_flight, done / wall, cpu / max(1, done + failed) * 1e6, peak() / 1_000_000, failed
    )


async def _all(downloader: Downloader, url: str, in_flight: int, requests: int) -> tuple[int, int]:
    numbers = iter(range(requests))
    until = time.monotonic() + LONGEST
    done = failed = 0

    async def one_after_the_other() -> None:
        nonlocal done, failed
        for number in numbers:
            try:
                response = await downloader.fetch(Request(f"{url}{number}"))
                done += 1 if response.status == 200 else 0
                failed += 0 if response.status == 200 else 1
            except (FetchError, RetryLater):
                failed += 1
            if time.monotonic() > until:
                return

    await asyncio.gather(*(one_after_the_other() for _ in range(in_flight)))
    return done, failed


def main() -> None:
    client, url, in_flight, requests = sys.argv[1:5]
    try:
        import uvloop
    except ImportError:
        run: Callable[..., Any] = asyncio.run
    else:
        run = uvloop.run
    print(json.dumps(asdict(run(drive(client, url, int(in_flight), int(requests))))))  # noqa: T201  # its answer


if __name__ == "__main__":
    main()
