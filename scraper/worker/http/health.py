"""/healthz, /readyz: whether the worker is alive, and whether it takes work."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from scraper.worker.http.bodies import as_json
from scraper.worker.http.problems import Problem
from scraper.worker.http.routes import Answer, Route
from scraper.worker.http.views import Alive, Ready
from scraper.worker.office import Office


class Health:
    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> Sequence[Route]:
        return [
            Route(
                method="GET",
                path="/healthz",
                name="alive",
                what="Ask whether the worker is alive.",
                handler=self.alive,
                answer=Answer(what="It is.", model=Alive),
                is_open=True,
            ),
            Route(
                method="GET",
                path="/readyz",
                name="ready",
                what="Ask whether the worker takes new jobs.",
                handler=self.ready,
                answer=Answer(what="It does.", model=Ready),
                problems=(503,),
                is_open=True,
            ),
        ]

    async def alive(self, request: web.Request) -> web.Response:
        return as_json(Alive())

    async def ready(self, request: web.Request) -> web.Response:
        if not self._office.ready:
            raise Problem(503, "The worker takes no new jobs: it is stopping, or its store does not answer.")
        return as_json(Ready())
