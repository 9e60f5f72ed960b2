"""/openapi.json: what can be asked of a worker, in OpenAPI 3.1, made from the routes and their models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from scraper.version import __version__
from scraper.worker.http.bodies import JSON
from scraper.worker.http.problems import MEDIA as PROBLEM_MEDIA
from scraper.worker.http.problems import ProblemView
from scraper.worker.http.queries import ID
from scraper.worker.http.routes import Answer, Route
from scraper.worker.http.views import StatsView

EVERY = (400, 401, 421, 500, 503)  # what every route but the open ones can end with
EVERY_CHANGE = (403, 413, 415, 417)
BEARER = "token"
PROBLEMS = {
    400: "The request is not as it should be.",
    401: "The token is missing or wrong.",
    403: "It comes from another site, or this worker has no token.",
    404: "There is no such thing.",
    405: "The path has no such method.",
    408: "The body came too slowly.",
    409: "The state of the job forbids it.",
    413: "The body is too large.",
    415: "The body is no JSON, or compressed.",
    417: "The expectation can't be met.",
    421: "The Host header names another machine.",
    422: "The project can't run such a job.",
    500: "Something went wrong inside the worker.",
    503: "The worker, or its store, can't do it now.",
}
Schemas = Mapping[Any, Mapping[str, Any]]  # by model and mode


class Description:
    """`about`: the other routes."""

    def __init__(self, about: Sequence[Route]) -> None:
        self._body = orjson.dumps(describe([*about, *self.routes()]))

    def routes(self) -> Sequence[Route]:
        return [
            Route(
                method="GET",
                path="/openapi.json",
                name="describe",
                what="Read this description.",
                handler=self.show,
                answer=Answer(what="The description.", media=JSON),
            )
        ]

    async def show(self, request: web.Request) -> web.Response:
        return web.Response(body=self._body, headers={"Content-Type": JSON})


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    schemas, definitions = models_json_schema(
        sorted(_models(routes), key=lambda one: (one[0].__name__, one[1])),
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operation = _operation(route, schemas)
        path = paths.setdefault(route.path, {})
        path[route.method.lower()] = operation
        if route.method == "GET" and route.has_head:
            path["head"] = _without_bodies(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "scrape worker",
            "version": __version__,
            "description": "Times are Unix seconds, durations seconds, sizes bytes.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: _mended(schema) for name, schema in definitions["$defs"].items()},
            "securitySchemes": {BEARER: {"type": "http", "scheme": "bearer"}},
        },
    }


def _mended(schema: dict[str, Any]) -> dict[str, Any]:
    """Durations and sizes may be told in words; of what stands before a validator, pydantic can't know the bound."""
    for one in schema.get("properties", {}).values():
        if "ge" in one:
            number = {"type": one.pop("type"), "minimum": one.pop("ge")}
            one["anyOf"] = [number, {"type": "string"}]
    return schema


def _models(routes: Iterable[Route]) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    found: set[tuple[type[BaseModel], JsonSchemaMode]] = {
        (ProblemView, "serialization"),
        (StatsView, "serialization"),
    }
    for route in routes:
        if route.answer.model is not None:
            found.add((route.answer.model, "serialization"))
        if route.body is not None:
            found.add((route.body, "validation"))
    yield from found


def _operation(route: Route, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.what,
        "parameters": [*_in_path(route.path), *_in_query(route.query)],
        "responses": {
            str(route.status): _success(route.answer, schemas),
            **{str(status): _problem(status, schemas) for status in problems_of(route)},
        },
        "security": [] if route.is_open else [{BEARER: []}] if route.changes else [{}, {BEARER: []}],
    }
    if route.body is not None:
        content = {JSON: {"schema": schemas[route.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def problems_of(route: Route) -> Sequence[int]:
    every = (500,) if route.is_open else EVERY + (EVERY_CHANGE if route.changes else (413, 415, 417))
    return sorted({*route.problems, *every})


def _success(answer: Answer, schemas: Schemas) -> dict[str, Any]:
    """Text and streams have no schema."""
    media: dict[str, Any] = {}
    if answer.model is not None:
        media = {"schema": schemas[answer.model, "serialization"]}
    elif answer.media == JSON:
        media = {"schema": {"type": "object"}}
    headers = {
        name: {"description": what, "required": True, "schema": {"type": "string"}}
        for name, what in answer.headers.items()
    }
    described: dict[str, Any] = {"description": answer.what, "content": {answer.media: media}}
    return {**described, "headers": headers} if headers else described


def _problem(status: int, schemas: Schemas) -> dict[str, Any]:
    schema = schemas[ProblemView, "serialization"]
    return {"description": PROBLEMS[status], "content": {PROBLEM_MEDIA: {"schema": schema}}}


def _in_path(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        schema = {"type": "string", "pattern": ID} if name == "id" else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(query: type[BaseModel] | None) -> Iterator[dict[str, Any]]:
    properties = query.model_json_schema()["properties"] if query else {}
    for name, schema in properties.items():
        described = {key: value for key, value in schema.items() if key not in ("title", "description")}
        yield {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema["description"],
            "schema": described,
        }


def _without_bodies(operation: Mapping[str, Any]) -> dict[str, Any]:
    responses = {
        status: {key: value for key, value in answer.items() if key != "content"}
        for status, answer in operation["responses"].items()
    }
    return {**operation, "operationId": f"{operation['operationId']}_head", "responses": responses}
