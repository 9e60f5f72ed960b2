"""Proxies: each attempt takes a fresh one; one that fails rests before it is tried again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from itertools import count
from typing import Any, Literal, Self
from urllib.parse import unquote

from pydantic import SecretStr

from scraper.errors import ConnectionRefused, ConnectTimeout, FetchError, InvalidRequest, ProxyFailed
from scraper.protocols import Handler
from scraper.request import Request
from scraper.response import Response
from scraper.settings import ProxySettings, Settings
from scraper.urls import redact

BLAMED = (ProxyFailed, ConnectionRefused, ConnectTimeout)  # the proxy's doing, most likely
LONGEST_REST = 10  # × `rest`


@dataclass(frozen=True, slots=True)
class Rest:
    until: float  # Unix time
    failures: int  # in a row


class Proxies:
    """A request's own `proxy` (a name of the pool, or a URL) wins; else the pool takes turns.

    A proxy that can't be reached rests `rest` seconds, twice as long with each failure in a row, up to 10 ×;
    a response ends that. While all rest, the one whose rest ends first is taken. With neither a pool nor a
    proxy of its own a request goes directly.
    """

    memory_name = "proxies"

    def __init__(
        self,
        *,
        pool: Mapping[str, SecretStr],
        rotate: Literal["round_robin", "random"],
        rest: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._urls = {name: url.get_secret_value() for name, url in pool.items()}
        self._names = list(pool)
        self._turns = count() if rotate == "round_robin" else None
        self._rest = rest
        self._now = now
        self._resting: dict[str, Rest] = {}
        self._changed: set[str] = set()

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        return cls(**dict(ProxySettings.model_validate(dict(settings.proxies) | options)))

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        if not request.proxy and not self._names:
            return await call_next(request)
        name, url = self._named(request, request.proxy) if request.proxy else self._next()
        try:
            response = await call_next(request.replace(proxy=url))
        except FetchError as error:
            if isinstance(error, BLAMED):
                self._failed(name)
            conceal(error, url)
            error.request, error.proxy = request, name
            raise
        self._worked(name)
        return response.replace(request=request, proxy=name)

    # ── the choice ───────────────────────────────────────────────────────────────────────────────────────

    def _named(self, request: Request, proxy: str) -> tuple[str, str]:
        if proxy in self._urls:
            return proxy, self._urls[proxy]
        if "://" in proxy:
            return redact(proxy), proxy
        close = get_close_matches(proxy, self._names, 1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        pool = ", ".join(self._names) or "empty"
        raise InvalidRequest(
            f"No proxy named {proxy!r}, and a URL has a scheme such as http://.{guess} The pool is: {pool}.",
            request=request,
        )

    def _next(self) -> tuple[str, str]:
        names = self._names
        if self._resting:
            now = self._now()
            names = [name for name in names if self._free_at(name) <= now] or [min(names, key=self._free_at)]
        name = random.choice(names) if self._turns is None else names[next(self._turns) % len(names)]  # noqa: S311
        return name, self._urls[name]

    def _free_at(self, name: str) -> float:
        rest = self._resting.get(name)
        return rest.until if rest else 0.0

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────────

    def _failed(self, name: str) -> None:
        now = self._now()
        if name not in self._urls or self._free_at(name) > now:
            return  # what was on its way when the rest began says nothing new
        failures = self._resting[name].failures + 1 if name in self._resting else 1
        seconds = self._rest * min(2.0 ** min(failures - 1, 10), LONGEST_REST)
        self._resting[name] = Rest(now + seconds, failures)
        self._changed.add(name)

    def _worked(self, name: str) -> None:
        if name in self._resting:
            del self._resting[name]
            self._changed.add(name)

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any] | None:
        if not self._changed:
            return None
        changed, self._changed = self._changed, set()
        return {name: asdict(self._resting[name]) if name in self._resting else None for name in changed}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._resting = {name: Rest(**kept) for name, kept in saved.items() if name in self._urls}


def conceal(error: FetchError, url: str) -> None:
    """Takes the proxy's password out of the error's text: a library may quote the whole URL."""
    password = url.rpartition("@")[0].partition("://")[2].partition(":")[2]
    if password:
        text = str(error).replace(password, "***").replace(unquote(password), "***")
        error.args = (text,)
