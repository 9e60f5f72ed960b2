"""`scrape jobs`: what a worker is asked for, how it stands, and how to change one's mind."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from scraper.cli.as_json import AsJson, print_json
from scraper.cli.crawl import Append, Arguments, MaxItems, MaxPages, MaxTime, Output, Overrides, pairs
from scraper.cli.figures import count, printable, size, time_span, when
from scraper.cli.tables import Column, Row, show
from scraper.errors import ArgumentError, RunError, ScrapeError
from scraper.job_spec import JobSpec
from scraper.jobs.log_files import follow, read, rotated
from scraper.jobs.places import jobs_file, log_file, no_such
from scraper.jobs.store import ENDED, STATES, SqliteJobs
from scraper.project import Project
from scraper.protocols import Job, JobState
from scraper.runs import Runs
from scraper.sinks.choose import parse_feed
from scraper.worker.asked import check
from scraper.worker.http.hiding import hide_secrets
from scraper.worker.http.views import JobView

SHOWN = 100  # jobs, unless another number is asked for
COLUMNS = (
    Column("job", right=True),
    Column("state"),
    Column("spider"),
    Column("due", spare=2),
    Column("took", right=True, spare=1),
    Column("run"),
    Column("reason"),
)
STYLES = {"running": "green", "failed": "red"}


def _ids(incomplete: str) -> list[str]:
    """For the shell, after a tab."""
    with suppress(ScrapeError):  # no project here: nothing to offer
        root = Project.find().root
        if jobs_file(root).exists():
            with closing(_open(root)) as jobs:
                return [job.id for job in jobs.list(limit=SHOWN) if job.id.startswith(incomplete)]
    return []


JobId = Annotated[
    str, typer.Argument(metavar="ID", help="The job; `scrape jobs list` shows them.", autocompletion=_ids)
]


def add(
    spider: Annotated[str, typer.Argument(help="The spider's name; `scrape list` shows them.")],
    output: Output = None,
    append: Append = False,
    argument: Arguments = None,
    setting: Overrides = None,
    priority: Annotated[int, typer.Option("--priority", help="Higher ones are taken first.")] = 0,
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="Not before: 2030-01-31T03:00, in --timezone.")
    ] = "",
    every: Annotated[str, typer.Option("--every", metavar="10m", help="Now, and again so often.")] = "",
    cron: Annotated[
        str,
        typer.Option("--cron", metavar="'0 3 * * *'", help="Again and again, by the clock of --timezone."),
    ] = "",
    timezone: Annotated[str, typer.Option("--timezone", metavar="Europe/Berlin")] = "UTC",
    max_pages: MaxPages = 0,
    max_items: MaxItems = 0,
    max_time: MaxTime = "",
    max_memory: Annotated[
        str, typer.Option("--max-memory", metavar="512MB", help="Stop when the crawl takes more memory.")
    ] = "",
    resumes: Annotated[
        int, typer.Option("--resumes", help="So often it is resumed after its process has died.")
    ] = 3,
    as_json: AsJson = False,
) -> None:
    """Ask for a crawl, which `scrape worker` makes: now, at a time, or by a schedule.

    The files of -o may have {spider}, {job}, {run} and {date} in their names; a schedule's need one of the last three.
    """
    project = Project.find()
    told = {
        "spider": spider,
        "arguments": pairs(argument),
        "settings": setting or [],
        "feeds": [_from_root(text, project.root) for text in output or []],
        "append": append,
        "priority": priority,
        "at": at or None,
        "every": every or 0,
        "cron": cron,
        "timezone": timezone,
        "max_pages": max_pages,
        "max_items": max_items,
        "max_time": max_time or 0,
        "max_memory": max_memory or 0,
        "resumes": resumes,
    }
    spec = _spec(told)
    if every and not spec.every:
        raise ArgumentError(f"--every {every}: a schedule needs a time between two jobs, such as 10m.")
    check(spec, project)
    with closing(_open(project.root)) as jobs:
        job = jobs.add(spec)
    _tell(job, project, _queued(job), as_json=as_json)


def list_jobs(
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state", metavar="STATE", help=f"Only those: {', '.join(STATES)}. Repeat for several."
        ),
    ] = None,
    spider: Annotated[str, typer.Option("--spider", metavar="NAME", help="Only this spider's.")] = "",
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, help=f"At most so many, 0 = all; {SHOWN}, with --json all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    project = Project.find()
    states = [_state(one) for one in state or []]
    most = limit or -1 if limit is not None or as_json else SHOWN
    found: list[Job] = []
    if jobs_file(project.root).exists():
        with closing(_open(project.root)) as jobs:
            found = list(jobs.list(states=states, spider=spider, limit=most))
    if as_json:
        print_json([_described(job, project) for job in found])
    elif found:
        show(COLUMNS, [_row(job) for job in found])
        if len(found) == most:
            typer.echo(f"There may be more than {count(most)}: --limit 0 shows all.")
    else:
        typer.echo("There is no such job." if states or spider else _nothing())


def show_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Show a job: what it was told, how it stands, and what can be done."""
    project = Project.find()
    job = _get(job_id, project.root)
    if as_json:
        print_json(_described(job, project))
        return
    lines = [(name, text) for name, text in _lines(job, project) if text]
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        typer.echo(f"{name:<{width}}  {printable(text)}")
    for line in _what_now(job, project):
        typer.echo(line)


