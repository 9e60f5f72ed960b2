"""/api/jobs/{id}/log: the last lines that a job has written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from scraper.worker.http.jobs import ONE, job_id
from scraper.worker.http.queries import LogQuery, read_query
from scraper.worker.http.routes import Answer, Route
from scraper.worker.office import Office

TEXT = "text/plain"


class Logs:
    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> Sequence[Route]:
        return [
            Route(
                method="GET",
                path=f"{ONE}/log",
                name="show_log",
                what="Show the end of a job's log.",
                handler=self.show,
                answer=Answer(what="Lines of JSON, the newest last.", media=TEXT),
                query=LogQuery,
                problems=(400, 404),
            )
        ]

    async def show(self, request: web.Request) -> web.Response:
        most = read_query(request, LogQuery).bytes
        job = await asyncio.to_thread(self._office.store.get, job_id(request))
        body = await asyncio.to_thread(tail, self._office.log_file(job.id), most)
        return web.Response(body=body, content_type=TEXT, charset="utf-8")


def tail(file: Path, most: int) -> bytes:
    """The last whole lines, at most `most` bytes; nothing where a job has not begun."""
    try:
        with file.open("rb") as lines:
            start = max(0, lines.seek(0, os.SEEK_END) - most)
            lines.seek(max(0, start - 1))
            found = lines.read(most + 1 if start else most)
    except FileNotFoundError:
        return b""
    return (
        found.partition(b"\n")[2] if start else found
    )  # the first line is whole only where one ends before it
