"""Retries: which failures are worth another attempt, and when; a failure is an outcome, never a sleep."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Self

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_exponential, wait_random

from scraper.errors import FetchError, PoolTimeout, RetryLater, StatusError
from scraper.protocols import Clock, Handler
from scraper.request import Request
from scraper.response import Response
from scraper.settings import RetrySettings, Settings
from scraper.urls import lane

NO_SLOT_WAIT = 1.0  # seconds; nothing was sent, so the attempt is given back
LONGEST_RETRY_AFTER = 86_400.0  # seconds; a site that asks for more is asked again after a day
DELTA_SECONDS = re.compile(r"\d{1,12}(?:\.\d*)?", re.ASCII)


class Retry:
    """Raises RetryLater for a failed attempt while there are attempts left.

    `attempts` counts the first one. A wait is `wait` × 2ⁿ plus up to `jitter`, at most `max_wait` (seconds).
    A Retry-After on one of `statuses` parks the host, on the last attempt too.
    """

    clock: Clock

    def __init__(
        self,
        *,
        attempts: int,
        statuses: Collection[int],
        wait: float,
        max_wait: float,
        jitter: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._statuses = frozenset(statuses)
        self._max_wait = max_wait
        self._now = now
        self._policy = AsyncRetrying(
            stop=stop_after_attempt(attempts),
            # wait_exponential_jitter is the same, but takes another name for `wait` with each release
            wait=wait_exponential(multiplier=wait, max=max_wait) + wait_random(0, jitter),
        )

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        return cls(**dict(RetrySettings.model_validate(dict(settings.retry) | options)))

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        try:
            response = await call_next(request)
        except PoolTimeout as error:
            raise RetryLater(NO_SLOT_WAIT, error.reason, counted=False) from error
        except FetchError as error:
            later = self._later(request, error) if error.retryable else None
            if later is None:
                raise
            raise later from error
        if response.status in self._statuses:
            self._again(request, response)
        return response

    def after(self, request: Request, reason: str, delay: float | None = None) -> RetryLater | None:
        """What to raise for an attempt that failed; None after the last one. `delay`: seconds, if known."""
        state = RetryCallState(self._policy, None, (), {})
        state.attempt_number = request.attempt
        if self._policy.stop(state):  # tenacity costs some microseconds a call: only after a failure
            return None
        return RetryLater(min(self._policy.wait(state), self._max_wait) if delay is None else delay, reason)

    def _later(self, request: Request, error: FetchError) -> RetryLater | None:
        later = self.after(request, error.reason)
        asked = error.retry_after or 0.0 if isinstance(error, StatusError) else 0.0
        if asked:
            self.clock.park(lane(request.url), self._now() + asked)
        if later is not None:
            later.delay = max(later.delay, asked, min(error.again_in, self._max_wait))
            later.proxy = error.proxy
            later.status = error.status if isinstance(error, StatusError) else None
        return later

    def _again(self, request: Request, response: Response) -> None:
        now = self._now()
        asked = retry_after(response, now) or 0.0
        if asked:
            self.clock.park(lane(response.url), now + asked)
        if response.status in request.ok:
            return
        later = self.after(request, f"status {response.status}")
        if later is not None:
            delay = max(later.delay, asked)
            raise RetryLater(delay, later.reason, status=response.status, proxy=response.proxy)


def retry_after(response: Response, now: float) -> float | None:
    """Seconds that a Retry-After asks for (RFC 9110 §10.2.3), None where it asks for nothing sensible."""
    text = response.headers.get("Retry-After", "").strip()
    if DELTA_SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None
