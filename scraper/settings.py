"""Settings: every limit and choice, its unit, its default, and where its value came from.

Defaults < settings.toml < `Spider.custom_settings` < environment `SCRAPER_…` < `-s key=value`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from scraper.credentials import credentials
from scraper.errors import SettingsError
from scraper.proxy_addresses import address, shown
from scraper.proxy_patterns import Pattern
from scraper.urls import InvalidURL, normalize, origin

PREFIX = "SCRAPER_"
ENVIRONMENT = "environment"
HIDDEN = frozenset(
    {"auth", "headers", "proxies", "sessions", "token"}
)  # settings that may hold a password: no error shows it
NO_PROXY = "none"
THE_POOL = "pool"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
DURATION = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)(ms|s|m|h|d|)")

SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?([kmg]i?b|)")
MULTIPLES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def duration(text: str) -> float:
    """Seconds in `10m`, `30s`, `1h30m`, `2d`, `500ms` or `90`. Raises ValueError in words."""
    rest, seconds = text.strip().lower(), 0.0
    while match := DURATION.match(rest):
        seconds += float(match[1]) * UNITS[match[2]]
        rest = rest[match.end() :]
        if not rest:
            return seconds
        if not match[2]:
            break  # a number without a unit ends it
    raise ValueError(f"{text!r} is no duration: write it as 90, 30s, 10m or 1h30m")


def _seconds(value: Any) -> Any:
    return duration(value) if isinstance(value, str) else value


def size(text: str) -> int:
    """Bytes in `512MB`, `2GiB` or `1000000`. Raises ValueError in words."""
    match = SIZE.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text!r} is no size: write it as 1000000, 512MB or 2GiB")
    return int(float(match[1]) * MULTIPLES[match[2]])


def _bytes(value: Any) -> Any:
    return size(value) if isinstance(value, str) else value


def _named(value: Any) -> Any:
    return {f"proxy{n}": url for n, url in enumerate(value, 1)} if isinstance(value, list) else value


def _proxy_name(name: str) -> str:
    if not name or name in (NO_PROXY, THE_POOL) or "://" in name or "@" in name:
        raise ValueError(f"a proxy can't be named {shown(name)!r}, which means something else")
    return name


def _proxy_url(url: SecretStr) -> SecretStr:
    address(url.get_secret_value())
    return url


def _pattern(key: str) -> str:
    if "://" not in key:
        raise PydanticCustomError("extra_forbidden", "There is no such setting")
    Pattern.parse(key)
    return key


def _function_path(path: str) -> str:
    if path and not re.fullmatch(r"[\w.]+:\w+", path):
        raise ValueError("write it as module:function, such as my_project.proxies:choose")
    return path


def _without_credentials(told: SecretStr) -> str:
    return shown(told.get_secret_value())


def _site(key: str) -> str:
    try:
        url = normalize(key)
    except InvalidURL:
        url = ""
    if not url.startswith(("http://", "https://")) or url != origin(url) + "/":
        raise ValueError('write it as scheme and host, such as "https://shop.example"')
    return origin(url)


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    return pattern


def _storable_proxy(proxy: str) -> str:
    if "@" in proxy:
        raise ValueError(
            "a password has its place in [proxies] pool: name the proxy there, and that name here"
        )
    return proxy


def _frontier(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(ge=0)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
Secret = Annotated[SecretStr, PlainSerializer(_without_credentials, when_used="json")]
ProxyUrl = Annotated[Secret, AfterValidator(_proxy_url)]
ProxyName = Annotated[str, AfterValidator(_proxy_name)]
ProxyPattern = Annotated[str, AfterValidator(_pattern)]
Site = Annotated[str, AfterValidator(_site)]
Pool = Annotated[dict[ProxyName, ProxyUrl], BeforeValidator(_named)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Timeouts(Part):
    """Seconds. `read` is the longest silence, headers included; `pool` the wait for a slot on the wire.

    `write` holds where the client's library has such a limit; aiohttp has none, there `total` bounds it.
    """

    connect: Seconds = 5
    read: Seconds = 20
    write: Seconds = 10
    pool: Seconds = 10
    total: Seconds = 60


class RetrySettings(Part):
    """`attempts` counts the first one; waits grow as `wait` × 2ⁿ plus up to `jitter`, capped at `max_wait` seconds."""

    attempts: int = Field(3, ge=1)
    wait: Seconds = 1
    max_wait: Seconds = 60
    jitter: Seconds = 1
    statuses: frozenset[int] = frozenset({429, 500, 502, 503, 504, 522, 524})


class ProxySettings(Part):
    """`pool`: name → URL (or a list of URLs). A failing proxy rests `rest` seconds before it is tried again.

    Every other key is a pattern of URLs, its value a name of the pool, a URL, `none` or `pool`; the most specific wins:
    `"all://*.shop.example" = "none"`, `"https://" = "de"`. `choose`: `module:function` of your own, which gets each
    request and says one of these, or None. `environment`: whether HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY count.
    """

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[ProxyPattern, Secret]

    pool: Pool = {}
    rotate: Literal["round_robin", "random", "sticky"] = "round_robin"
    rest: Seconds = 60
    choose: Annotated[str, AfterValidator(_function_path)] = ""
    environment: bool = False

    @property
    def rules(self) -> dict[str, str]:
        """pattern → target"""
        return {pattern: told.get_secret_value() for pattern, told in self.__pydantic_extra__.items()}

    @model_validator(mode="after")
    def _rules_name_proxies(self) -> Self:
        for pattern, target in self.rules.items():
            if "://" in target:
                try:
                    address(target)
                except ValueError as error:
                    raise ValueError(f'"{pattern}": {error}') from None
            elif target not in (*self.pool, NO_PROXY) and not (target == THE_POOL and self.pool):
                names = ", ".join(self.pool) or "empty"
                raise ValueError(f'"{pattern}" takes a name of the pool ({names}), a URL, "none" or "pool"')
        return self


class AuthSettings(Part):
    """One of `basic = ["user", "password"]`, `digest = ["user", "password"]` and `bearer = "token"`."""

    basic: tuple[str, SecretStr] | None = None
    digest: tuple[str, SecretStr] | None = None
    bearer: SecretStr | None = None

    def revealed(self) -> dict[str, Any]:
        """As `Request(auth=…)` takes it."""
        given: dict[str, Any] = {"basic": self.basic, "digest": self.digest}
        said: dict[str, Any] = {
            name: (pair[0], pair[1].get_secret_value()) for name, pair in given.items() if pair
        }
        return said | ({"bearer": self.bearer.get_secret_value()} if self.bearer else {})

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.revealed()) != 1:
            raise ValueError("give one of basic, digest and bearer")
        credentials(self.revealed())
        return self


class IdentitySettings(Part):
    """What the requests of one session have where they say nothing themselves."""

    headers: dict[str, str] = {}
    proxy: Annotated[str, AfterValidator(_storable_proxy)] | None = None
    client: str | None = None
    impersonate: str | None = None


class SessionSettings(Part):
    """An answer with one of `blocked_statuses`, or with the regular expression `blocked_body` in its text, says that
    the site has blocked the session: it goes on as somebody else. Every other key is the name of a session.
    """

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, IdentitySettings]

    blocked_statuses: frozenset[int] = frozenset()
    blocked_body: Annotated[str, AfterValidator(_regex)] = ""

    @property
    def named(self) -> dict[str, IdentitySettings]:
        return dict(self.__pydantic_extra__)


class TlsSettings(Part):
    """Certificates are verified against the system's authorities and `ca_file` (PEM).

    `certificate` and `key` (PEM): the client's own, where a site asks for one. `minimum`: TLS version. A single host
    is left unverified by `[hosts."its.name"] verify = false`.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    minimum: Literal["1.2", "1.3"] = "1.2"


