"""/api/jobs/{id}/events: how a job goes on, as server-sent events, until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog
from aiohttp import web
from pydantic import BaseModel

from scraper.errors import StorageError, UsageError
from scraper.protocols import Job
from scraper.worker.http.hiding import hide_secrets
from scraper.worker.http.jobs import ONE, job_id
from scraper.worker.http.problems import Problem, status_of
from scraper.worker.http.routes import Answer, Route
from scraper.worker.http.views import JobView, StatsView
from scraper.worker.office import Office

log = structlog.get_logger()
MEDIA = "text/event-stream"
WHAT = (
    "Events: `job` (a Job) whenever its state changes, `stats` (a Stats) while it runs here, `end` (a Job) once it has"
    " ended, after which the stream ends; `problem` (a Problem) where it can't go on; comments in between."
)
ENDED = frozenset({"finished", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds. `heartbeat`: of silence, after which a client is told that there is none. `look_again`: other processes
    change the store too, and can't ring here. `patience`: that a client may take to read one event. `most`: streams
    at once.
    """

    heartbeat: float = 15.0
    look_again: float = 0.5
    patience: float = 30.0
    most: int = 100


USUAL = Pace()


class Events:
    """A client is told the newest of what there is when it has read the last: a slow one misses what lies between."""

    def __init__(self, office: Office, pace: Pace = USUAL) -> None:
        self._office = office
        self._pace = pace
        self._streams = 0
        self._closing = asyncio.Event()

    def routes(self) -> Sequence[Route]:
        return [
            Route(
                method="GET",
                path=f"{ONE}/events",
                name="follow_job",
                what="Follow a job until it has ended.",
                handler=self.follow,
                answer=Answer(what=WHAT, media=MEDIA),
                problems=(404,),
                has_head=False,
            )
        ]

    def close(self) -> None:
        """Ends all streams: the worker stops."""
        self._closing.set()

    async def follow(self, request: web.Request) -> web.StreamResponse:
        job = await asyncio.to_thread(self._office.store.get, job_id(request))
        if self._streams >= self._pace.most:
            told = f"{self._pace.most} clients follow jobs already: try again later."
            raise Problem(503, told, headers={"Retry-After": "10"})
        response = web.StreamResponse(headers={"Content-Type": MEDIA, "X-Accel-Buffering": "no"})
        self._streams += 1
        try:
            await response.prepare(request)
            await self._send(job, response)
        except ConnectionError:
            log.debug("a client is gone", job=job.id)
        except TimeoutError:
            log.info("a client reads nothing", job=job.id, remote=request.remote)
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams -= 1
        return response

    async def _send(self, job: Job, response: web.StreamResponse) -> None:
        """Raises ConnectionError, and TimeoutError for a client that does not read."""
        async with aclosing(self._with_heartbeats(self._life(job))) as events:
            async for event in events:
                async with asyncio.timeout(self._pace.patience):
                    await response.write(event)

    async def _with_heartbeats(self, events: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        closing = asyncio.ensure_future(self._closing.wait())
        following = asyncio.ensure_future(anext(events, b""))
        try:
            while not closing.done():
                await asyncio.wait(
                    {closing, following}, timeout=self._pace.heartbeat, return_when=asyncio.FIRST_COMPLETED
                )
                if not following.done():
                    yield b": heartbeat\n\n"
                elif event := following.result():
                    yield event
                    following = asyncio.ensure_future(anext(events, b""))
                else:
                    return
        finally:
            closing.cancel()
            following.cancel()
            await asyncio.gather(closing, following, return_exceptions=True)

    async def _life(self, job: Job) -> AsyncIterator[bytes]:
        try:
            yield await self._told("job", job)
            while job.state not in ENDED:
                if job.state == "running":
                    async with aclosing(self._office.board.watch(job.id)) as snapshots:
                        async for one in snapshots:
                            yield _event("stats", StatsView.of(one))
                before, job = job, await asyncio.to_thread(self._office.store.get, job.id)
                if job.state == before.state:
                    await asyncio.sleep(self._pace.look_again)
                elif job.state not in ENDED:
                    yield await self._told("job", job)
            yield await self._told("end", job)
        except (StorageError, UsageError) as error:
            log.warning("events of a job break off", job=job.id, problem=str(error))
            yield _event("problem", Problem(status_of(error), str(error)).view())

    async def _told(self, name: str, job: Job) -> bytes:
        shown = await asyncio.to_thread(hide_secrets, job.spec, self._office.project)
        return _event(name, JobView.of(job, shown))


def _event(name: str, view: BaseModel) -> bytes:
    """JSON has no line breaks of its own, so it is one line of data."""
    return f"event: {name}\ndata: {view.model_dump_json()}\n\n".encode()
