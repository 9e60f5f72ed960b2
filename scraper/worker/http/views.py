"""Views: what is shown of jobs, runs and crawls. Times are Unix seconds, sizes bytes; no secret is in them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from scraper import stats
from scraper.job_spec import JobSpec
from scraper.protocols import Job, JobState
from scraper.runs import State
from scraper.standing import Standing
from scraper.worker.board import Snapshot


class View(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class Alive(View):
    status: Literal["alive"] = "alive"


class Ready(View):
    status: Literal["ready"] = "ready"


class JobView(View):
    """`due`: not before. `run`: the run it points to, once it has begun. `deaths`: how often its process died.
    `series`: the first job of its schedule. `cancelling`: it runs, and should stop."""

    id: str
    state: JobState
    reason: str
    spec: JobSpec
    created: float
    due: float
    started: float | None
    ended: float | None
    series: str
    run: str
    deaths: int
    worker: str
    cancelling: bool

    @classmethod
    def of(cls, job: Job, shown: JobSpec) -> Self:
        """`shown`: its spec without what is secret."""
        return cls.model_validate(job).model_copy(update={"spec": shown})


class JobList(View):
    """`next`: ask with this as `before` for those that follow; null at the end."""

    jobs: list[JobView]
    next: str | None


class RunView(View):
    """`waiting`: requests in the queue, null where it can't be known. `problem`: why its database can't be read."""

    run: str
    spider: str
    state: State
    reason: str
    problem: str
    waiting: int | None
    waiting_until: float | None
    resumable: bool
    started: float
    ended: float | None
    seconds: float
    pages: int
    failed: int
    items: int
    bytes: int
    feeds: list[str]
    counters: dict[str, int]

    @classmethod
    def of(cls, one: Standing) -> Self:
        info = one.run.info
        return cls(
            run=info.id,
            spider=info.spider,
            state=one.state,
            reason=one.reason,
            problem=one.problem,
            waiting=one.waiting,
            waiting_until=info.waiting_until if one.state == "waiting" else None,
            resumable=one.resumable,
            started=info.started,
            ended=one.ended,
            seconds=one.seconds,
            pages=one.counters.get(stats.DONE, 0),
            failed=one.counters.get(stats.FAILED, 0),
            items=one.counters.get(stats.ITEMS, 0),
            bytes=one.size,
            feeds=info.feeds,
            counters=dict(sorted(one.counters.items())),
        )


class RunList(View):
    runs: list[RunView]


class StatsView(View):
    """A crawl that runs. `counters`: of all its run's lives; `elapsed`: seconds of this life; `memory`: bytes."""

    job: str
    run: str
    spider: str
    counters: dict[str, int]
    queued: int
    delayed: int
    in_flight: int
    elapsed: float
    memory: int

    @classmethod
    def of(cls, one: Snapshot) -> Self:
        return cls.model_validate(one)
