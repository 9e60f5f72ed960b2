"""A crawl in a test: all of the machine, its pages from a FakeClient or from real sockets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

import orjson
from structlog.testing import capture_logs

from scraper import stats
from scraper.crawler import Crawler
from scraper.layers import Layer, load, override_layer
from scraper.order import Order, Result
from scraper.protocols import Client
from scraper.request import Request
from scraper.runs import Run
from scraper.settings import Settings
from scraper.spider import Spider, with_arguments

NO_WAITING = Layer(
    "scraper.testing", {"retry": {"wait": 0, "max_wait": 0, "jitter": 0}}
)  # between two attempts

Event = MutableMapping[str, Any]


class Options(TypedDict, total=False):
    """What else an Order takes. `max_time` in seconds; 0 = no limit."""

    arguments: Mapping[str, Any]
    append: bool
    run_id: str | None
    resume: Run | None
    max_pages: int
    max_items: int
    max_time: float


@dataclass(frozen=True, slots=True)
class Crawl:
    """How it went. `items`: all of the run, decoded from JSON, in the order in which they were committed.

    `rejected`: what rejected.jsonl has. `log`: the events, as dicts. `requests`: what the client was asked
    (empty, unless it keeps `requests` as FakeClient does).
    """

    result: Result
    items: list[Any]
    rejected: list[dict[str, Any]]
    requests: list[Request]
    log: list[Event]

    @property
    def failed(self) -> dict[str, int]:
        """Reason → pages that failed for it."""
        return self.counted(stats.FAILED)

    @property
    def urls(self) -> list[str]:
        """Of the requests, in order."""
        return [request.url for request in self.requests]

    def counted(self, name: str) -> dict[str, int]:
        """The counters below a name: `counted("dropped")` is `{"duplicate": 3, "offsite": 1}`."""
        counters = self.result.counters
        return {key[len(name) + 1 :]: n for key, n in counters.items() if n and key.startswith(f"{name}/")}


async def crawl(
    spider: Spider | type[Spider],
    *,
    client: Client | None = None,
    root: Path,
    settings: Mapping[str, Any] | Sequence[str] = (),
    feeds: Sequence[str | Path] = (),
    show_log: bool = False,
    **options: Unpack[Options],
) -> Crawl:
    """Crawls to the end, with everything but the network; without a `client`, with the network too.

        async def test_every_book_is_found(tmp_path):
            site = FakeClient({
                "https://shop.example/": '<a href="/1">',
                "https://shop.example/1": "<h1>Emma</h1>",
            })
            done = await crawl(Books, client=site, root=tmp_path)
            assert done.items == [{"title": "Emma"}]
            assert done.failed == {}

    `root`: an empty folder for the run, such as pytest's `tmp_path`. `settings`: a dict as in settings.toml, or
    lines as after `-s`; under them only the defaults and the spider's `custom_settings` count, and no time
    passes between two attempts. robots.txt is obeyed: a FakeClient without one allows everything. One
    crawl at a time, for the log's sake. Raises UsageError where the crawl can't begin.
    """
    made = spider if isinstance(spider, Spider) else with_arguments(spider, options.get("arguments", {}))
    with tempfile.TemporaryDirectory() as folder, _captured(show=show_log) as events:
        seen = Path(folder) / "items.jsonl"
        order = Order(
            spider=made,
            settings=_settings(made, settings),
            root=root,
            feeds=[*map(str, feeds), str(seen)],
            client=client,
            **options,
        )
        result = await Crawler(order).run()
        items = _lines(seen)
    asked = list(getattr(client, "requests", ()))
    return Crawl(result, items, _lines(result.folder / "rejected.jsonl"), asked, events)


def _settings(spider: Spider, given: Mapping[str, Any] | Sequence[str]) -> Settings:
    own = Layer(f"{type(spider).__name__}.custom_settings", spider.custom_settings)
    last = Layer("settings", given) if isinstance(given, Mapping) else override_layer(given)
    return load([own, NO_WAITING, last]).settings


@contextmanager
def _captured(*, show: bool) -> Iterator[list[Event]]:
    if show:
        yield []
        return
    with capture_logs() as events:
        yield events


def _lines(file: Path) -> list[Any]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []
