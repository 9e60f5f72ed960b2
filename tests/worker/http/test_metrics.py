"""What Prometheus reads of a worker adds up to what its crawls have done."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scraper import stats
from scraper.worker.board import Snapshot
from scraper.worker.http.metrics import MOST_REASONS, OTHER
from tests.worker.http.asking import Asking

COUNTERS = {
    "requested": 20,
    "dropped/duplicate": 4,
    "dropped/off\nsite": 1,
    "queued": 15,
    "refused/robots": 2,
    "done": 9,
    "failed": 3,
    "failed/status 404": 2,
    'failed/callback "parse" raised': 1,
    "retried": 5,
    "retried/status 503": 5,
    "items": 30,
    "items_dropped": 2,
    "items_dropped/too old": 2,
    "items_rejected": 1,
    "bytes": 12_345,
    "status/200": 9,
    "status/404": 2,
}
LATENCY = [0, 1, 2, 3, 0, 0, 4, 0, 0, 0, 0, 0, 0, 1]


@pytest.fixture
def board(desk):
    """Two crawls of one spider, one of which has ended; another spider's in its second life."""
    board = desk.office.board
    one = {"run": "run", "spider": "shop", "counters": COUNTERS, "latency": LATENCY, "latency_sum": 70.5}
    board.publish(Snapshot(job="1", **one))
    board.publish(Snapshot(job="1", **one, ended=True))
    board.publish(Snapshot(job="2", **one, queued=7, delayed=3, in_flight=2, memory=50_000))
    board.publish(
        Snapshot(
            job="3", run="b", spider="books", counters={"done": 8}, before={"done": 5}, queued=1, memory=1_000
        )
    )
    return board


class Metrics:
    """Samples by name, each with its labels."""

    def __init__(self, text: str) -> None:
        self.families = list(text_string_to_metric_families(text))
        self.samples = [sample for family in self.families for sample in family.samples]

    def total(self, name: str, **labels: str) -> float:
        found = [
            one.value for one in self.samples if one.name == name and labels.items() <= one.labels.items()
        ]
        assert found, name
        return sum(found)


async def read(worker: Asking) -> Metrics:
    said = await worker.get("/metrics")
    assert said.status == 200
    assert said.headers["Content-Type"].startswith("text/plain; version=")
    return Metrics(said.body.decode())


@pytest.mark.parametrize(
    ("name", "counter"),
    [
        ("scraper_requests_total", stats.REQUESTED),
        ("scraper_requests_queued_total", stats.QUEUED),
        ("scraper_pages_total", stats.DONE),
        ("scraper_response_bytes_total", stats.BYTES),
        ("scraper_items_total", stats.ITEMS),
        ("scraper_items_rejected_total", stats.ITEMS_REJECTED),
        ("scraper_page_failures_total", stats.FAILED),
        ("scraper_retries_total", stats.RETRIED),
        ("scraper_items_dropped_total", stats.ITEMS_DROPPED),
    ],
)
async def test_a_counter_is_the_sum_of_all_lives_here(worker, board, name, counter):
    metrics = await read(worker)
    told = sum(totals.counters[counter] for totals in board.totals().values())
    assert metrics.total(name) == told
    assert metrics.total(name, spider="shop") == 2 * COUNTERS[counter]


async def test_every_reason_and_status_has_its_line(worker, board):
    metrics = await read(worker)
    assert metrics.total("scraper_page_failures_total", reason='callback "parse" raised') == 2
    assert metrics.total("scraper_requests_dropped_total", reason="off\nsite", spider="shop") == 2
    assert metrics.total("scraper_requests_dropped_total") == 10
    assert metrics.total("scraper_requests_refused_total", reason="robots") == 4
    assert metrics.total("scraper_responses_total", status="200") == 18
    assert metrics.total("scraper_responses_total") == 22


async def test_what_an_earlier_worker_has_counted_is_not_counted_again(worker, board):
    assert (await read(worker)).total("scraper_pages_total", spider="books") == 3


async def test_the_counters_add_up(worker, board):
    metrics = await read(worker)
    requested = metrics.total("scraper_requests_total", spider="shop")
    queued = metrics.total("scraper_requests_queued_total", spider="shop")
    assert requested == queued + metrics.total("scraper_requests_dropped_total", spider="shop")


async def test_latency_is_a_histogram_in_seconds(worker, board):
    metrics = await read(worker)
    name = "scraper_request_duration_seconds"
    assert metrics.total(f"{name}_bucket", spider="shop", le="0.005") == 0
    assert metrics.total(f"{name}_bucket", spider="shop", le="0.05") == 12
    assert metrics.total(f"{name}_bucket", spider="shop", le="60.0") == 20
    assert metrics.total(f"{name}_bucket", spider="shop", le="+Inf") == 22
    assert metrics.total(f"{name}_count", spider="shop") == 2 * sum(LATENCY)
    assert metrics.total(f"{name}_sum", spider="shop") == 141.0


async def test_queues_and_memory_are_those_of_what_runs_now(worker, board):
    metrics = await read(worker)
    assert metrics.total("scraper_crawls_running") == 2
    assert metrics.total("scraper_queue_requests", spider="shop") == 7
    assert metrics.total("scraper_queue_requests", spider="books") == 1
    assert metrics.total("scraper_queue_delayed_requests", spider="shop") == 3
    assert metrics.total("scraper_requests_in_flight") == 2
    assert metrics.total("scraper_crawl_memory_bytes") == 51_000
    board.lost("2")
    board.lost("3")
    later = await read(worker)
    assert [one for one in later.samples if one.name == "scraper_queue_requests"] == []
    assert later.total("scraper_pages_total") == metrics.total("scraper_pages_total")


async def test_jobs_are_counted_by_state(worker, desk):
    for _ in range(3):
        await worker.add()
    desk.begin()
    await worker.post("/api/jobs/3/cancel")
    metrics = await read(worker)
    found = {one.labels["state"]: one.value for one in metrics.samples if one.name == "scraper_jobs"}
    assert found == {"queued": 1, "running": 1, "finished": 0, "failed": 0, "cancelled": 1}


async def test_a_worker_that_stops_says_so(worker, desk):
    assert (await read(worker)).total("scraper_worker_ready") == 1
    desk.office.ready = False
    assert (await read(worker)).total("scraper_worker_ready") == 0


async def test_reasons_that_never_end_share_a_line(worker, desk):
    counters = {f"failed/captcha at page {n}": 1 for n in range(MOST_REASONS + 50)}
    desk.office.board.publish(Snapshot(job="1", run="r", spider="shop", counters=counters))
    metrics = await read(worker)
    lines = [one for one in metrics.samples if one.name == "scraper_page_failures_total"]
    assert len(lines) == MOST_REASONS + 1
    assert metrics.total("scraper_page_failures_total", reason=OTHER) == 50
    more = {**counters, "failed/aaa": 7}
    desk.office.board.publish(Snapshot(job="1", run="r", spider="shop", counters=more))
    assert (await read(worker)).total("scraper_page_failures_total", reason=OTHER) == 57


async def test_every_metric_says_what_it_is(worker, board):
    for family in (await read(worker)).families:
        assert family.documentation, family.name
        assert family.name.startswith(("scraper_", "process_"))
        assert family.type in ("counter", "gauge", "histogram")
