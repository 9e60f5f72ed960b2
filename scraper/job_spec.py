"""What somebody asks a worker for: the same words on the command line, over HTTP and in the store."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from scraper.schedules import check_cron, check_timezone
from scraper.units import Bytes, Seconds

LONGEST = 100 * 365.25 * 86_400  # seconds


def _often_enough(seconds: float) -> float:
    if seconds and not 1 <= seconds <= LONGEST:
        raise ValueError("every is 1 second to 100 years")
    return seconds


class JobSpec(BaseModel):
    """`arguments`, `settings` and `feeds` are those of `scrape crawl -a … -s … -o …`.

    `priority`: higher first. At most one of `at` (once, not before), `every` (seconds) and `cron` (five fields, read in
    `timezone`); none: now. `max_time`: seconds of one life; `max_memory`: bytes of the crawl's process; 0 = no limit.
    `resumes`: how often a job whose process died is resumed before it has failed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spider: str = Field(min_length=1, max_length=200)
    arguments: dict[str, str] = {}
    settings: Annotated[list[str], Field(max_length=200)] = []  # key=value
    feeds: Annotated[list[str], Field(max_length=20)] = []
    append: bool = False
    priority: int = Field(0, ge=-1_000, le=1_000)
    at: datetime | None = None
    every: Annotated[Seconds, AfterValidator(_often_enough)] = 0
    cron: Annotated[str, AfterValidator(check_cron)] = ""
    timezone: Annotated[str, AfterValidator(check_timezone)] = "UTC"
    max_pages: int = Field(0, ge=0)
    max_items: int = Field(0, ge=0)
    max_time: Seconds = 0
    max_memory: Bytes = 0
    resumes: int = Field(3, ge=0, le=100)

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if sum((self.at is not None, self.every > 0, bool(self.cron))) > 1:
            raise ValueError("a job has one of at, every and cron")
        return self

    @property
    def repeats(self) -> bool:
        return bool(self.every or self.cron)
