"""Intake: what a spider yields on its way into the frontier: normalized, identified, admitted, encoded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import structlog

from scraper import stats
from scraper.fingerprints import child_id, fingerprint
from scraper.protocols import Admission, Child
from scraper.request import Request
from scraper.urls import InvalidURL, canonical, lane, normalize

log = structlog.get_logger()

START = b"start".ljust(16, b"\0")  # the parent of what start() yields


class Intake:
    """`admit` gives the reason not to fetch, or None. What is refused is counted, never an error.

    `by_depth`: whether `admit` looks at a request's depth.
    """

    def __init__(
        self, admit: Admission, *, by_depth: bool = True, now: Callable[[], float] = time.time
    ) -> None:
        self._admit = admit
        self._by_depth = by_depth
        self._now = now
        self._warned = False

    def take(
        self, request: Request, parent: Request | None, ordinal: int, counters: Counter[str]
    ) -> Child | None:
        """The request as the frontier keeps it; None where it is dropped. Counts either."""
        counters[stats.REQUESTED] += 1
        try:
            url = normalize(request.url)
        except InvalidURL as error:
            self._warn(str(error), parent)
            counters[f"{stats.DROPPED}/invalid url"] += 1
            return None
        depth = parent.depth + 1 if parent else 0
        # a copy costs 2 µs: only where a rule could see the difference
        usual = url == request.url and not self._by_depth
        reason = self._admit(request if usual else request.replace(url=url, depth=depth))
        if reason is not None:
            counters[f"{stats.DROPPED}/{reason}"] += 1
            return None
        return Child(
            _identity(request, url, parent, ordinal),
            lane(url),
            request.priority,
            self._not_before(request),
            request.encode(url=url, depth=depth),
        )

    def _not_before(self, request: Request) -> float:
        if request.delay is not None:
            return self._now() + request.delay
        return float(request.not_before or 0.0)  # type: ignore[arg-type]  # a datetime became a Unix time when it was built

    def _warn(self, problem: str, parent: Request | None) -> None:
        if not self._warned:  # once: a site full of bad links would fill the log, the counter has them all
            self._warned = True
            log.warning("request dropped", problem=problem, found_on=parent.url if parent else "start()")


def _identity(request: Request, url: str, parent: Request | None, ordinal: int) -> bytes:
    print_ = fingerprint(request.method, canonical(url), request.body)  # type: ignore[arg-type]  # settled to bytes
    if request.dont_filter:
        return child_id(parent.id if parent else START, ordinal, print_)
    return print_
