"""Routes: each way to talk with a worker, as it is served and as it is described."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web
from pydantic import BaseModel

from scraper.worker.http.bodies import expect_later

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`model`: what the JSON looks like; None for other media. `headers`: name → what it says."""

    what: str
    model: type[BaseModel] | None = None
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`problems`: the statuses it ends with besides those that every route can. `is_open`: needs no token, ever."""

    method: str
    path: str
    name: str
    what: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    answer: Answer
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    problems: tuple[int, ...] = ()
    is_open: bool = False
    has_head: bool = True

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    def add_to(self, app: web.Application) -> None:
        adding = app.router.add_route
        adding(self.method, self.path, self.handler, name=self.name, expect_handler=expect_later)
        if self.method == "GET" and self.has_head:
            adding("HEAD", self.path, self.handler, expect_handler=expect_later)
