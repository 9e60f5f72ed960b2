"""The proxies middleware: each attempt goes the way that its request, your function, the rules or the pool say."""

from __future__ import annotations

import importlib
import time
from collections.abc import Awaitable, Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple, Self

from scraper.errors import (
    ConnectionRefused,
    ConnectTimeout,
    FetchError,
    InvalidRequest,
    ProxyFailed,
    ProxyRefused,
    SettingsError,
)
from scraper.middlewares.proxies.answers import refusal
from scraper.middlewares.proxies.environment import environment_rules
from scraper.middlewares.proxies.health import Health
from scraper.middlewares.proxies.rotation import Rotation
from scraper.middlewares.proxies.routes import Routes
from scraper.middlewares.proxies.secrets import conceal
from scraper.middlewares.proxies.sticking import Sticking
from scraper.protocols import Handler
from scraper.proxy_addresses import HTTP, shown
from scraper.request import Request
from scraper.response import Response
from scraper.settings import NO_PROXY, THE_POOL, Settings

Choose = Callable[[Request], str | None]

DOUBTFUL = (ProxyRefused, ConnectTimeout)  # the proxy's doing, or the site's
CERTAIN = (ProxyFailed, ConnectionRefused)  # the proxy's: only a proxy is connected to


class Way(NamedTuple):
    name: str  # what may be shown and stored
    url: str


class Proxies:
    """Where a request goes, the first that says something: its own `proxy`, `choose`, `rules`, `environment`, the pool.

    Each says the name of a proxy of the pool, a URL, `none` (directly) or `pool` (whose turn it is). `choose(request)`
    may say nothing: None. Of the rules the most specific pattern counts; `environment` are rules too.

    `rotate`: `round_robin`, `random`, or `sticky`, where a session keeps its proxy, and without one a host does.
    `rest`: seconds that a proxy of the pool rests after it failed; the next time it is tried once before it is trusted.
    Each attempt takes a fresh proxy. While none is ready, the one whose rest ends first is taken. With neither a proxy
    of its own nor a rule nor a pool a request goes directly.
    """

    memory_name = "proxies"

    def __init__(
        self,
        *,
        pool: Mapping[str, str],
        rules: Mapping[str, str] | None = None,
        rotate: Literal["round_robin", "random", "sticky"] = "round_robin",
        rest: float = 60.0,
        choose: Choose | None = None,
        environment: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._pool = dict(pool)
        self._names = {url: name for name, url in pool.items()}
        self._choose = choose
        self._routes = [found for found in (Routes(rules or {}), Routes(environment or {})) if found]
        self._health = Health(self._pool, rest=rest, now=now)
        self._rotation = Rotation(list(pool), self._health, at_random=rotate == "random")
        self._sticking = Sticking(self._rotation, self._health) if rotate == "sticky" else None
        self._idle = not (pool or choose or self._routes)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Raises SettingsError for a function that is not there, or an environment that can't be used."""
        told = settings.proxies
        return cls(
            pool={name: url.get_secret_value() for name, url in told.pool.items()},
            rules=told.rules,
            rotate=told.rotate,
            rest=told.rest,
            choose=_function(told.choose) if told.choose else None,
            environment=environment_rules() if told.environment else None,
        )

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        if self._idle and not request.proxy:
            return call_next(request)
        way = self._way(request)
        if way is None:
            return call_next(request.replace(proxy=None) if request.proxy else request)
        return self._through(way, request, call_next)

    def forget(self, session: str) -> None:
        """The session begins anew: where it kept its proxy, it gets another one."""
        if self._sticking is not None:
            self._sticking.forget(session)

    # ── the way ──────────────────────────────────────────────────────────────────────────────────────────

    def _way(self, request: Request) -> Way | None:
        """None: directly. Raises InvalidRequest for a proxy that is none."""
        target = request.proxy or self._chosen(request) or self._ruled(request.url)
        if target is None and self._pool:
            target = THE_POOL
        if target is None or target == NO_PROXY:
            return None
        if target == THE_POOL and self._pool:
            target = self._sticking.proxy_of(request) if self._sticking else self._rotation.next()
        target = self._names.get(target, target)
        if target in self._pool:
            return Way(target, self._pool[target])
        if "://" in target:
            return Way(shown(target), target)
        raise InvalidRequest(self._no_such(target), request=request)

    def _chosen(self, request: Request) -> str | None:
        target = self._choose(request) if self._choose else None
        if target is not None and not isinstance(target, str):
            said = (
                f"choose() returned {type(target).__name__}: a proxy's name, a URL, 'none', 'pool' or None."
            )
            raise InvalidRequest(said, request=request)
        return target

    def _ruled(self, url: str) -> str | None:
        for routes in self._routes:
            if target := routes.target(url):
                return target
        return None

    def _no_such(self, name: str) -> str:
        close = get_close_matches(name, self._pool, 1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        pool = ", ".join(self._pool) or "empty"
        return f"No proxy named {shown(name)!r}, and a URL has a scheme such as http://.{guess} The pool is: {pool}."

    # ── there and back ───────────────────────────────────────────────────────────────────────────────────

    async def _through(self, way: Way, request: Request, call_next: Handler) -> Response:
        on_trial = self._health.begin(way.name)
        try:
            response = await call_next(request.replace(proxy=way.url))
            if response.status >= 400 and way.url.lower().startswith(HTTP) and (refused := refusal(response)):
                raise refused
        except Exception as error:
            conceal(error, way.url)
            if isinstance(error, FetchError):
                self._blame(way.name, error)
                error.request, error.proxy = request, way.name
            raise
        finally:
            if on_trial:
                self._health.end(way.name)
        self._health.worked(way.name)
        return response.replace(request=request, proxy=way.name)

    def _blame(self, name: str, error: FetchError) -> None:
        if isinstance(error, DOUBTFUL):
            self._health.doubted(name, error.reason)
        elif isinstance(error, CERTAIN):
            self._health.failed(name, error.reason)

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any] | None:
        changed = {f"rest/{name}": rest for name, rest in self._health.changes().items()}
        if self._sticking is not None:
            changed |= {f"sticks/{owner}": name for owner, name in self._sticking.changes().items()}
        return changed or None

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._health.restore(_below("rest/", saved))
        if self._sticking is not None:
            self._sticking.restore(_below("sticks/", saved))


def _below(prefix: str, saved: Mapping[str, Any]) -> dict[str, Any]:
    return {key.removeprefix(prefix): kept for key, kept in saved.items() if key.startswith(prefix)}


def _function(path: str) -> Choose:
    """`my_project.proxies:choose`. Raises SettingsError."""
    module, _, name = path.partition(":")
    try:
        found: Choose = getattr(importlib.import_module(module), name)
    except AttributeError:
        raise SettingsError(f"proxies.choose: module {module} has no {name!r}.") from None
    except ImportError as error:
        raise SettingsError(f"proxies.choose: {path} can't be imported: {error}.") from error
    if not callable(found):
        raise SettingsError(f"proxies.choose: {path} is no function.")
    return found