class FeedSettings(Part):
    """`files`: what `-o` takes, for every crawl. `sync`: seconds between fdatasyncs.

    `keep_items = false` forgets the run's own copy of an item once every feed has it.
    """

    files: list[str] = []
    append: bool = False
    sync: Seconds = 1
    keep_items: bool = True


class FrontierSettings(Part):
    """`window`: requests kept in memory as a read cache. `commit_pages`: at most so many pages in one commit.

    `page_in_memory`: outputs of one page beyond this many are staged on disk.
    """

    kind: Literal["sqlite", "memory"] = "sqlite"
    window: int = Field(60_000, ge=1)
    commit_pages: int = Field(200, ge=1)
    page_in_memory: int = Field(10_000, ge=1)
    seed_low_water: int = Field(1_000, ge=1)


class HostSettings(Part):
    """What one host is granted, where it differs from `per_host` and `delay`; `verify = false`: any certificate."""

    per_host: int | None = Field(None, ge=1)
    delay: Seconds | None = None
    verify: bool = True


class WorkerSettings(Part):
    """Of `scrape worker`. `jobs`: crawls at once. `listen`: host:port; `token`: what HTTP asks for, "" = none.

    `keep_runs`: finished runs a spider; 0 = all. `log_bytes`: of a job's log file; `logs_kept`: older ones beside it.
    `lease`: seconds after which the jobs of a worker that says nothing are another's.
    """

    jobs: int = Field(2, ge=1, le=1_000)
    listen: str = "127.0.0.1:8480"
    token: SecretStr = SecretStr("")
    keep_runs: int = Field(20, ge=0)
    log_bytes: Annotated[Bytes, Field(ge=1_000)] = 10_000_000
    logs_kept: int = Field(3, ge=0, le=100)
    lease: Annotated[Seconds, Field(gt=0)] = 30


