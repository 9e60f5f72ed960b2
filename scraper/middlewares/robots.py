"""robots.txt (RFC 9309): asked once per origin, obeyed for every page and every redirect hop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from protego import Protego

from scraper.errors import DropRequest, FetchError, NetworkError, StatusError, TooManyRedirects
from scraper.protocols import Clock, Handler
from scraper.request import Request
from scraper.response import Response, is_ok
from scraper.settings import Settings
from scraper.urls import lane, origin

KEPT = 10_000  # origins remembered at most; the one asked longest ago is forgotten first
VALID = 86_400.0  # seconds that a robots.txt counts (§2.4)
FAILED = 30.0  # seconds that a failure counts: a dead host is not asked anew for each of its pages
LONGEST = 512 * 1024  # bytes that are read; §2.5 asks for at least 500 KiB
LONGEST_DELAY = 60.0  # seconds; a longer Crawl-delay counts as this
UNAVAILABLE = frozenset(range(400, 500)) - {429}  # all is allowed (§2.3.1.3); 429 says only "not now"


class RobotsUnreachable(NetworkError):
    """Nobody may assume that a site which can't answer for its robots.txt allows anything (§2.3.1.4)."""

    reason = "robots.txt unreachable"

    def __init__(self, message: str, *, request: Request, again_in: float) -> None:
        super().__init__(message, request=request)
        self.again_in = again_in  # until then the failure counts, and the site is not asked


class RobotsTxt(Request):
    """The request for a robots.txt, and each hop of its redirects: what is not itself asked of robots.txt."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What an origin allows, and until when. Without `parser` and `failure` it is everything."""

    until: float
    parser: Protego | None = None
    failure: str = ""


class Robots:
    """Raises DropRequest for what robots.txt disallows, RobotsUnreachable where nobody can say.

    `user_agent`: the whole User-Agent; its product token is looked for. A Crawl-delay slows the host down.
    """

    memory_name = "robots"
    fetch: Handler
    clock: Clock

    def __init__(self, *, user_agent: str, now: Callable[[], float] = time.time) -> None:
        self._agent = spoken(user_agent)
        self._now = now
        self._rules: dict[str, Rules] = {}
        self._saved: dict[str, Any] = {}  # restored, parsed when somebody asks
        self._changed: dict[str, Any] = {}
        self._flights: dict[str, asyncio.Event] = {}

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self | None:
        return cls(**{"user_agent": settings.user_agent, **options}) if settings.obey_robots else None

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        url = request.url
        if isinstance(request, RobotsTxt) or ("/robots.txt" in url and urlsplit(url).path == "/robots.txt"):
            return call_next(request)
        site = origin(url)
        rules = self._rules.get(site)
        if rules is None or rules.until <= self._now():
            return self._asking_first(site, request, call_next)
        self._check(rules, request)
        return call_next(request)

    async def _asking_first(self, site: str, request: Request, call_next: Handler) -> Response:
        self._check(await self._look_up(site, request), request)
        return await call_next(request)

    def _check(self, rules: Rules, request: Request) -> None:
        if rules.failure:
            raise RobotsUnreachable(rules.failure, request=request, again_in=rules.until - self._now())
        if rules.parser is not None and not rules.parser.can_fetch(request.url, self._agent):
            raise DropRequest("robots")

    # ── one fetch per origin ─────────────────────────────────────────────────────────────────────────────

    async def _look_up(self, site: str, request: Request) -> Rules:
        """Its rules, from memory or the site. Whoever comes first asks; if it is cancelled, the next one."""
        while True:
            rules = self._rules.get(site) or self._remembered(site)
            if rules is not None and rules.until > self._now():
                return rules
            flight = self._flights.get(site)
            if flight is None:
                return await self._ask(site, request)
            await flight.wait()

    async def _ask(self, site: str, request: Request) -> Rules:
        flight = self._flights[site] = asyncio.Event()
        try:
            return await self._answer(site, request)
        finally:
            del self._flights[site]
            flight.set()

    async def _answer(self, site: str, request: Request) -> Rules:
        asked = RobotsTxt(
            site + "/robots.txt",
            dont_filter=True,
            ok=UNAVAILABLE,
            client=request.client,  # the way that the page itself will go
            proxy=request.proxy,
        )
        try:
            response = await self.fetch(asked)
            if not is_ok(response.status, asked.ok):
                raise StatusError(response.status, request=asked)
        except FetchError as error:
            if leads_nowhere(error):
                return self._keep(site, "")
            return self._keep_failure(site, error, request)
        return self._keep(site, text_of(response) if response.status < 300 else "")

    # ── what is kept ─────────────────────────────────────────────────────────────────────────────────────

    def _keep(self, site: str, text: str) -> Rules:
        now = self._now()
        rules = self._read(site, text, now)
        self._changed[site] = {"at": now, "text": text if rules.parser else ""}
        return rules

    def _read(self, site: str, text: str, at: float) -> Rules:
        parser = Protego.parse(text) if restricts(text) else None
        delay = parser.crawl_delay(self._agent) if parser else None
        if delay:
            self.clock.slow_down(lane(site), min(delay, LONGEST_DELAY))
        return self._put(site, Rules(at + VALID, parser))

    def _keep_failure(self, site: str, error: FetchError, request: Request) -> Rules:
        until = self._now() + FAILED
        stale = self._rules.get(site)
        if stale is not None and not stale.failure:
            return self._put(site, Rules(until, stale.parser))  # §2.4: while it is unreachable
        self._put(site, Rules(until, failure=f"{site}/robots.txt could not be fetched: {error}"))
        failure = self._rules[site].failure
        raise RobotsUnreachable(failure, request=request, again_in=FAILED) from error

    def _put(self, site: str, rules: Rules) -> Rules:
        self._rules.pop(site, None)  # to the end of the dict: the newest
        self._rules[site] = rules
        if len(self._rules) + len(self._saved) > KEPT:
            older: dict[str, Any] = self._saved or self._rules
            oldest = next(iter(older))
            del older[oldest]
            self._changed[oldest] = None
        return rules

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any] | None:
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        return changed

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._saved = dict(saved)

    def _remembered(self, site: str) -> Rules | None:
        kept = self._saved.pop(site, None)
        return self._read(site, kept["text"], kept["at"]) if kept else None


def leads_nowhere(error: FetchError) -> bool:
    """Redirects without end or target: as if there were no robots.txt (§2.3.1.2)."""
    return isinstance(error, TooManyRedirects) or (isinstance(error, StatusError) and error.status < 400)


def spoken(user_agent: str) -> str:
    """The User-Agent without its URLs: `User-agent: example` is not meant for `bot/1.0 (+https://example.com)`."""
    return " ".join(word for word in user_agent.split() if "://" not in word)


def text_of(response: Response) -> str:
    """The first 512 KiB in whole lines: half a `Disallow: /private` would forbid the site."""
    body = response.body
    if len(body) > LONGEST:
        body = body[: body.rfind(b"\n", 0, LONGEST) + 1]
    return body.decode("utf-8-sig", "replace")


def restricts(text: str) -> bool:
    """Whether any line could forbid or slow down anything: most files need no parser (2 µs a page)."""
    for line in text.splitlines():
        rule, _, value = line.split("#", 1)[0].strip().lower().partition(":")
        if rule.startswith(("di", "crawl")) and (value.strip() or len(rule.split()) > 1):
            return True
    return False
