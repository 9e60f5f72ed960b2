"""Layers: where settings come from, one over the other, and what is wrong with them in words."""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scraper.errors import SettingsError
from scraper.proxy_addresses import shown
from scraper.settings import HIDDEN, PREFIX, Settings, frontier_table

ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values, with the name that errors and `scrape settings` give it."""

    name: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings
    origins: Mapping[str, str]  # "timeouts.read" → "settings.toml"


def load(layers: Sequence[Layer]) -> Loaded:
    """The settings in force, later layers over earlier ones. Raises SettingsError naming layer and key."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        _lay(merged, _spelled_out(layer), layer.name, origins)
    wrong = [_no_setting(key, origins) for key in merged if key not in Settings.model_fields]
    try:
        settings = Settings(**{key: value for key, value in merged.items() if key in Settings.model_fields})
    except ValidationError as error:
        wrong += _in_words(error, origins)
    if wrong:
        raise SettingsError("\n".join(wrong))
    return Loaded(settings, origins)


def _spelled_out(layer: Layer) -> Mapping[str, Any]:
    """`frontier = "memory"` as the table that it is short for."""
    return {key: frontier_table(value) if key == "frontier" else value for key, value in layer.values.items()}


def toml_layer(path: Path) -> Layer:
    try:
        return Layer(path.name, tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name} is not valid TOML: {error}.") from None


def environment_layer() -> Layer:
    """`SCRAPER_CONCURRENCY=50`, `SCRAPER_TIMEOUTS__READ=30s` …, read as `-s` reads its values."""
    values: dict[str, Any] = {}
    for variable, text in sorted(os.environ.items()):
        if not variable.startswith(PREFIX):
            continue
        steps = variable.removeprefix(PREFIX).lower().split("__")
        if steps[0] not in Settings.model_fields:
            guess = _guess(steps[0], set(Settings.model_fields))
            raise SettingsError(f"Environment variable {variable} names no setting.{guess}")
        _lay(values, _toml_line(".".join(steps), text, variable), "", {})
    return Layer(ENVIRONMENT, values)


def override_layer(pairs: Sequence[str]) -> Layer:
    """`-s key=value`, each a line of TOML where the quotes around a string may be left out."""
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise SettingsError(f"-s takes key=value, such as -s concurrency=50; got {pair!r}.")
        _lay(values, _toml_line(key, text), "", {})
    return Layer("-s", values)


def flat(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Each leaf as ("timeouts.read", 20.0)."""
    return _leaves(settings.model_dump(mode="json"), "")


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _toml_line(key: str, text: str, name: str = "-s") -> dict[str, Any]:
    """`key = text` as a line of TOML; text that is no value of TOML is a string."""
    if "\n" not in key + text and not key.lstrip().startswith("["):
        for value in (text, json.dumps(text)):
            with contextlib.suppress(tomllib.TOMLDecodeError, RecursionError):
                return tomllib.loads(f"{key} = {value}")
    raise SettingsError(f"{name} takes key=value, such as -s timeouts.read=30; got {key}={text}.")


def _lay(
    under: dict[str, Any], over: Mapping[str, Any], name: str, origins: dict[str, str], prefix: str = ""
) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(under.get(key, {}), dict):
            _lay(under.setdefault(key, {}), value, name, origins, f"{prefix}{key}.")
        else:
            under[key] = value
            origins[prefix + key] = name


def _in_words(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    lines = []
    for part in error.errors(include_url=False):
        path = [str(step) for step in part["loc"]]
        key = shown(".".join(path))
        if part["type"] == "extra_forbidden":
            lines.append(_no_setting(key, origins))
            continue
        what = part["msg"].removeprefix("Value error, ")
        value = "…" if HIDDEN & {path[0], path[-1]} else repr(part["input"])
        lines.append(f"{_origin(path, origins)}: {key} = {value}: {what[0].lower()}{what[1:]}.")
    return lines


def _no_setting(key: str, origins: Mapping[str, str]) -> str:
    return f"{_origin(key.split('.'), origins)}: there is no setting {key!r}.{_guess(key, _all_keys())}"


def _origin(path: Sequence[str], origins: Mapping[str, str]) -> str:
    """The layer that set the key, a table that it is in, or something in it."""
    above = [".".join(path[:n]) for n in range(len(path), 0, -1)]
    below = [key for key in origins if key.startswith(above[0] + ".")] if above else []
    found = next((key for key in (*above, *below) if key in origins), None)
    if found is None:
        return "settings"
    return PREFIX + found.upper().replace(".", "__") if origins[found] == ENVIRONMENT else origins[found]


def _all_keys() -> set[str]:
    return {key for key, _ in flat(Settings())} | set(Settings.model_fields)


def _guess(key: str, known: set[str]) -> str:
    close = get_close_matches(key.lower(), [name.lower() for name in known], 1)
    return f" Did you mean {close[0]!r}?" if close else ""
