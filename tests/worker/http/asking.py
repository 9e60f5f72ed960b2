"""A client that holds every answer against the worker's own description."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from jsonschema import Draft202012Validator

from scraper.worker.http.app import serve
from scraper.worker.http.events import USUAL, Pace
from scraper.worker.office import Office

TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PROBLEM = "application/problem+json"


@dataclass
class Said:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def problem(self) -> str:
        """The sentence of an answer that is no success."""
        assert self.headers["Content-Type"] == PROBLEM
        assert self.json["status"] == self.status
        return self.json["detail"]


class Asking:
    """`token`: sent with each request, "" for none."""

    def __init__(self, base: str, session: aiohttp.ClientSession, token: str) -> None:
        self.base = base
        self.session = session
        self.bearer = {"Authorization": f"Bearer {token}"} if token else {}
        self._described: dict[str, Any] = {}

    async def get(self, path: str, **more: Any) -> Said:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, job: Any = None, **more: Any) -> Said:
        return await self.ask("POST", path, **({} if job is None else {"json": job}), **more)

    async def add(self, **spec: Any) -> dict[str, Any]:
        said = await self.post("/api/jobs", {"spider": "shop", **spec})
        assert said.status == 201, said.body
        return said.json

    async def ask(self, method: str, path: str, *, headers: Mapping[str, str] = {}, **more: Any) -> Said:
        url = aiohttp.client.URL(self.base + path, encoded=True)
        wanted = {**self.bearer, **headers}
        async with self.session.request(method, url, headers=wanted, **more) as response:
            said = Said(response.status, response.headers, await response.read())
        await self._hold_against_description(method, path, said)
        return said

    async def description(self) -> dict[str, Any]:
        """Asked for with the token, whoever else asks without."""
        if not self._described:
            async with self.session.get(
                self.base + "/openapi.json", headers=self.bearer or BEARER
            ) as response:
                self._described = orjson.loads(await response.read())
        return self._described

    async def _hold_against_description(self, method: str, path: str, said: Said) -> None:
        assert said.headers["X-Content-Type-Options"] == "nosniff"
        assert said.headers["Cache-Control"] == "no-store"
        assert said.headers["Server"] == "scraper"
        assert b"Traceback" not in said.body
        if said.status in (401, 421):
            return  # it shows its description to nobody
        found = operation(await self.description(), method, path)
        if found is None:
            assert said.status in (404, 405), f"{method} {path} is not described"
            assert said.headers["Content-Type"] == PROBLEM
            return
        response = found["responses"][str(said.status)]
        for name in response.get("headers", ()):
            assert name in said.headers
        if method != "HEAD":
            media = said.headers["Content-Type"].partition(";")[0]
            described = response["content"][media]
            if media.endswith("json"):
                check(said.json, described["schema"], await self.description())


def operation(description: Mapping[str, Any], method: str, path: str) -> Any:
    """What the description says of a request; None where it says nothing."""
    for template, methods in description["paths"].items():
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        if re.fullmatch(pattern, path.partition("?")[0]):
            return methods.get(method.lower())
    return None


def check(value: Any, schema: Mapping[str, Any], description: Mapping[str, Any]) -> None:
    whole = {**schema, "components": description["components"]}
    Draft202012Validator.check_schema(whole)
    Draft202012Validator(whole).validate(value)


@asynccontextmanager
async def asking(
    office: Office, *, token: str = TOKEN, sent: str | None = None, pace: Pace = USUAL
) -> AsyncIterator[Asking]:
    """`sent`: the token that the client has, if not the worker's."""
    async with (
        serve(office, "127.0.0.1:0", token, pace=pace) as base,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
    ):
        yield Asking(base, session, token if sent is None else sent)