Use = str | dict[str, Any]

BUILT_IN_MIDDLEWARES: list[Use] = [
    "redirect", "retry", "sessions", "robots", "auth", "cookies", "headers", "proxies",
]  # fmt: skip  # one glance


class Settings(BaseSettings):
    """One frozen value; a key that is not here is an error.

    `concurrency`: requests on the wire at once; `per_host`: of them to one host:port; `delay`: seconds
    between two requests to one host. `seats`: pages in memory (0 = 2 × concurrency). `max_wait`: seconds
    of idle waiting after which a run ends as `waiting`. `grace`: seconds that Ctrl-C gives to what is in
    flight. `max_body`: bytes. `max_failed`: the share of failed pages that makes the exit code 1. `auth`: origin →
    credentials, which no run stores.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    client: Use = "aiohttp"
    concurrency: int = Field(100, ge=1)
    per_host: int = Field(8, ge=1)
    delay: Seconds = 0
    seats: int = Field(0, ge=0)
    user_agent: str = "scrapeloom/0.1"
    headers: dict[str, str] = {"Accept": "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"}
    obey_robots: bool = True
    max_failed: float = Field(0.05, ge=0, le=1)
    max_depth: int = Field(0, ge=0, description="0 = no limit")
    max_url_length: int = Field(8_000, ge=1)
    max_redirects: int = Field(10, ge=0)
    max_body: int = Field(64 * 1024 * 1024, ge=1)
    max_wait: Seconds = 600
    grace: Seconds = 30
    loop: Literal["auto", "uvloop", "asyncio"] = "auto"
    log: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    timeouts: Timeouts = Timeouts()
    retry: RetrySettings = RetrySettings()
    proxies: ProxySettings = ProxySettings()
    auth: dict[Site, AuthSettings] = {}
    sessions: SessionSettings = SessionSettings()
    tls: TlsSettings = TlsSettings()
    feeds: FeedSettings = FeedSettings()
    frontier: Annotated[FrontierSettings, BeforeValidator(_frontier)] = FrontierSettings()
    hosts: dict[str, HostSettings] = {}
    worker: WorkerSettings = WorkerSettings()
    middlewares: list[Use] = BUILT_IN_MIDDLEWARES
    pipelines: list[Use] = []

    @property
    def seat_count(self) -> int:
        return self.seats or 2 * self.concurrency

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # the layers are merged by `load`, which keeps each value's origin


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
    return {key: _frontier(value) if key == "frontier" else value for key, value in layer.values.items()}


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
