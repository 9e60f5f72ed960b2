"""Intake: what a spider yields on its way into the frontier: normalized, identified, admitted, encoded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from scraper import stats
from scraper.errors import CallbackError
from scraper.fingerprints import child_id, fingerprint
from scraper.protocols import Admission, Child
from scraper.proxy_addresses import has_credentials, shown
from scraper.request import Request
from scraper.urls import InvalidURL, canonical, lane, normalize, redact

log = structlog.get_logger()

START = b"start".ljust(16, b"\0")  # the parent of what start() yields


class Intake:
    """`admit` gives the reason not to fetch, or None. What is refused is counted, never an error.

    `by_depth`: whether `admit` looks at a request's depth. `proxies`: URL → name, for those that have one.
    """

    def __init__(
        self,
        admit: Admission,
        *,
        by_depth: bool = True,
        proxies: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._admit = admit
        self._by_depth = by_depth
        self._proxies = proxies or {}
        self._now = now
        self._warned = False

    def take(
        self, request: Request, parent: Request | None, ordinal: int, counters: Counter[str]
    ) -> Child | None:
        """The request as the frontier keeps it; None where it is dropped. Counts either.

        Raises CallbackError for a proxy with a password that has no name: a run stores no passwords of proxies.
        """
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
        if request.proxy and has_credentials(request.proxy):
            request = request.replace(proxy=self._proxys_name(request.proxy, parent))
        return Child(
            _identity(request, url, parent, ordinal),
            lane(url),
            request.priority,
            self._not_before(request),
            request.encode(url=url, depth=depth),
        )

    def _proxys_name(self, proxy: str, parent: Request | None) -> str:
        name = self._proxies.get(proxy)
        if name is not None:
            return name
        callback = (parent.callback or "parse") if parent else "start"
        raise CallbackError(
            f"{callback}()",
            "yielded a request whose proxy= has a user or password: a run does not store those. Give"
            f" {shown(proxy)} a name in settings.toml ([proxies] pool = {{ mine = … }}) and write proxy='mine'",
        )

    def _not_before(self, request: Request) -> float:
        if request.delay is not None:
            return self._now() + request.delay
        return float(request.not_before or 0.0)  # type: ignore[arg-type]  # a datetime became a Unix time when it was built

    def _warn(self, problem: str, parent: Request | None) -> None:
        if not self._warned:  # once: a site full of bad links would fill the log, the counter has them all
            self._warned = True
            log.warning(
                "request dropped", problem=problem, found_on=redact(parent.url) if parent else "start()"
            )


def _identity(request: Request, url: str, parent: Request | None, ordinal: int) -> bytes:
    print_ = fingerprint(request.method, canonical(url), request.body)  # type: ignore[arg-type]  # settled to bytes
    if request.dont_filter:
        return child_id(parent.id if parent else START, ordinal, print_)
    return print_
