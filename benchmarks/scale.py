"""What durability and a long queue cost: prints one table, each figure beside the one that it is held against.

    python benchmarks/scale.py                          # a million requests; some minutes
    python benchmarks/scale.py --port 8081              # the crawl of a server that is up already
    python benchmarks/scale.py --peer "peers/bin/python peer_scrapy_frontier.py 300000"

Every figure is measured in a process of its own, both sides of a ratio in turn (A B A B …); what is printed is
the ratio of the medians. `--peer` prints a line `enqueue N SECONDSs …`; it is given a new folder at its end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from multidict import CIMultiDict
from pages import Pages, fields

from scraper import Request, Response, Spider, log
from scraper.crawler import Crawler
from scraper.interpreter import calm_the_collector
from scraper.layers import load, override_layer
from scraper.memory import peak
from scraper.order import Order
from scraper.spider import with_arguments

PEER_URLS = 300_000
WARM_UP = 10_000  # pages that are not measured: the disk still has the queuing to do
MEASURED_PAGES = 20_000
HOSTS = 10_000
FAST = ["concurrency=100", "per_host=100", "obey_robots=false"]
PAGE = (
    b"<html><body><h1>Page</h1><p class=price_color>\xc2\xa351.77</p><table class=info><tr><td>a</td><td>3</td></tr>"
    b"</table><p id=desc>Words.</p>%s" + b"<p>A paragraph among many others.</p>\n" * 450 + b"</body></html>"
)


# ── what is measured, in a process of its own ────────────────────────────────────────────────────────────────


class Site:
    """A client that answers from memory, so that no wire hides what the rest costs. Leaves wait for `opened`."""

    status = 200

    def __init__(self) -> None:
        self.headers: CIMultiDict[str] = CIMultiDict({"Content-Type": "text/html"})
        self.opened = asyncio.Event()

    async def open(self, request: Request) -> Site:
        if request.depth:
            await self.opened.wait()
        return self

    async def chunks(self) -> AsyncIterator[bytes]:
        yield PAGE % b""

    async def close(self) -> None:
        """Nothing is open."""


class Wide(Spider):
    """One page that yields `many` requests, over `hosts` hosts."""

    name = "wide"
    many: int
    hosts: int = 1
    start_urls = ("http://site.example/",)

    def parse(self, response: Response) -> Iterator[Request]:
        self.began = time.perf_counter()
        self.done, self.finished = 0, asyncio.Event()
        for n in range(self.many):
            yield Request(f"http://h{n % self.hosts}.example/p/{n}", callback=self.leaf)
        self.yielded = time.perf_counter()

    def leaf(self, response: Response) -> Iterator[dict[str, Any]]:
        yield from fields(response)
        self.done += 1
        if self.done == WARM_UP:
            self.warm = time.perf_counter()
        if self.done == WARM_UP + MEASURED_PAGES:
            self.finished.set()


async def wide(many: int, hosts: int, *settings: str, fetch: bool) -> dict[str, float]:
    """The page of many requests; then, with `fetch`, how fast pages go while the rest waits."""
    with tempfile.TemporaryDirectory() as root:
        spider, site = with_arguments(Wide, {"many": many, "hosts": hosts}), Site()
        loaded = load([override_layer([*FAST, *settings])]).settings
        order = Order(
            spider=spider, settings=loaded, root=Path(root), feeds=[f"{root}/out.jsonl"], client=site
        )
        crawler = Crawler(order)
        crawl = asyncio.create_task(crawler.run())
        while not ((now := crawler.progress()) and now.stats.counters["queued"] > many):  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)
        queued = time.perf_counter()
        figures = {
            "yield": (spider.yielded - spider.began) / many * 1e6,
            "queue": (queued - spider.began) / many * 1e6,
        }
        if fetch:
            site.opened.set()
            await spider.finished.wait()
            figures["pages"] = MEASURED_PAGES / (time.perf_counter() - spider.warm)
        crawler.interrupt()
        crawler.interrupt()
        await crawl
    return figures


async def crawl(port: int, pages: int, *settings: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as root:
        loaded = load([override_layer([*FAST, *settings])]).settings
        feed = str(Path(root) / "out.jsonl")
        spider = with_arguments(Pages, {"port": port, "pages": pages})
        result = await Crawler(Order(spider=spider, settings=loaded, root=Path(root), feeds=[feed])).run()
    return {"pages": result.counters["done"] / result.elapsed}


def measure(name: str, *numbers: str) -> None:
    log.configure(level="error")
    calm_the_collector()
    given = [int(number) for number in numbers]
    work: dict[str, Callable[[], Any]] = {
        "queue": lambda: wide(given[0], 1, "delay=3600", fetch=False),
        "waiting": lambda: wide(given[0], given[1], fetch=True),
        "sqlite": lambda: crawl(given[0], given[1]),
        "memory": lambda: crawl(given[0], given[1], "frontier=memory"),
    }
    figures = uvloop.run(work[name]())
    figures["peak"] = peak() / 2**20
    print(json.dumps(figures))


# ── the two sides in turn ────────────────────────────────────────────────────────────────────────────────────


def measured(name: str, *numbers: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", name, *map(str, numbers)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    figures: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return figures


def peer(command: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*shlex.split(command), folder]
        said = subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=600).stdout
    found = re.search(r"enqueue (\d+) ([\d.]+)s", said)
    if found is None:
        raise SystemExit(f"The peer printed no line 'enqueue N SECONDSs': {said[-500:]}")
    return {"queue": float(found[2]) / int(found[1]) * 1e6}


def in_turn(rounds: int, *sides: Callable[[], dict[str, float]]) -> list[dict[str, float]]:
    """The medians of each side."""
    taken: list[list[dict[str, float]]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, figures in zip(sides, taken, strict=True):
            figures.append(side())
    return [{key: median(one[key] for one in figures) for key in figures[0]} for figures in taken]


def say(what: str, figure: str, goal: str = "") -> None:
    print(f"{what:58} {figure:>34}   {goal}", flush=True)


def report(rounds: int, many: int, port: int, peer_command: str | None) -> None:
    one = measured("queue", many)
    say(f"a page of {many:,} requests: peak memory", f"{one['peak']:.0f} MB", "goal < 200 MB")
    say("  its cost: yielded and staged / and queued", f"{one['yield']:.1f} / {one['queue']:.1f} µs a URL")
    if peer_command:
        ours, theirs = in_turn(rounds, lambda: measured("queue", PEER_URLS), lambda: peer(peer_command))
        shares = f"{ours['yield'] / theirs['queue']:.3f} / {ours['queue'] / theirs['queue']:.3f}"
        say(f"{PEER_URLS:,}: yielded / queued, of the peer's {theirs['queue']:.0f} µs", shares, "goal ≤ 0.1")
    for hosts in (1, HOSTS):
        few, lots = in_turn(
            rounds,
            lambda hosts=hosts: measured("waiting", 10_000 + WARM_UP + MEASURED_PAGES, hosts),
            lambda hosts=hosts: measured("waiting", many, hosts),
        )
        say(
            f"{hosts:,} host{'s' * (hosts > 1)}: pages/s with {many:,} / 10,000 waiting",
            f"{lots['pages']:,.0f} / {few['pages']:,.0f} = {lots['pages'] / few['pages']:.2f}",
            "goal ≥ 0.9",
        )
    durable, memory = in_turn(
        rounds, lambda: measured("sqlite", port, 5_000), lambda: measured("memory", port, 5_000)
    )
    ratio = f"{durable['pages']:,.0f} / {memory['pages']:,.0f} = {durable['pages'] / memory['pages']:.2f}"
    say("a crawl of 5,000 pages: pages/s with SQLite / in memory", ratio, "goal ≥ 0.85")


# ── a site of pages ──────────────────────────────────────────────────────────────────────────────────────────


class Answering(asyncio.Protocol):
    """`/p/N` links to four further pages, as fast as one process can."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        number = int(data[: data.index(b" HTTP")].rpartition(b"/")[2] or 0)
        links = b"".join(b'<a class=next href="/p/%d">next</a>' % (4 * number + k) for k in (1, 2, 3, 4))
        body = PAGE % links
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s"
            % (len(body), body)
        )


def serve(port: Any) -> None:
    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    uvloop.run(forever())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--port", type=int, help="of a server that has /p/0; else one is started")
    parser.add_argument(
        "--peer", help="a command that queues 300,000 URLs in the folder that it is given last"
    )
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(*given.measure)
        return
    port = multiprocessing.Value("i", given.port or 0)
    server = multiprocessing.Process(target=serve, args=(port,), daemon=True)
    if not given.port:
        server.start()
        while not port.value:
            time.sleep(0.01)
    try:
        report(given.rounds, given.many, port.value, given.peer)
    finally:
        if server.is_alive():
            server.terminate()


if __name__ == "__main__":
    main()
