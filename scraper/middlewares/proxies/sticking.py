"""Sticking: a session keeps its proxy, and so does a host that is asked without a session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scraper.middlewares.proxies.health import Health
from scraper.middlewares.proxies.rotation import Rotation
from scraper.request import Request
from scraper.urls import host

KEPT = 10_000  # sessions and hosts remembered at most; the one asked longest ago is forgotten first


class Sticking:
    """Whoever's proxy rests gets another one, for good."""

    def __init__(self, rotation: Rotation, health: Health) -> None:
        self._rotation = rotation
        self._health = health
        self._proxies: dict[str, str] = {}  # owner → name
        self._changed: set[str] = set()

    def proxy_of(self, request: Request) -> str:
        owner = f"session/{request.session}" if request.session else f"host/{host(request.url)}"
        name = self._proxies.pop(owner, "")
        if not self._health.is_ready(name):
            return self._give(owner, old=name)
        self._proxies[owner] = name  # to the end of the dict: the newest
        return name

    def forget(self, session: str) -> None:
        """The session's next request takes another proxy."""
        owner = f"session/{session}"
        if owner in self._proxies:
            self._give(owner, old=self._proxies.pop(owner))

    def _give(self, owner: str, *, old: str) -> str:
        name = self._rotation.next(other_than=old)
        self._proxies[owner] = name
        if name != old:
            self._changed.add(owner)
        if len(self._proxies) > KEPT:
            oldest = next(iter(self._proxies))
            del self._proxies[oldest]
            self._changed.add(oldest)
        return name

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any]:
        changed, self._changed = self._changed, set()
        return {owner: self._proxies.get(owner) for owner in changed}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """What names a proxy that is not in the pool any more is forgotten when it is asked for."""
        self._proxies = dict(saved)
