"""Resuming: whether this version, this spider and these words fit a run that is to go on."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel

from scraper.errors import RunError
from scraper.frontiers.archive import Archive
from scraper.frontiers.schema import VERSION
from scraper.item import field_names
from scraper.runs import Run
from scraper.spider import Spider
from scraper.version import __version__

log = structlog.get_logger()


# ── the version ──────────────────────────────────────────────────────────────────────────────────────────


def check_version(run: Run) -> None:
    """Another version of the framework may go on if it writes the same format. Raises RunError with both."""
    info = run.info
    found = Archive(run.database).format if run.database.is_file() else 0
    if found not in (0, VERSION):
        raise RunError(
            f"Run {info.id} was written by version {info.version} (format {found}); this is version {__version__}"
            f" (format {VERSION}), which can't go on with it. Resume it with {info.version}, or start a new run."
        )
    if info.version != __version__:
        log.warning("the run was begun by another version", run=info.id, began=info.version, now=__version__)


# ── what was typed ───────────────────────────────────────────────────────────────────────────────────────


def arguments_of(run: Run, given: Mapping[str, str]) -> dict[str, Any]:
    """A resume keeps the run's arguments: they may be typed again, not changed; secret ones have to be, they are not
    stored. Raises RunError."""
    told, secret = run.info.arguments, run.info.secrets
    other = [
        f"-a {key}={value}" if key in told else f"-a {key}=…"  # it may be a secret
        for key, value in given.items()
        if key not in secret and str(told.get(key)) != value
    ]
    if other:
        began = " ".join([*(f"-a {key}={told[key]}" for key in told), *(f"-a {key}=…" for key in secret)])
        raise RunError(
            f"Run {run.info.id} was begun with {began or 'no arguments'}, and a resume keeps that: leave"
            f" {' '.join(other)} out, or start a new run."
        )
    missing = [f"-a {key}=…" for key in secret if key not in given]
    if missing:
        raise RunError(
            f"Run {run.info.id} was begun with a secret that it does not store. Give it again:"
            f" scrape resume {run.info.id} {' '.join(missing)}"
        )
    return {**told, **given}


def check_feeds(run: Run, given: Sequence[str], *, append: bool) -> None:
    """The same for its files. `given`: as the run keeps them. Raises RunError."""
    other = [f"-o {feed}" for feed in given if feed not in run.info.feeds]
    if append and not run.info.append:
        other.append("--append")
    if other:
        raise RunError(
            f"Run {run.info.id} goes on with its own files ({', '.join(run.info.feeds) or 'none'}): leave"
            f" {' '.join(other)} out. To write its items elsewhere too, use `scrape export {run.info.id} -o FILE`."
        )


RESUME_MAY_CHANGE = frozenset(
    [
        "concurrency",
        "per_host",
        "delay",
        "seats",
        "hosts",
        "timeouts",
        "retry",
        "auth",
        "proxies",
        "log",
        "log_level",
        "grace",
        "max_wait",
        "max_failed",
        "loop",
    ]
)


def check_changes(changes: Mapping[str, Any]) -> None:
    """A resume may go at another speed, through other proxies, with other timeouts and logging; nothing else."""
    for key in changes:
        if key not in RESUME_MAY_CHANGE:
            raise RunError(
                f"A resume keeps the run's {key!r}; -s may change: {', '.join(sorted(RESUME_MAY_CHANGE))}."
            )


# ── the spider ───────────────────────────────────────────────────────────────────────────────────────────


def source_of(spider: type[Spider]) -> str:
    """A hash of the files that the spider and its items stand in; "" where they stand in none."""
    classes = [kind for kind in spider.__mro__ if kind not in Spider.__mro__]
    files = {file for kind in (*classes, *_item_classes(spider).values()) if (file := _file(kind))}
    if not files:
        return ""
    found = hashlib.blake2b(digest_size=16)
    for file in sorted(files):
        found.update(file.read_bytes())
    return found.hexdigest()


def _file(kind: type) -> Path | None:
    with suppress(OSError, TypeError):  # made in a shell, or by a class
        file = Path(inspect.getfile(kind))
        return file if file.is_file() else None
    return None


def check_spider(run: Run, spider: type[Spider]) -> None:
    """A changed spider may go on if what waits for it still fits. Raises RunError with names and counts."""
    if run.info.source == source_of(spider) or not run.database.is_file():
        return
    archive = Archive(run.database)
    if archive.format == 0:
        return  # it ended before it kept anything
    problems = [*_missing_methods(archive, spider), *_other_fields(archive, spider)]
    if problems:
        raise RunError(
            f"Spider {spider.name!r} has changed since run {run.info.id} began, and does not fit it any more: "
            f"{'; '.join(problems)}. Put these back to go on, or start a new run."
        )
    log.warning("the spider has changed since the run began", spider=spider.name, run=run.info.id)


def _missing_methods(archive: Archive, spider: type[Spider]) -> Iterator[str]:
    for name, count in sorted(archive.waiting_methods().items()):
        if not callable(getattr(spider, name, None)):
            plural, singular = ("s", "") if count > 1 else ("", "s")
            yield f"{count:,} queued request{plural} want{singular} the method {name}()"


def _other_fields(archive: Archive, spider: type[Spider]) -> Iterator[str]:
    """Items of a class that now has other fields than those in the run."""
    classes = _item_classes(spider)
    for kind, kept in archive.kinds().items():
        fields = _fields(classes[kind]) if kind in classes else None
        if fields is not None and fields != set(kept.fields):
            changed = ", ".join(sorted(fields ^ set(kept.fields)))
            items = "item has" if kept.count == 1 else "items have"
            yield f"{kept.count:,} {kind} {items} other fields ({changed})"


def _item_classes(spider: type[Spider]) -> dict[str, Any]:
    """Those that the spider's module knows, by name."""
    module = sys.modules.get(spider.__module__)
    classes = [thing for thing in vars(module).values() if inspect.isclass(thing)] if module else []
    return {kind.__name__: kind for kind in classes if _makes_items(kind)}


def _makes_items(kind: type) -> bool:
    ours = kind is BaseModel or kind.__module__.startswith("scraper.")
    return not ours and (issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind))


def _fields(kind: Any) -> set[str] | None:
    """The keys that its items have; None where a serializer of its own decides them."""
    if issubclass(kind, BaseModel) and kind.__pydantic_decorators__.model_serializers:
        return None
    names = field_names(object.__new__(kind))  # it looks at the class alone
    return None if names is None else set(names)
