"""One life of a crawl of the market, in a process of its own that may come to a sudden end."""

import asyncio
import time
from pathlib import Path

from scraper.crawler import Crawler
from scraper.frontiers import checkpoints
from scraper.layers import load, override_layer
from scraper.order import Order
from scraper.runs import Runs
from scraper.sinks.choose import FORMATS
from tests.faults.buyer import Buyer
from tests.faults.power import Diary
from tests.faults.steps import Fault, Steps

RUN = "buyer"
SETTINGS = [
    "per_host=4",
    "max_failed=1",
    "retry.wait=0",
    "retry.jitter=0",
    "feeds.sync=10ms",
    "frontier.commit_pages=3",
    "frontier.page_in_memory=6",
]
FEEDS = ["all.jsonl", "Stall:stalls.csv", "all.json", *(["all.sqlite"] if ".sqlite" in FORMATS else [])]


def live(
    root: str, url: str, fault: list | None = None, notes: str | None = None, diary: str | None = None
) -> int:
    """Begins the run, or goes on with it; 0 when it is finished, or was before.

    `fault`: the step at which the process kills itself. `notes`: a file for the steps it has made. `diary`: one
    for what it has synced.
    """
    order = an_order(Path(root), url)
    if order.resume and not order.resume.info.resumable:
        return 0
    if diary:
        Diary(Path(diary)).keep()
    steps = Steps(Path(root), Fault(*fault) if fault else None)
    steps.watch()
    checkpoints.EVERY = 0.01
    begun = time.perf_counter()
    result = asyncio.run(Crawler(order).run())
    if notes:
        Path(notes).write_text(steps.told(seconds=time.perf_counter() - begun))
    return 0 if result.state == "finished" else 1


def an_order(root: Path, url: str, *more: str) -> Order:
    """Of a new run, or of the one that is there."""
    there = (root / ".scrape" / "runs" / RUN).exists()
    spider = Buyer()
    spider.url = url
    return Order(
        spider=spider,
        settings=load([override_layer([*SETTINGS, *more])]).settings,
        root=root,
        feeds=[_below(root, feed) for feed in FEEDS],
        run_id=RUN,
        resume=Runs(root).get(RUN) if there else None,
    )


def _below(root: Path, feed: str) -> str:
    kind, colon, name = feed.rpartition(":")
    return f"{kind}{colon}{root / name}"
