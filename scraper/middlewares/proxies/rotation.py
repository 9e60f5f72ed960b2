"""Rotation: whose turn it is among the proxies of the pool."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from scraper.middlewares.proxies.health import Health


class Rotation:
    """In turn, or at random; those that are not ready are passed over. `names` is not empty."""

    def __init__(self, names: Sequence[str], health: Health, *, at_random: bool) -> None:
        self._names = names
        self._health = health
        self._turn = -1
        self._ready: Callable[[str], str | None] = self._at_random if at_random else self._in_turn

    def next(self, *, other_than: str = "") -> str:
        """While none is ready, the one whose rest ends first: what is to be fetched has attempts of its own."""
        return self._ready(other_than) or self._health.soonest()

    def _in_turn(self, avoided: str) -> str | None:
        for _ in self._names:
            self._turn = (self._turn + 1) % len(self._names)
            name = self._names[self._turn]
            if name != avoided and self._health.is_ready(name):
                return name
        return None

    def _at_random(self, avoided: str) -> str | None:
        drawn = random.choice(self._names)  # noqa: S311  # nobody gains by guessing it
        if drawn != avoided and self._health.is_ready(drawn):
            return drawn
        ready = [name for name in self._names if name != avoided and self._health.is_ready(name)]
        return random.choice(ready) if ready else None  # noqa: S311
