"""/metrics: what this worker's crawls have done, as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import get_args

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from scraper import stats
from scraper.protocols import JobState
from scraper.version import __version__
from scraper.worker.board import Board, Snapshot, Totals
from scraper.worker.http.routes import Answer, Route
from scraper.worker.office import Office

MOST_REASONS = 100  # of one kind, of one spider: a reason may have a URL in it that never comes again
OTHER = "other"

# the counter of a spider, the metric, what it says
PLAIN = (
    (stats.REQUESTED, "scraper_requests", "Requests that spiders have yielded."),
    (stats.QUEUED, "scraper_requests_queued", "Requests that were taken into the queue."),
    (stats.DONE, "scraper_pages", "Pages that were fetched and parsed to their end."),
    (stats.BYTES, "scraper_response_bytes", "Bytes of decoded response bodies."),
    (stats.ITEMS, "scraper_items", "Items that were kept."),
    (stats.ITEMS_REJECTED, "scraper_items_rejected", "Items that were invalid."),
)
BY_REASON = (
    (stats.FAILED, "scraper_page_failures", "Pages that have failed for good, by reason."),
    (stats.RETRIED, "scraper_retries", "Attempts that failed and are made again, by reason."),
    (stats.DROPPED, "scraper_requests_dropped", "Requests that were not queued, by reason."),
    (stats.REFUSED, "scraper_requests_refused", "Queued requests that a middleware dropped, by reason."),
    (stats.ITEMS_DROPPED, "scraper_items_dropped", "Items that a pipeline did not want, by reason."),
)
GAUGES: Sequence[tuple[str, str, Callable[[Snapshot], int]]] = (
    ("scraper_crawls_running", "Crawls that run here now.", lambda one: 1),
    ("scraper_queue_requests", "Requests in the queues of running crawls.", lambda one: one.queued),
    ("scraper_queue_delayed_requests", "Queued requests that wait for their time.", lambda one: one.delayed),
    ("scraper_requests_in_flight", "Requests on the wire.", lambda one: one.in_flight),
    ("scraper_crawl_memory_bytes", "Memory of the processes of running crawls.", lambda one: one.memory),
)


class Metrics:
    def __init__(self, office: Office) -> None:
        self._office = office
        self._crawls = Crawls(office)
        self._registry = CollectorRegistry()
        self._registry.register(self._crawls)
        ProcessCollector(registry=self._registry)

    def routes(self) -> Sequence[Route]:
        return [
            Route(
                method="GET",
                path="/metrics",
                name="metrics",
                what="Read the metrics.",
                handler=self.show,
                answer=Answer(what="Metrics as Prometheus reads them.", media="text/plain"),
            )
        ]

    async def show(self, request: web.Request) -> web.Response:
        self._crawls.jobs = await asyncio.to_thread(self._office.store.counts)
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


class Crawls(Collector):
    """Reads the board when it is asked, and keeps nothing but which reasons have a line of their own.

    `jobs`: by state, from the store.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self.jobs: Mapping[JobState, int] = {}
        self._known: dict[tuple[str, str], set[str]] = {}  # by metric and spider

    def collect(self) -> Iterator[Metric]:
        totals = self._office.board.totals()
        yield InfoMetricFamily("scraper_worker", "The worker's version.", {"version": __version__})
        yield GaugeMetricFamily(
            "scraper_worker_ready", "1 while the worker takes new jobs.", float(self._office.ready)
        )
        yield _jobs(self.jobs)
        yield from _running(self._office.board)
        for counter, name, what in PLAIN:
            yield _plain(counter, name, what, totals)
        yield _responses(totals)
        for counter, name, what in BY_REASON:
            yield self._by_reason(counter, name, what, totals)
        yield _latency(totals)

    def _by_reason(self, counter: str, name: str, what: str, totals: Mapping[str, Totals]) -> Metric:
        family = CounterMetricFamily(name, what, labels=["spider", "reason"])
        for spider, one in totals.items():
            known = self._known.setdefault((name, spider), set())
            counted: dict[str, int] = {}
            for reason, count in _below(counter, one.counters):
                if reason not in known and len(known) < MOST_REASONS:
                    known.add(reason)
                shown = reason if reason in known else OTHER
                counted[shown] = counted.get(shown, 0) + count
            for reason, count in counted.items():
                family.add_metric([spider, reason], count)
        return family


def _jobs(counts: Mapping[JobState, int]) -> Metric:
    family = GaugeMetricFamily("scraper_jobs", "Jobs in the store, by state.", labels=["state"])
    for state in get_args(JobState):
        family.add_metric([state], counts.get(state, 0))
    return family


def _running(board: Board) -> Iterator[Metric]:
    for name, what, value in GAUGES:
        family = GaugeMetricFamily(name, what, labels=["spider"])
        sums: Counter[str] = Counter()
        for one in board.running.values():
            sums[one.spider] += value(one)
        for spider, found in sums.items():
            family.add_metric([spider], found)
        yield family


def _plain(counter: str, name: str, what: str, totals: Mapping[str, Totals]) -> Metric:
    family = CounterMetricFamily(name, what, labels=["spider"])
    for spider, one in totals.items():
        family.add_metric([spider], one.counters[counter])
    return family


def _responses(totals: Mapping[str, Totals]) -> Metric:
    family = CounterMetricFamily(
        "scraper_responses",
        "Responses that reached the end of their page, by status.",
        labels=["spider", "status"],
    )
    for spider, one in totals.items():
        for status, count in _below(stats.STATUS, one.counters):
            family.add_metric([spider, status], count)
    return family


def _latency(totals: Mapping[str, Totals]) -> Metric:
    family = HistogramMetricFamily(
        "scraper_request_duration_seconds", "Time from a request to its whole response.", labels=["spider"]
    )
    bounds = [*(str(bound) for bound in stats.Latency.BOUNDS), "+Inf"]
    for spider, one in totals.items():
        counts = one.latency or [0] * len(bounds)
        family.add_metric(
            [spider],
            buckets=list(zip(bounds, accumulate(counts), strict=True)),
            sum_value=one.latency_sum,
        )
    return family


def _below(counter: str, counters: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """What `counter/…` stands for, and how often."""
    prefix = f"{counter}/"
    return ((name.removeprefix(prefix), count) for name, count in counters.items() if name.startswith(prefix))
