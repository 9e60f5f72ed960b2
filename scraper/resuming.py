"""Resuming: whether a spider that has changed since can go on with its run."""

from __future__ import annotations

import hashlib
import inspect
import sys
from pathlib import Path

import structlog
from pydantic import BaseModel

from scraper.errors import RunError
from scraper.frontiers.archive import Archive
from scraper.item import REJECTED
from scraper.runs import Run
from scraper.spider import Spider

log = structlog.get_logger()


def source_of(spider: type[Spider]) -> str:
    """A hash of the file that the spider stands in; "" where it stands in none."""
    try:
        text = Path(inspect.getfile(spider)).read_bytes()
    except (OSError, TypeError):
        return ""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def check_spider(run: Run, spider: type[Spider]) -> None:
    """A changed spider may go on if what waits for it still fits. Raises RunError with names and counts."""
    if run.info.source == source_of(spider) or not run.database.is_file():
        return
    archive = Archive(run.database)
    problems = [*_missing_methods(archive, spider), *_other_fields(archive, spider)]
    if problems:
        raise RunError(
            f"Spider {spider.name!r} has changed since run {run.info.id} began, and does not fit it any more: "
            f"{'; '.join(problems)}. Put these back to go on, or start a new run."
        )
    log.warning("the spider has changed since the run began", spider=spider.name, run=run.info.id)


def _missing_methods(archive: Archive, spider: type[Spider]) -> list[str]:
    waiting = archive.waiting_methods()
    return [
        f"{count} queued request{'s' if count > 1 else ''} want{'' if count > 1 else 's'} the method {name}()"
        for name, count in sorted(waiting.items())
        if not callable(getattr(spider, name, None))
    ]


def _other_fields(archive: Archive, spider: type[Spider]) -> list[str]:
    """Items of a class that now has other fields than those in the run."""
    module = vars(sys.modules.get(spider.__module__, sys))
    problems = []
    for kind, keys in archive.item_fields().items():
        model = module.get(kind)
        if kind == REJECTED or not (inspect.isclass(model) and issubclass(model, BaseModel)):
            continue
        fields = {*model.model_fields, *model.model_computed_fields}
        if fields != set(keys):
            changed = ", ".join(sorted(fields ^ set(keys)))
            problems.append(f"item {kind} had other fields ({changed})")
    return problems
