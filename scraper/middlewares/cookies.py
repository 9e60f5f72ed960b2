"""Cookies: one jar per session name, learnt from every response, kept across a resume."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Self

from scraper.middlewares.jar import Jar
from scraper.middlewares.set_cookie import Cookie
from scraper.protocols import Handler
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings


class Cookies:
    """Requests of one `session` share a jar; without a name they share the unnamed one.

    A request with a Cookie header of its own sends that and nothing else, but the jar still learns.
    """

    memory_name = "cookies"

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._jars: dict[str, Jar] = {}
        self._changed: set[tuple[str, str]] = set()  # (domain, session)
        self._forgotten: Counter[str] = Counter()  # session → how often

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        return cls(**options)

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        session = request.session
        jar, life = self._jars.get(session), self._forgotten[session]
        response = await call_next(request if jar is None else self._with_cookies(request, jar))
        if "Set-Cookie" in response.headers and life == self._forgotten[session]:
            self._learn(session, response)
        return response

    def forget(self, session: str) -> None:
        """Its jar is empty from now on: what answers earlier requests comes too late to be learnt."""
        self._forgotten[session] += 1
        jar = self._jars.pop(session, None)
        if jar is not None:
            self._changed.update((domain, session) for domain in jar.domains)

    def _with_cookies(self, request: Request, jar: Jar) -> Request:
        if any(name.lower() == "cookie" for name in request.headers):
            return request
        cookie = jar.header(request.url, self._now())
        return request.replace(headers={**request.headers, "Cookie": cookie}) if cookie else request

    def _learn(self, session: str, response: Response) -> None:
        jar = self._jars.get(session) or Jar()
        now = self._now()
        for line in response.headers.getall("Set-Cookie"):
            domain = jar.learn(line, response.url, now)
            if domain is not None:
                self._jars[session] = jar  # a session without cookies keeps no jar
                self._changed.add((domain, session))
        forgotten = jar.trim()
        if forgotten is not None:
            self._changed.add((forgotten, session))

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any] | None:
        """Keyed `domain/session`, so that a commit writes what one site changed, not a whole jar."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, set()
        return {f"{domain}/{session}": self._kept(domain, session) for domain, session in changed}

    def _kept(self, domain: str, session: str) -> list[dict[str, Any]] | None:
        cookies = self._jars[session].cookies(domain) if session in self._jars else ()
        return [asdict(cookie) for cookie in cookies] or None

    def restore(self, saved: Mapping[str, Any]) -> None:
        now = self._now()
        for key, kept in saved.items():
            domain, _, session = key.partition("/")
            self._jars.setdefault(session, Jar()).put(domain, [Cookie(**one) for one in kept], now)
