"""Sessions: the identities that a crawl has. Each logs in before its first page, and anew when it was found out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Self

import structlog

from scraper.encoding import decode
from scraper.errors import FetchError, LoginFailed, Retry, RetryLater, SessionBlocked, StopCrawl
from scraper.middlewares.headers import check_public, missing
from scraper.middlewares.retry import retry_after
from scraper.middlewares.robots import RobotsTxt
from scraper.protocols import Handler
from scraper.request import Request
from scraper.response import Response
from scraper.settings import IdentitySettings, Settings
from scraper.spider import Spider
from scraper.urls import InvalidURL, normalize, origin

log = structlog.get_logger()

LOOKED_AT = 64 * 1024  # bytes of a body that `blocked_body` is searched in

# of the task that asks: the session whose login() runs, and the life of each session that it last asked as
logging_in: ContextVar[str | None] = ContextVar("logging_in", default=None)
asked_as: ContextVar[Mapping[str, int]] = ContextVar("asked_as", default={})  # noqa: B039  # replaced, never changed


@dataclass(slots=True)
class Session:
    """`life`: grows whenever it becomes somebody else or is logged out. `headers`: origin → what login() gave back."""

    life: int = 0
    logged_in: bool = False
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    failures: int = 0  # of login() in a row
    failure: str = ""  # the last of them
    rests_until: float = 0.0  # Unix time, after a failure
    stop: str = ""  # the reason of a StopCrawl
    flight: asyncio.Event | None = None  # while login() runs


class Sessions:
    """Requests of a session that is not logged in wait while the first of them runs the spider's `login(session)`.

    One that fails is tried again after `wait` seconds, twice as long each time up to `max_wait`, `attempts` times in
    all; then the session's pages fail with LoginFailed. An answer with one of `blocked_statuses` (unless the request
    calls it ok), or with `blocked_body` in its first 64 KiB, raises SessionBlocked once the session has been rotated.
    `named`: what single sessions have of their own.
    """

    memory_name = "sessions"
    spider: Spider
    forget_session: Callable[[str], None]

    def __init__(
        self,
        *,
        blocked_statuses: Collection[int] = (),
        blocked_body: str = "",
        named: Mapping[str, IdentitySettings] | None = None,
        attempts: int = 3,
        wait: float = 1.0,
        max_wait: float = 60.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._blocked_statuses = frozenset(blocked_statuses)
        self._blocked_body = re.compile(blocked_body) if blocked_body else None
        self._watches = bool(blocked_statuses or blocked_body)
        self._named = dict(named or {})
        for name, own in self._named.items():
            check_public(own.headers, f"sessions.{name}.headers")
        self._attempts, self._wait, self._max_wait = attempts, wait, max_wait
        self._now = now
        self._sessions: dict[str, Session] = {}
        self._changed: set[str] = set()

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        said, retry = settings.sessions, settings.retry
        ours: dict[str, Any] = {
            "blocked_statuses": said.blocked_statuses,
            "blocked_body": said.blocked_body,
            "named": said.named,
            "attempts": retry.attempts,
            "wait": retry.wait,
            "max_wait": retry.max_wait,
        }
        return cls(**ours | options)

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        if isinstance(request, RobotsTxt):
            return call_next(request)  # a page waits for it: it can't wait for what that page waits for
        running = logging_in.get()
        if running is not None and not request.session:
            request = request.replace(session=running)
        name = request.session
        session = self._session(name)
        logs_in = running is None and not session.logged_in and has_login(self.spider)
        if logs_in or self._watches or self._named or session.headers:
            return self._sent(name, session, request, call_next, logs_in=logs_in)
        self._note(name, session)
        return call_next(request)

    async def _sent(
        self, name: str, session: Session, request: Request, call_next: Handler, *, logs_in: bool
    ) -> Response:
        if logs_in:
            await self._log_in(name, session, request)
        self._note(name, session)
        asking = self._as(request, session) if self._named or session.headers else request
        response = await call_next(asking)
        signal = self._signal(request, response) if self._watches else None
        if signal is not None:
            self.rotate(name, signal)
            seconds = retry_after(response, self._now())
            raise SessionBlocked(signal, response.status, request=request, retry_after=seconds)
        return response

    def _note(self, name: str, session: Session) -> None:
        """As whom this task asks."""
        known = asked_as.get()
        if known.get(name) != session.life:
            asked_as.set({**known, name: session.life})

    # ── another identity ─────────────────────────────────────────────────────────────────────────────────

    def rotate(self, name: str, why: str) -> None:
        """Makes the session somebody else: no cookies, another proxy, a new login.

        Not for what was asked as somebody who is gone already: of ten pages that are blocked, one rotates.
        """
        if logging_in.get() == name:  # its login goes on as somebody else
            self.forget_session(name)
        elif self._end_life(name):
            self.forget_session(name)
            log.info("session rotated", session=name, reason=why)

    def expire(self, name: str) -> None:
        """Logs the session out: the same identity logs in anew."""
        if logging_in.get() != name and self._end_life(name):
            log.info("session expired", session=name)

    def _end_life(self, name: str) -> bool:
        session = self._session(name)
        if session.flight is not None or asked_as.get().get(name, session.life) != session.life:
            return False
        session.life += 1
        session.logged_in, session.headers = False, {}
        self._changed.add(name)
        return True

    def _signal(self, request: Request, response: Response) -> str | None:
        """What says that the session is blocked, in a few words, or None."""
        if response.status in self._blocked_statuses and response.status not in request.ok:
            return f"status {response.status}"
        if self._blocked_body is not None:
            text = decode(response.body[:LOOKED_AT], response.encoding)
            return "body" if self._blocked_body.search(text) else None
        return None

    def _as(self, request: Request, session: Session) -> Request:
        """The request with what its session has and it has not."""
        own = self._named.get(request.session)
        proven = session.headers.get(origin(request.url), {})
        if own is None and not proven:
            return request
        own = own or IdentitySettings()
        if request.auth is not None:
            proven = {name: value for name, value in proven.items() if name.lower() != "authorization"}
        return request.replace(
            headers={**missing(request.headers, {**own.headers, **proven}), **request.headers},
            proxy=request.proxy or own.proxy,
            client=request.client or own.client,
            impersonate=request.impersonate or own.impersonate,
        )

    def _session(self, name: str) -> Session:
        session = self._sessions.get(name)
        if session is None:
            session = self._sessions[name] = Session()
        return session

    # ── login ────────────────────────────────────────────────────────────────────────────────────────────

    async def _log_in(self, name: str, session: Session, request: Request) -> None:
        """Returns when the session is logged in. Whoever comes first runs it; if it is cancelled, the next one."""
        while not session.logged_in:
            self._check(name, session, request)
            if session.flight is not None:
                await session.flight.wait()
                continue
            with self._taking_off(name, session):
                try:
                    session.headers = by_origin(await self.spider.login(name))
                except StopCrawl as enough:
                    session.stop = enough.reason
                except Exception as error:  # noqa: BLE001  # the user's code: whatever it raises, the session can't be used
                    self._failed(name, session, error)
                else:
                    session.logged_in, session.failures = True, 0
                    self._changed.add(name)
                    log.info("session logged in", session=name)

    @contextmanager
    def _taking_off(self, name: str, session: Session) -> Iterator[None]:
        session.flight = asyncio.Event()
        token = logging_in.set(name)
        try:
            yield
        finally:
            logging_in.reset(token)
            session.flight.set()
            session.flight = None

    def _check(self, name: str, session: Session, request: Request) -> None:
        """Raises what keeps the session's requests from being sent now."""
        if session.stop:
            raise StopCrawl(session.stop)
        if session.failures >= self._attempts:
            times = "once" if session.failures == 1 else f"{session.failures} times"
            raise LoginFailed(f"login({name!r}) has failed {times}: {session.failure}", request=request)
        seconds = session.rests_until - self._now()
        if seconds > 0:
            raise RetryLater(seconds, LoginFailed.reason, counted=False)

    def _failed(self, name: str, session: Session, error: Exception) -> None:
        session.failures += 1
        seconds = min(self._wait * 2.0 ** min(session.failures - 1, 30), self._max_wait)
        expected = isinstance(error, FetchError | Retry)
        session.failure = str(error) if expected else repr(error)
        if isinstance(error, Retry):
            seconds = seconds if error.delay is None else error.delay
            if error.rotate_session:
                self.forget_session(name)
        session.rests_until = self._now() + seconds
        log.warning(
            "login failed",
            session=name,
            error=session.failure,
            attempts=session.failures,
            exc_info=None if expected else error,
        )

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any] | None:
        if not self._changed:
            return None
        changed, self._changed = self._changed, set()
        found = {name: self._sessions[name] for name in changed}
        return {name: {"headers": one.headers} if one.logged_in else None for name, one in found.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._sessions = {
            name: Session(logged_in=True, headers=kept["headers"]) for name, kept in saved.items()
        }


def has_login(spider: Spider) -> bool:
    return type(spider).login is not Spider.login


def by_origin(given: Any) -> dict[str, dict[str, str]]:
    """What login() gave back: `{"https://api.shop.example": {"Authorization": "Bearer …"}}`, or None.

    Raises TypeError or ValueError, in words.
    """
    wanted = 'login() gives back None, or headers by origin: {"https://api.shop.example": {"X-Token": "…"}}'
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(headers, Mapping) for headers in given.values()):
        raise TypeError(f"{wanted}.")
    try:
        return {
            origin(normalize(place)): {str(name): str(value) for name, value in headers.items()}
            for place, headers in given.items()
        }
    except InvalidURL as error:
        raise ValueError(f"{wanted}. {error}") from error
