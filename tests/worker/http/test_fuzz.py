"""Whatever is asked that the description allows, or does not, is answered as described and never with a 5xx."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from scraper.job_spec import JobSpec
from scraper.runs import Runs
from scraper.worker.http.app import serve
from tests.worker.http.asking import BEARER, TOKEN
from tests.worker.http.test_openapi import PROMISED

FEW, MANY = 15, 500  # examples of each operation
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
# nothing that can be given there is wrong
ALWAYS_RIGHT = {"GET /api/runs/{run}", "GET /healthz", "GET /metrics", "GET /openapi.json", "GET /readyz"}
WRONG, RIGHT = GenerationMode.NEGATIVE, GenerationMode.POSITIVE
KINDS = [
    (label, mode)
    for label in PROMISED
    for mode in (RIGHT, WRONG)
    if mode is RIGHT or label not in ALWAYS_RIGHT
]
OPTIONAL = sorted(JobSpec.model_fields.keys() - {"spider"})


@pytest.fixture
def base(desk, label) -> Iterator[str]:
    """A worker in a thread of its own, with a run that is easily guessed, and with jobs that have ended: who follows
    one of them is not kept waiting. Where jobs are cancelled, they have not.
    """
    Runs(desk.root).create("shop", run_id="0")
    for _ in range(3):
        job = desk.store.add(JobSpec(spider="shop"))
        if not label.endswith("/cancel"):
            desk.store.cancel(job.id)
    with _served(desk.office) as url:
        yield url


@contextmanager
def _served(office) -> Iterator[str]:
    begun, told = threading.Event(), {}

    async def run() -> None:
        told["loop"], told["enough"] = asyncio.get_running_loop(), asyncio.Event()
        async with serve(office, "127.0.0.1:0", TOKEN) as told["base"]:
            begun.set()
            await told["enough"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert begun.wait(10)
    try:
        yield told["base"]
    finally:
        told["loop"].call_soon_threadsafe(told["enough"].set)
        thread.join()


def fuzz(base: str, label: str, mode: GenerationMode, examples: int, *, again: bool) -> list[int]:
    """The statuses that were answered. `again`: with the same examples each time."""
    description = requests.get(f"{base}/openapi.json", timeout=10).json()
    schema = schemathesis.openapi.from_dict(description)
    method, _, path = label.partition(" ")
    operation = schema[path][method]
    statuses: list[int] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=again,
        suppress_health_check=HealthCheck,
    )
    @given(
        operation.as_strategy(generation_mode=mode), some.sets(some.sampled_from(OPTIONAL)), some.booleans()
    )
    def one(case: Case, dropped: set[str], ours: bool) -> None:
        if mode is RIGHT and isinstance(case.body, dict) and ours:
            for name in dropped:
                case.body.pop(name, None)
            case.body["spider"] = "shop"
        response = case.call(base_url=base, headers=BEARER, timeout=10, session=session)
        statuses.append(response.status_code)
        case.validate_response(response, checks=[*CHECKS, negative_data_rejection])

    with requests.Session() as session:
        one()
    return statuses


@pytest.mark.parametrize(("label", "mode"), KINDS)
def test_what_comes_is_answered_as_described(base, label, mode):
    statuses = fuzz(base, label, mode, FEW, again=True)
    assert min(statuses) < 300 if mode is RIGHT else max(statuses) >= 400


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("label", "mode"), KINDS)
def test_whatever_comes_is_answered_as_described(base, label, mode):
    statuses = fuzz(base, label, mode, MANY, again=False)
    assert min(statuses) < 300 if mode is RIGHT else max(statuses) >= 400
