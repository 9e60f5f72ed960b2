"""Health: which proxies of the pool can be trusted; one that fails rests, and is tried once before it is trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

log = structlog.get_logger()

LONGEST_REST = 10  # × `rest`
DOUBTS = 3  # failures in a row that may be the site's, after which they are the proxy's


@dataclass(frozen=True, slots=True)
class Rest:
    until: float  # Unix time; then it is on trial
    failures: int  # in a row


class Health:
    """`rest`: seconds after a first failure, twice as long with each failure in a row, up to 10 ×.

    A rest that is over does not make a proxy trusted: one single request tries it, the others are told that it is
    not ready until an answer has come through it.
    """

    def __init__(self, names: Collection[str], *, rest: float, now: Callable[[], float]) -> None:
        self._names = dict.fromkeys(names)
        self._rest = rest
        self._now = now
        self._rests: dict[str, Rest] = {}
        self._trials: set[str] = set()
        self._doubts: Counter[str] = Counter()
        self._changed: set[str] = set()

    # ── before a request ─────────────────────────────────────────────────────────────────────────────────

    def is_ready(self, name: str) -> bool:
        """Whether it may be taken now: it is trusted, or its rest is over and nobody tries it."""
        rest = self._rests.get(name)
        if rest is None:
            return name in self._names
        return rest.until <= self._now() and name not in self._trials

    def soonest(self) -> str:
        """While none is ready: the one whose rest ends first."""
        return min(self._names, key=self._rested_at)

    def begin(self, name: str) -> bool:
        """Whether this request is the trial of a proxy that has rested; then `end` says that it is over."""
        if name in self._rests and self.is_ready(name):
            self._trials.add(name)
            return True
        return False

    def end(self, name: str) -> None:
        self._trials.discard(name)

    # ── after it ─────────────────────────────────────────────────────────────────────────────────────────

    def failed(self, name: str, reason: str) -> None:
        """`reason`: a few words without the proxy's URL."""
        if name not in self._names or self._rested_at(name) > self._now():
            return  # what was on its way when the rest began says nothing new
        failures = self._rests[name].failures + 1 if name in self._rests else 1
        seconds = self._rest * min(2.0 ** min(failures - 1, 10), LONGEST_REST)
        self._rests[name] = Rest(self._now() + seconds, failures)
        self._changed.add(name)
        del self._doubts[name]
        log.warning("proxy rests", proxy=name, reason=reason, seconds=round(seconds, 1), failures=failures)

    def doubted(self, name: str, reason: str) -> None:
        """A failure that may be the site's: of a proxy that is on trial it counts, of a trusted one the third does."""
        if name not in self._names:
            return
        self._doubts[name] += 1
        if name in self._rests or self._doubts[name] >= DOUBTS:
            self.failed(name, reason)

    def worked(self, name: str) -> None:
        if name in self._doubts:
            del self._doubts[name]
        if name in self._rests:
            del self._rests[name]
            self._changed.add(name)
            log.info("proxy works again", proxy=name)

    def _rested_at(self, name: str) -> float:
        rest = self._rests.get(name)
        return rest.until if rest else 0.0

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any]:
        changed, self._changed = self._changed, set()
        return {name: asdict(self._rests[name]) if name in self._rests else None for name in changed}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._rests = {name: Rest(**kept) for name, kept in saved.items() if name in self._names}
