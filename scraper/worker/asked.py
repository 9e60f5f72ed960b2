"""Asked: whether the project can do what a job asks for, and which files the job writes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from scraper.errors import FeedError
from scraper.job_spec import JobSpec
from scraper.jobs.rows import first_due
from scraper.project import Project
from scraper.protocols import Job
from scraper.schedules import following
from scraper.sinks.choose import FeedSpec, check_writable, parse_feed
from scraper.spider import with_arguments

KEPT = ".scrape"  # the folder in which the project keeps its jobs and runs
FIELDS = ("spider", "job", "run", "date")
APART = frozenset({"job", "run"})  # what each job of a series has of its own
DAY = 86_400.0
TICKS_ASKED = 60  # of a cron expression, to see whether two come on one day

_FIELD = re.compile(r"\{([^{}]*)\}")


def check(spec: JobSpec, project: Project) -> None:
    """Whether the project, as it is now, can run it. Raises UsageError, in words.

    Imports the project's spiders. Feeds are files below the project's root, named from there; {spider}, {job}, {run}
    and {date} in their names are filled in when the job begins.
    """
    first_due(spec, time.time())
    spider = project.spider(spec.spider)
    with_arguments(spider, spec.arguments)
    loaded = project.settings(spider, spec.settings)
    append = spec.append or loaded.settings.feeds.append
    told_here = loaded.origins.get("feeds.files") == "-s"
    for text in [*spec.feeds, *(loaded.settings.feeds.files if told_here else ())]:
        _check_feed(text, spec, project.root)
    if spec.repeats and not append:
        for text in [*spec.feeds, *loaded.settings.feeds.files]:
            _check_apart(text, spec)


def feed_names(spec: JobSpec, *, job: str, run: str, date: date) -> list[str]:
    """The spec's feeds with {spider}, {job}, {run} and {date} filled in, from the project's root."""
    return [_filled(text, spec, job=job, run=run, date=date) for text in spec.feeds]


def date_of(job: Job) -> date:
    """The day that the job is for: that of its tick, however late it runs, in its own time zone."""
    return datetime.fromtimestamp(job.due, ZoneInfo(job.spec.timezone)).date()


# ── one feed ─────────────────────────────────────────────────────────────────────────────────────────────


def _check_feed(text: str, spec: JobSpec, root: Path) -> None:
    _check_fields(text)
    name = _filled(text, spec, job="1", run=f"{spec.spider}-1", date=datetime.now(UTC).date())
    told = parse_feed(name)
    if told.path is None:
        raise FeedError(
            f"{text!r}: a job has no standard output to write items to. Name a file, such as {{spider}}-{{job}}.jsonl."
        )
    file = name.removeprefix(f"{told.kind}:") if told.kind else name
    path = _inside(text, root / file, root)
    check_writable(FeedSpec(told.kind, path))


def _check_fields(text: str) -> None:
    for field in _FIELD.findall(text):
        if field not in FIELDS:
            close = get_close_matches(field, FIELDS, 1)
            guess = f" Did you mean {{{close[0]}}}?" if close else ""
            known = ", ".join(f"{{{name}}}" for name in FIELDS)
            raise FeedError(
                f"{text!r}: there is no {{{field}}} for a feed's name.{guess} There are: {known}."
            )


def _inside(text: str, path: Path, root: Path) -> Path:
    """Where the path leads, links followed. Raises FeedError where that is no place for a job's items."""
    home = root.resolve()
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, a null byte
        raise FeedError(f"{text!r} is no file's name: {error}.") from None
    if not found.is_relative_to(home):
        raise FeedError(
            f"{text!r} leads out of the project: a job writes below {root}. Name a file in there."
        )
    if found.relative_to(home).parts[0].casefold() == KEPT:  # some disks take .Scrape for the same
        raise FeedError(f"{text!r}: {KEPT} is where jobs and runs are kept. Name a file in another folder.")
    return found


def _filled(text: str, spec: JobSpec, *, job: str, run: str, date: date) -> str:
    values: Mapping[str, str] = {"spider": spec.spider, "job": job, "run": run, "date": f"{date:%Y-%m-%d}"}
    return _FIELD.sub(lambda field: values.get(field[1], field[0]), text)


# ── a schedule ───────────────────────────────────────────────────────────────────────────────────────────


def _check_apart(text: str, spec: JobSpec) -> None:
    """Raises FeedError where one job of a series would write over what the one before it wrote."""
    fields = set(_FIELD.findall(text))
    if fields & APART:
        return
    if "date" not in fields:
        raise FeedError(
            f"{text!r}: each job of a schedule would write over the file of the one before."
            f" Put {{job}}, {{run}} or {{date}} in its name, such as {_with_job(text)!r}, or append to the file."
        )
    if _several_a_day(spec):
        raise FeedError(
            f"{text!r}: this schedule has more than one job a day, and they would write over each other's file."
            f" Put {{job}} or {{run}} in its name, such as {_with_job(text)!r}, or append to the file."
        )


def _with_job(text: str) -> str:
    name, dot, ending = text.rpartition(".")
    return f"{name}-{{job}}{dot}{ending}"


def _several_a_day(spec: JobSpec) -> bool:
    if spec.every:
        return spec.every < DAY
    days = [datetime.fromtimestamp(tick, ZoneInfo(spec.timezone)).date() for tick in _ticks(spec)]
    return any(one == other for one, other in pairwise(days))


def _ticks(spec: JobSpec) -> Iterator[float]:
    tick = time.time()
    for _ in range(TICKS_ASKED):
        tick = following(tick, tick, every=0, cron=spec.cron, timezone=spec.timezone)
        yield tick
