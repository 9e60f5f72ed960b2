"""Queries: what may stand behind the `?`, and how it is read."""

from __future__ import annotations

from typing import TypeVar, get_origin

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scraper.protocols import JobState
from scraper.worker.http.problems import Problem

ID = r"^[1-9][0-9]{0,17}$"  # as scraper.jobs.places reads it
Query = TypeVar("Query", bound=BaseModel)


class Bounded(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class JobQuery(Bounded):
    state: list[JobState] = Field([], max_length=5, description="Only jobs in one of these states.")
    spider: str = Field("", max_length=200, description="Only jobs of this spider.")
    limit: int = Field(100, ge=1, le=1_000, description="At most so many, newest first.")
    before: str = Field("", pattern=f"^$|{ID}", description="Those that are older than this job.")


class RunQuery(Bounded):
    spider: str = Field("", max_length=200, description="Only runs of this spider.")
    limit: int = Field(20, ge=1, le=200, description="At most so many, newest first.")


class LogQuery(Bounded):
    bytes: int = Field(
        64 * 1024, ge=1, le=1024 * 1024, description="The last whole lines, at most so many bytes."
    )


def read_query(request: web.Request, kind: type[Query]) -> Query:
    """Raises Problem."""
    fields = kind.model_fields
    given: dict[str, object] = {}
    for name in set(request.query):
        values = request.query.getall(name)
        several = name in fields and get_origin(fields[name].annotation) is list
        if len(values) > 1 and not several:
            raise Problem(400, f"The query has {name!r} more than once.")
        given[name] = values if several else values[0]
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise Problem.invalid(400, "The query", error) from None
