"""/api/runs: what ran, and how it stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from scraper.errors import RunError
from scraper.runs import Run, Runs
from scraper.standing import standing
from scraper.worker.http.bodies import as_json
from scraper.worker.http.problems import Problem
from scraper.worker.http.queries import RunQuery, read_query
from scraper.worker.http.routes import Answer, Route
from scraper.worker.http.views import RunList, RunView
from scraper.worker.office import Office

LONGEST = 255  # bytes of a folder's name


class RunFolders:
    def __init__(self, office: Office) -> None:
        self._runs = Runs(office.project.root)

    def routes(self) -> Sequence[Route]:
        return [
            Route(
                method="GET",
                path="/api/runs",
                name="list_runs",
                what="List runs.",
                handler=self.latest,
                answer=Answer(what="Runs, newest first.", model=RunList),
                query=RunQuery,
                problems=(400,),
            ),
            Route(
                method="GET",
                path="/api/runs/{run}",
                name="show_run",
                what="Show a run.",
                handler=self.show,
                answer=Answer(what="The run.", model=RunView),
                problems=(404,),
            ),
        ]

    async def latest(self, request: web.Request) -> web.Response:
        query = read_query(request, RunQuery)
        return as_json(RunList(runs=await asyncio.to_thread(self._latest, query)))

    async def show(self, request: web.Request) -> web.Response:
        return as_json(await asyncio.to_thread(self._show, request.match_info["run"]))

    def _latest(self, query: RunQuery) -> list[RunView]:
        found = [run for run in self._runs.all() if query.spider in ("", run.info.spider)]
        return [RunView.of(standing(run)) for run in found[: query.limit]]

    def _show(self, run_id: str) -> RunView:
        return RunView.of(standing(self._found(run_id)))

    def _found(self, run_id: str) -> Run:
        if not _can_be_a_name(run_id):
            raise Problem(404, f"There is no run {run_id[:50]!r}.")
        try:
            return self._runs.get(run_id)
        except RunError as error:
            exists = (self._runs.folder / run_id / "run.json").is_file()
            raise Problem(500 if exists else 404, str(error)) from None


def _can_be_a_name(run_id: str) -> bool:
    """Whether it stays inside the folder of the runs; nothing is looked up before that is sure."""
    try:
        length = len(run_id.encode())
    except UnicodeEncodeError:
        return False
    return (
        0 < length <= LONGEST and run_id.isprintable() and run_id[0] != "." and not set(run_id) & set("/\\:")
    )