def cancel(job_id: JobId, as_json: AsJson = False) -> None:
    """Cancel a job that is queued, and its series with it; ask one that runs to stop."""
    project = Project.find()
    with closing(_existing(job_id, project.root)) as jobs:
        job = jobs.cancel(job_id)
    _tell(job, project, _cancelled(job), as_json=as_json)


def retry(job_id: JobId, as_json: AsJson = False) -> None:
    """Queue a job again that failed or was cancelled: it goes on with its run where that can be."""
    project = Project.find()
    with closing(_existing(job_id, project.root)) as jobs:
        job = jobs.retry(job_id)
    _tell(job, project, _queued(job), as_json=as_json)


def logs(
    job_id: JobId,
    follow_it: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what it logs, until it has ended.")
    ] = False,
) -> None:
    """Show what a job has logged: lines of JSON."""
    root = Project.find().root
    file = log_file(root, job_id)
    with closing(_existing(job_id, root)) as jobs:
        jobs.get(job_id)
        if not follow_it and not rotated(file):
            typer.echo(f"Job {job_id} has logged nothing yet.", err=True)
        parts = follow(file, ended=lambda: _has_ended(jobs, job_id)) if follow_it else read(file)
        try:
            for part in parts:
                typer.echo(part, nl=False)
        except KeyboardInterrupt:
            sys.exit(130)


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="Ask a worker for crawls, see how they stand, cancel them and try them again.",
    )
    group.command()(add)
    group.command("list")(list_jobs)
    group.command("show")(show_job)
    group.command()(cancel)
    group.command()(retry)
    group.command()(logs)
    app.add_typer(group, name="jobs")


# ── what was typed ───────────────────────────────────────────────────────────────────────────────────────


def _spec(told: dict[str, Any]) -> JobSpec:
    """Raises ArgumentError that names the first option that is wrong."""
    try:
        return JobSpec.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = first["msg"].removeprefix("Value error, ")
        option = f"--{str(first['loc'][0]).replace('_', '-')}: " if first["loc"] else ""
        raise ArgumentError(f"{option}{what}.") from None


