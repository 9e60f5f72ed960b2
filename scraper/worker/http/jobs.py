"""/api/jobs: jobs are asked for, looked at, cancelled and tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from aiohttp import web
from pydantic import ValidationError

from scraper.errors import JobError
from scraper.job_spec import JobSpec
from scraper.jobs.places import number_of
from scraper.protocols import Job
from scraper.worker.asked import check
from scraper.worker.http.bodies import as_json, read_object
from scraper.worker.http.hiding import hide_secrets
from scraper.worker.http.problems import Problem
from scraper.worker.http.queries import JobQuery, read_query
from scraper.worker.http.routes import Answer, Route
from scraper.worker.http.views import JobList, JobView
from scraper.worker.office import Office

log = structlog.get_logger()
ONE = "/api/jobs/{id}"


def job_id(request: web.Request) -> str:
    """Raises NoSuchJob for what can't be the id of a job."""
    return str(number_of(request.match_info["id"]))


class Jobs:
    def __init__(self, office: Office) -> None:
        self._office = office

    def routes(self) -> Sequence[Route]:
        answer = Answer(what="The job.", model=JobView)
        added = Answer(what="The job.", model=JobView, headers={"Location": "Where the job is."})
        some = Answer(what="Jobs, newest first.", model=JobList)
        return [
            Route(
                method="GET",
                path="/api/jobs",
                name="list_jobs",
                what="List jobs.",
                handler=self.latest,
                answer=some,
                query=JobQuery,
                problems=(400,),
            ),
            Route(
                method="POST",
                path="/api/jobs",
                name="add_job",
                what="Ask for a job.",
                handler=self.add,
                answer=added,
                status=201,
                body=JobSpec,
                problems=(400, 408, 422),
            ),
            Route(
                method="GET",
                path=ONE,
                name="show_job",
                what="Show a job.",
                handler=self.show,
                answer=answer,
                problems=(404,),
            ),
            Route(
                method="POST",
                path=f"{ONE}/cancel",
                name="cancel_job",
                what="Cancel a job that is queued or runs.",
                handler=self.cancel,
                answer=answer,
                problems=(404, 409),
            ),
            Route(
                method="POST",
                path=f"{ONE}/retry",
                name="retry_job",
                what="Queue a job again that has failed or was cancelled.",
                handler=self.retry,
                answer=answer,
                problems=(404, 409),
            ),
        ]

    async def latest(self, request: web.Request) -> web.Response:
        query = read_query(request, JobQuery)
        found = await asyncio.to_thread(
            self._office.store.list,
            states=query.state,
            spider=query.spider,
            limit=query.limit,
            before=query.before,
        )
        following = found[-1].id if len(found) == query.limit else None
        views = await asyncio.to_thread(lambda: [self._seen(job) for job in found])
        return as_json(JobList(jobs=views, next=following))

    async def add(self, request: web.Request) -> web.Response:
        told = await read_object(request)
        try:
            spec = JobSpec.model_validate(told)
        except ValidationError as error:
            raise Problem.invalid(422, "The job", error) from None
        job = await asyncio.to_thread(self._added, spec)
        self._office.wake()
        log.info("job added", job=job.id, spider=spec.spider)
        return await self._show(job, status=201, headers={"Location": f"/api/jobs/{job.id}"})

    def _added(self, spec: JobSpec) -> Job:
        check(spec, self._office.project)  # imports spiders
        try:
            return self._office.store.add(spec)
        except JobError as error:
            raise Problem(422, str(error)) from None

    async def show(self, request: web.Request) -> web.Response:
        return await self._show(await asyncio.to_thread(self._office.store.get, job_id(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        job = await asyncio.to_thread(self._office.store.cancel, job_id(request))
        self._office.wake()
        log.info("job cancelled", job=job.id, spider=job.spec.spider)
        return await self._show(job)

    async def retry(self, request: web.Request) -> web.Response:
        job = await asyncio.to_thread(self._office.store.retry, job_id(request))
        self._office.wake()
        log.info("job queued again", job=job.id, spider=job.spec.spider)
        return await self._show(job)

    async def _show(
        self, job: Job, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> web.Response:
        return as_json(await asyncio.to_thread(self._seen, job), status=status, headers=headers)

    def _seen(self, job: Job) -> JobView:
        return JobView.of(job, hide_secrets(job.spec, self._office.project))
