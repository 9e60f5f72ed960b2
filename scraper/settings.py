"""Settings: every limit and choice, its unit, its default. Where a value comes from: `layers.py`.

Defaults < settings.toml < `Spider.custom_settings` < environment `SCRAPER_…` < `-s key=value`.
"""

from __future__ import annotations

import re
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
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from scraper.credentials import credentials
from scraper.proxy_addresses import address, shown
from scraper.proxy_patterns import Pattern
from scraper.units import Bytes, Seconds
from scraper.urls import InvalidURL, normalize, origin

PREFIX = "SCRAPER_"
HIDDEN = frozenset(
    {"auth", "headers", "proxies", "sessions", "token"}
)  # settings that may hold a password: no error shows it
NO_PROXY = "none"
THE_POOL = "pool"


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


def frontier_table(value: Any) -> Any:
    """`"memory"` as the table that it is short for."""
    return {"kind": value} if isinstance(value, str) else value


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
    lease: Annotated[Seconds, Field(gt=0, le=600)] = 30


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
    frontier: Annotated[FrontierSettings, BeforeValidator(frontier_table)] = FrontierSettings()
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
