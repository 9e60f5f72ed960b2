"""Hiding: what a job was told, without what is secret in it."""

from __future__ import annotations

from collections.abc import Mapping

from scraper.errors import ProjectError, SettingsError
from scraper.job_spec import JobSpec
from scraper.layers import override_layer
from scraper.project import Project
from scraper.settings import HIDDEN
from scraper.spider import secret_arguments
from scraper.urls import redact

MASK = "***"
SECRET_SETTINGS = HIDDEN | {"worker"}


def hide_secrets(spec: JobSpec, project: Project) -> JobSpec:
    """Where the spider can't be asked which of its arguments are secret, all are."""
    return spec.model_copy(
        update={
            "arguments": _arguments(spec.spider, spec.arguments, project) if spec.arguments else {},
            "settings": [_setting(pair) for pair in spec.settings],
        }
    )


def _arguments(spider: str, given: Mapping[str, str], project: Project) -> dict[str, str]:
    try:
        secret = secret_arguments(project.spider(spider))
    except ProjectError:
        secret = frozenset(given)
    return {name: MASK if name in secret else redact(value) for name, value in given.items()}


def _setting(pair: str) -> str:
    """TOML has several ways to write one key, so it is read as a setting is."""
    try:
        secret = override_layer([pair]).values.keys() & SECRET_SETTINGS
    except SettingsError:
        return MASK
    return f"{pair.partition('=')[0]}={MASK}" if secret else redact(pair)