def _state(text: str) -> JobState:
    if text not in STATES:
        close = get_close_matches(text, STATES, 1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise ArgumentError(f"There is no state {text!r}.{guess} There are: {', '.join(STATES)}.")
    return text


def _from_root(text: str, root: Path) -> str:
    """A file that was typed in a folder of the project, as the project's root sees it."""
    told = parse_feed(text)
    if told.path is None or not told.path.is_relative_to(root):
        return text
    file = told.path.relative_to(root).as_posix()
    return f"{told.kind}:{file}" if told.kind else file


def _open(root: Path) -> SqliteJobs:
    return SqliteJobs(jobs_file(root))


def _existing(job_id: str, root: Path) -> SqliteJobs:
    """Raises NoSuchJob where no job was ever added: looking leaves no trace."""
    if not jobs_file(root).exists():
        raise no_such(job_id)
    return _open(root)


def _get(job_id: str, root: Path) -> Job:
    with closing(_existing(job_id, root)) as jobs:
        return jobs.get(job_id)


def _has_ended(jobs: SqliteJobs, job_id: str) -> bool:
    return jobs.get(job_id).state in ENDED


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────


def _tell(job: Job, project: Project, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_described(job, project))
    else:
        typer.echo(sentence)


def _described(job: Job, project: Project) -> dict[str, Any]:
    """As the worker's HTTP shows it: times in Unix seconds, secrets hidden."""
    return JobView.of(job, hide_secrets(job.spec, project)).model_dump(mode="json")


def _nothing() -> str:
    return "There is no job in this project yet: `scrape jobs add SPIDER -o FILE` asks for one."


def _queued(job: Job) -> str:
    later = f", due {when(job.due)}" if job.due > time.time() else ""
    again = f" of series {job.series}" if job.series else ""
    run = f" It goes on with run {job.run} where that can be." if job.run else ""
    return f"Job {job.id}{again} is queued{later}: `scrape worker` runs it.{run}"


def _cancelled(job: Job) -> str:
    if job.cancelling:
        after = (
            " The next one of its series is queued then: cancel that to end the series." if job.series else ""
        )
        return f"Job {job.id} is asked to stop, once what is in flight is finished.{after}"
    return f"Job {job.id} is cancelled{', and its series with it' if job.series else ''}."


def _row(job: Job) -> Row:
    took = (
        "" if job.started is None or job.ended is None else time_span(job.ended - job.started, tenths=False)
    )
    due = when(job.due, seconds=False)
    cells = (job.id, _standing(job), job.spec.spider, due, took, job.run, printable(job.reason))
    return STYLES.get(job.state, ""), cells


def _standing(job: Job) -> str:
    return "stopping" if job.cancelling else job.state


def _lines(job: Job, project: Project) -> Iterator[tuple[str, str]]:
    spec = hide_secrets(job.spec, project)
    yield "job", job.id
    yield "state", f"{_standing(job)}{f': {job.reason}' if job.reason else ''}"
    yield "spider", spec.spider
    yield "arguments", " ".join(f"{name}={value}" for name, value in spec.arguments.items())
    yield "settings", " ".join(spec.settings)
    yield "files", " ".join(_files(job, project))
    yield "priority", str(spec.priority)
    yield "schedule", _schedule(spec)
    yield "series", job.series
    yield "limits", ", ".join(_limits(spec))
    yield "created", when(job.created)
    yield "due", when(job.due)
    yield "started", when(job.started)
    yield "ended", when(job.ended)
    yield "run", job.run
    yield "worker", job.worker
    yield "deaths", f"{job.deaths} of its process; {spec.resumes} are forgiven" if job.deaths else ""


def _files(job: Job, project: Project) -> list[str]:
    """As they are named on the disk, once the run has begun."""
    with suppress(RunError):  # it has none yet, or it was pruned
        return Runs(project.root).get(job.run).info.feeds if job.run else job.spec.feeds
    return job.spec.feeds


def _schedule(spec: JobSpec) -> str:
    if spec.every:
        return f"every {time_span(spec.every)}"
    if spec.cron:
        return f"{spec.cron} ({spec.timezone})"
    return f"at {spec.at} ({spec.timezone})" if spec.at else ""


def _limits(spec: JobSpec) -> Iterator[str]:
    for number, words in ((spec.max_pages, "pages"), (spec.max_items, "items")):
        if number:
            yield f"{count(number)} {words}"
    if spec.max_time:
        yield time_span(spec.max_time)
    if spec.max_memory:
        yield f"{size(spec.max_memory)} of memory"


def _what_now(job: Job, project: Project) -> Iterator[str]:
    if rotated(log_file(project.root, job.id)):
        yield f"What it logged:  scrape jobs logs {job.id}"
    if job.run:
        yield f"Its figures:     scrape stats {job.run}"
    if job.state in ("failed", "cancelled"):
        yield f"To try again:    scrape jobs retry {job.id}"
    if job.state in ("queued", "running") and not job.cancelling:
        yield f"To cancel it:    scrape jobs cancel {job.id}"
