"""`scrape why`: where a URL was found, and why it was fetched or was not."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from scraper.cli.as_json import AsJson, print_json
from scraper.cli.figures import count, printable, when
from scraper.cli.found import RunName, find_on_disk, project_runs
from scraper.errors import UsageError
from scraper.frontiers.archive import Archive, reading
from scraper.frontiers.lineage import Ancestor, Attempt, Lineage, Trace
from scraper.judging import Judge, Judgement
from scraper.layers import Layer, load
from scraper.ordering import spider_of
from scraper.project import Project
from scraper.runs import Run
from scraper.spider import Spider, with_arguments
from scraper.urls import InvalidURL, lane, normalize, redact

SHOWN = 3, 6  # of a long way from start(): so many at its beginning, so many at its end
GUESSES = ("https://", "http://")  # where no scheme was typed
HOST_AND_PORT = re.compile(r"\s*[\w.-]+:\d+(?:[/?#]|\s*$)")  # which the URL Standard takes for a scheme


@dataclass(frozen=True, slots=True)
class Answer:
    """`url`: as the spider's requests have it, without its password. `against`: where the run has no request for it."""

    run: Run
    url: str
    traces: Sequence[Trace]
    against: Judgement | None
    rest: float | None  # Unix seconds until which its host is left alone
    unknown: str  # why the spider could not be asked


def why(
    run: RunName,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="As the spider met it; a scheme may be left out.")
    ],
    as_json: AsJson = False,
) -> None:
    """Say where a URL was found, and why it was or was not fetched: exit code 1 where the run never queued it."""
    found = find_on_disk(run, project_runs())
    answer = _answer(found, url)
    if as_json:
        print_json(_described(answer))
    else:
        _print(answer)
    sys.exit(0 if answer.traces else 1)


def add_to(app: typer.Typer) -> None:
    app.command()(why)


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────


def _answer(run: Run, typed: str) -> Answer:
    with reading(run.database) as base:
        url, traces = _found(Lineage(base), list(_meant(typed)), typed)
    archive = Archive(run.database)
    rest = archive.memory("hosts").get(lane(url), {}).get("until") if traces else None
    asked = not traces or any(trace.fate == "refused" for trace in traces)
    spider, unknown = _spider(run) if asked else (None, "")
    against = _judge(run, archive, spider).against(url) if asked else None
    shown = [_without_password(trace) for trace in traces]
    return Answer(run, redact(url), shown, against, rest, unknown)


def _without_password(trace: Trace) -> Trace:
    way = [replace(page, url=redact(page.url)) for page in trace.found_on]
    return replace(trace, url=redact(trace.url), found_on=way)


def _meant(typed: str) -> Iterator[str]:
    """What a page would have to yield so that this is its request."""
    guesses = () if "://" in typed else GUESSES
    for scheme in guesses if HOST_AND_PORT.match(typed) else ("", *guesses):
        with suppress(InvalidURL):
            yield normalize(scheme + typed.strip())


def _found(lineage: Lineage, meant: Sequence[str], typed: str) -> tuple[str, Sequence[Trace]]:
    """The first that the run has requests for; else one on a site that it knows."""
    for url in meant:
        if traces := lineage.traces(url):
            return url, traces
    return next((url for url in meant if lineage.has_site(url)), meant[0] if meant else typed), []


def _spider(run: Run) -> tuple[Spider | None, str]:
    """The run's own; None where it can't be loaded any more, and why."""
    try:
        return with_arguments(spider_of(Project.with_runs(), run), run.info.arguments), ""
    except UsageError as error:
        return None, str(error)


def _judge(run: Run, archive: Archive, spider: Spider | None) -> Judge:
    settings = load([Layer(f"run {run.info.id}", run.info.settings)]).settings
    return Judge(settings, archive.counters(), archive.memory("robots"), spider)


# ── answering ────────────────────────────────────────────────────────────────────────────────────────────


def _print(answer: Answer) -> None:
    console = Console(highlight=False)
    for trace in answer.traces:
        _print_trace(trace, answer, console)
    if not answer.traces:
        console.print(Text(printable(answer.url), "bold"), soft_wrap=True)
        for sentence in never_queued(answer):
            console.print(Text(printable(sentence)), soft_wrap=True)


def _print_trace(trace: Trace, answer: Answer, console: Console) -> None:
    console.print(Text(printable(f"{trace.method or ''} {trace.url}".strip()), "bold"), soft_wrap=True)
    for sentence in became(trace, answer):
        console.print(Text(printable(sentence)), soft_wrap=True)
    console.print(Text("Found on", "dim"))
    for line in _way(trace.found_on):
        console.print(Text(f"  {printable(line)}"), soft_wrap=True)
    if trace.attempts:
        console.print(Text("Attempts", "dim"))
    for attempt in trace.attempts:
        console.print(Text(f"  {printable(_told(attempt))}"), soft_wrap=True)


