"""The words between a worker and the process of a crawl: a line of JSON each, over two pipes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from scraper.job_spec import JobSpec
from scraper.worker.board import Snapshot

STOP, NOW = b"stop\n", b"now\n"  # after the task: what is in flight has its grace; it has none


class Task(BaseModel):
    """The first line that the process reads. `run`: the one to go on with, "" for a job that has none yet.

    `made`: when the job was, Unix time. `day`: the one that it is for, in the names of its feeds. `grace`: seconds.
    """

    model_config = ConfigDict(frozen=True)

    job: str
    spec: JobSpec
    made: float
    day: date
    run: str = ""
    grace: float


@dataclass(frozen=True, slots=True)
class Named:
    """What the job's run is, or will be, called."""

    run: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The crawl has its run."""

    run: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The crawl's own end, as order.Result has it."""

    state: str
    reason: str = ""
    exit_code: int = 0
    waiting_until: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The crawl can't begin: a person must put something right."""

    reason: str


@dataclass(frozen=True, slots=True)
class Busy:
    """Another process still holds the run."""

    reason: str


@dataclass(frozen=True, slots=True)
class Outgrown:
    """It holds more memory than the job may: it stops, and the job has failed."""


Word = Named | Begun | Snapshot | Ended | Refused | Busy | Outgrown
Last = Ended | Refused | Busy
KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in (Named, Begun, Snapshot, Ended, Refused, Busy, Outgrown)
}


def encode(word: Word) -> bytes:
    return orjson.dumps({"word": type(word).__name__, **asdict(word)}, option=orjson.OPT_APPEND_NEWLINE)


def decode(line: bytes) -> Word:
    """Raises ValueError for a line that is no word."""
    told = orjson.loads(line)
    try:
        word: Word = KINDS[told.pop("word")](**told)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{line[:80]!r} is no word of a crawl's process") from error
    return word
