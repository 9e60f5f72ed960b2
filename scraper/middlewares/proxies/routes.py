"""Routes: what the rules of `[proxies]`, or those of the environment, say about a URL."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from scraper.proxy_patterns import Pattern
from scraper.urls import lane, scheme

KEPT = 4096  # origins whose answer is remembered


class Routes:
    """`rules`: pattern → target (a name of the pool, a URL, `none` or `pool`). The most specific pattern wins."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        parsed = [(Pattern.parse(pattern), target) for pattern, target in rules.items()]
        self._rules = sorted(parsed, key=lambda rule: rule[0].rank)
        self._find = lru_cache(maxsize=KEPT)(self._first_fitting)

    def target(self, url: str) -> str | None:
        """None where no rule is for this URL, which is normalized."""
        return self._find(scheme(url), lane(url)) if self._rules else None

    def _first_fitting(self, scheme: str, lane: str) -> str | None:
        host, _, port = lane.rpartition(":")
        return next((target for pattern, target in self._rules if pattern.fits(scheme, host, port)), None)

    def __bool__(self) -> bool:
        return bool(self._rules)