def became(trace: Trace, answer: Answer) -> Iterator[str]:
    """What became of a request, in sentences."""
    run = answer.run.info.id
    yield _fate(trace, answer, run)
    if trace.url != answer.url:
        yield f"It is the same page as {answer.url}: every other request for it is dropped as its duplicate."
    if not trace.plain:
        yield "It is no plain GET (another method, a body, or dont_filter), so it has an identity of its own."
    if trace.fate in ("waiting", "delayed", "out", "staged") and not answer.run.alive:
        yield f"Nobody works on the run: scrape resume {run}"


def _fate(trace: Trace, answer: Answer, run: str) -> str:
    match trace.fate:
        case "done":
            items = f"{count(trace.items)} item{'' if trace.items == 1 else 's'}"
            return f"Fetched: status {trace.status}, {items}."
        case "failed":
            again = f"scrape retry {run} --reason {shlex.quote(trace.why)}"
            return f"Failed for good: {trace.why}. To fetch it again: {again}"
        case "refused":
            return f"Refused, not fetched: {_refusal(trace.why, answer.against)}"
        case "delayed":
            after = f", after {trace.why}" if trace.why else ""
            return f"Waits until {when(trace.due)}{after}."
        case "out":
            return _out(trace, answer)
        case "staged":
            return "Waits to be queued: its page yielded more than one commit takes."
        case "lost":
            return f"Known as queued, but in no table: scrape runs check {run}"
        case _:
            resting = answer.rest is not None and answer.rest > time.time()
            rest = f", and its host rests until {when(answer.rest)}" if resting else ""
            return f"Waits: {count(trace.before)} of its host ({lane(trace.url)}) come before it{rest}."


def _refusal(why: str, found: Judgement | None) -> str:
    if found is not None and found.reason == why:
        return _judged(found)
    return f"{why}, where a redirect led." if why in ("scheme", "length", "offsite", "depth") else f"{why}."


def _out(trace: Trace, answer: Answer) -> str:
    if answer.run.alive:
        return "On its way: it has been handed out to be fetched."
    ended = "the process" if trace.lives == 1 else f"each of {count(trace.lives)} processes"
    return f"Was on its way when {ended} ended; a resume fetches it first, alone."


def never_queued(answer: Answer) -> Iterator[str]:
    yield f"Run {answer.run.info.id} has never queued it."
    found = answer.against
    if found is None:
        yield (
            "Nothing stands against it, so no page that was fetched has yielded it;"
            " what a redirect or self.fetch() led to is not kept."
        )
    elif found.certain:
        yield f"Had a page yielded it, it would not be fetched: {_judged(found)}"
    else:
        yield f"No page has yielded it, or it was dropped: {_judged(found)}"
    if answer.unknown:
        yield f"Whether it is off the spider's site is not known: {answer.unknown}"


def _judged(found: Judgement) -> str:
    others = f" {count(found.others)} of the run's requests went the same way." if found.others else ""
    return f"{found.reason}, {found.says.rstrip('.')}.{others}"


def _way(found_on: Sequence[Ancestor]) -> Iterator[str]:
    """From start() down to the page that yielded it; of a long way its two ends."""
    yield "start()"
    first, last = SHOWN
    for n, page in enumerate(found_on):
        if n == first and len(found_on) > first + last:
            yield f"… {count(len(found_on) - first - last)} more …"
        if n < first or n >= len(found_on) - last or len(found_on) <= first + last:
            yield page.url or f"a page that is not known any more (number {count(page.seq)})"


def _told(attempt: Attempt) -> str:
    status = "" if attempt.status is None else f"status {attempt.status}"
    why = attempt.why if attempt.why != status else ""
    said = "  ".join(part for part in (status, why) if part) or "no answer"
    return (
        f"{attempt.number}  {when(attempt.at)}  {said}{f'  through {attempt.proxy}' if attempt.proxy else ''}"
    )


def _described(answer: Answer) -> dict[str, Any]:
    return {
        "run": answer.run.info.id,
        "url": answer.url,
        "requests": [
            {
                **asdict(trace),
                "found_on": [page.url for page in trace.found_on],
                "says": list(became(trace, answer)),
            }
            for trace in answer.traces
        ],
        "against": asdict(answer.against) if answer.against else None,
        "says": [] if answer.traces else list(never_queued(answer)),
    }
