"""Politeness: whose turn it is. One clock, asked by the frontier (whom to choose) and the gate (may I go)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from scraper.protocols import Limits

KEPT = 50_000  # hosts remembered at most; an idle one is forgotten first


class Host:
    __slots__ = ("in_flight", "limits", "next_turn")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.in_flight = 0
        self.next_turn = 0.0


class HostClock:
    """In memory, for one process. Times are Unix seconds; a parked host stays parked across a resume."""

    memory_name = "hosts"

    def __init__(
        self,
        limits: Callable[[str], Limits],
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._limits_of = limits
        self._now = now
        self._hosts: dict[str, Host] = {}
        self._changed: dict[str, Any] = {}

    def wait(self, lane: str) -> float:
        host = self._host(lane)
        if host.in_flight >= host.limits.in_flight:
            return math.inf
        return max(0.0, host.next_turn - self._now()) if host.next_turn else 0.0

    def turn(self, lane: str) -> None:
        host = self._host(lane)
        host.in_flight += 1
        if host.limits.delay:
            host.next_turn = max(host.next_turn, self._now() + host.limits.delay)

    def leave(self, lane: str) -> None:
        self._host(lane).in_flight -= 1

    def park(self, lane: str, until: float) -> None:
        """Nobody asks this host before `until`."""
        host = self._host(lane)
        if until > host.next_turn:
            host.next_turn = until
            self._changed[lane] = {"until": until, "delay": host.limits.delay}

    def slow_down(self, lane: str, delay: float) -> None:
        """At least `delay` seconds between two turns, as a robots.txt's Crawl-delay asks."""
        host = self._host(lane)
        if delay > host.limits.delay:
            host.limits = Limits(host.limits.in_flight, delay)
            self._changed[lane] = {"until": host.next_turn, "delay": delay}

    def limits(self, lane: str) -> Limits:
        return self._host(lane).limits

    def changes(self) -> Mapping[str, Any] | None:
        changed, self._changed = self._changed, {}
        return changed or None

    def restore(self, saved: Mapping[str, Any]) -> None:
        for lane, kept in saved.items():
            self.slow_down(lane, kept["delay"])
            self._host(lane).next_turn = kept["until"]
        self._changed.clear()

    def _host(self, lane: str) -> Host:
        host = self._hosts.get(lane)
        if host is None:
            if len(self._hosts) >= KEPT:
                self._forget_one()
            host = self._hosts[lane] = Host(self._limits_of(lane))
        return host

    def _forget_one(self) -> None:
        now = self._now()
        for lane, host in self._hosts.items():
            if not host.in_flight and host.next_turn <= now:
                del self._hosts[lane]
                return
