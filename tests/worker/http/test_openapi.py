"""The description of a worker and what it does are one."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from scraper.worker.http.app import make_app
from tests.worker.http.asking import TOKEN, asking

PROMISED = [
    "GET /api/jobs",
    "GET /api/jobs/{id}",
    "GET /api/jobs/{id}/events",
    "GET /api/jobs/{id}/log",
    "GET /api/runs",
    "GET /api/runs/{run}",
    "GET /healthz",
    "GET /metrics",
    "GET /openapi.json",
    "GET /readyz",
    "POST /api/jobs",
    "POST /api/jobs/{id}/cancel",
    "POST /api/jobs/{id}/retry",
]


@pytest.fixture
async def description(worker):
    return await worker.description()


async def test_every_route_is_described_and_every_description_is_a_route(desk, description):
    app = make_app(desk.office, token=TOKEN, listen_is_loopback=True)
    routes = {f"{route.method} {route.resource.canonical}" for route in app.router.routes()}
    described = {
        f"{method.upper()} {path}" for path, methods in description["paths"].items() for method in methods
    }
    assert routes == described
    assert sorted(route for route in routes if not route.startswith("HEAD ")) == PROMISED


async def test_the_description_is_valid_openapi(description):
    assert [str(error) for error in OpenAPIV31SpecValidator(description).iter_errors()] == []


async def test_what_the_description_refers_to_is_there(description):
    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for below in value.values():
                yield from references(below)
        elif isinstance(value, list):
            for below in value:
                yield from references(below)

    found = {reference.removeprefix("#/components/schemas/") for reference in references(description)}
    assert found <= description["components"]["schemas"].keys()
    assert found


async def test_a_route_that_wants_a_token_is_described_so(desk, description):
    async with asking(desk.office, sent="") as stranger:
        for path, methods in description["paths"].items():
            for method, told in methods.items():
                url = re.sub(r"{\w+}", "1", path)
                said = await stranger.ask(method.upper(), url)
                assert (said.status == 401) == (told["security"] == [{"token": []}]), f"{method} {path}"


async def test_every_parameter_says_what_it_is_for(description):
    for methods in description["paths"].values():
        for told in methods.values():
            for parameter in told["parameters"]:
                assert parameter["in"] == "path" or parameter["description"].endswith(".")


def test_what_is_not_described_is_seen(desk):
    app = make_app(desk.office, token=TOKEN, listen_is_loopback=True)
    names = {route.name for route in app.router.routes() if route.name}
    assert len(names) == len(PROMISED)
