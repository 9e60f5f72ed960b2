"""Ordering: from words, whoever said them, to the order of a crawl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scraper.errors import RunError
from scraper.layers import Layer, override_layer
from scraper.order import Order
from scraper.project import Project, spider_in_file
from scraper.resuming import arguments_of, check_changes, check_feeds, check_spider, check_version
from scraper.runs import Run
from scraper.sinks.choose import parse_feed
from scraper.spider import Spider, with_arguments


def new_order(
    project: Project,
    spider: type[Spider],
    *,
    arguments: Mapping[str, str],
    overrides: Sequence[str] = (),
    feeds: Sequence[str] = (),
    append: bool = False,
    run_id: str | None = None,
    **limits: Any,
) -> Order:
    """A new run. `arguments`, `overrides` (key=value) and `feeds` as -a, -s and -o take them. Raises UsageError."""
    loaded = project.settings(spider, overrides)
    return Order(
        spider=with_arguments(spider, arguments),
        settings=loaded.settings,
        root=project.root,
        arguments=arguments,
        feeds=[*loaded.settings.feeds.files, *feeds],
        append=append or loaded.settings.feeds.append,
        run_id=run_id,
        **limits,
    )


def resumed_order(
    project: Project,
    run: Run,
    *,
    arguments: Mapping[str, str],
    overrides: Sequence[str] = (),
    feeds: Sequence[str] = (),
    append: bool = False,
    **limits: Any,
) -> Order:
    """With the run's own arguments, files and settings; what was typed again may not say otherwise. Raises UsageError.

    Whether the run still fits is for `check_fits` to say, once somebody can read its warnings.
    """
    info = run.info
    if not info.resumable:
        raise RunError(f"Run {info.id} is {info.state}: there is nothing to resume.")
    check_changes(override_layer(overrides).values)
    told = arguments_of(run, arguments)
    check_feeds(run, [str(parse_feed(text)) for text in feeds], append=append)
    spider = spider_of(project, run)
    loaded = project.settings(spider, overrides, stored=Layer(f"run {info.id}", info.settings))
    return Order(
        spider=with_arguments(spider, told),
        settings=loaded.settings,
        root=project.root,
        arguments=told,
        feeds=info.feeds,
        append=info.append,
        file=info.file,
        resume=run,
        **limits,
    )


def spider_of(project: Project, run: Run) -> type[Spider]:
    """The class of the run's spider as it is now. Raises ProjectError."""
    project.on_path()
    return spider_in_file(Path(run.info.file)) if run.info.file else project.spider(run.info.spider)


def check_fits(order: Order) -> None:
    """Whether this version and this spider can go on with the run. Raises RunError."""
    if order.resume is not None:
        check_version(order.resume)
        check_spider(order.resume, type(order.spider))
