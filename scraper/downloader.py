"""The downloader: an onion of middlewares, built once; in its middle the gate, the client and the door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from scraper.door import Door
from scraper.errors import FetchError, RetryLater
from scraper.gate import Gate
from scraper.protocols import Client, Handler, Middleware
from scraper.request import Request
from scraper.response import Response
from scraper.urls import lane


class Downloader:
    """`fetch` is the head of the chain; `fetch_now` also makes the retries, in place."""

    def __init__(self, middlewares: Sequence[Middleware], *, gate: Gate, door: Door, client: Client) -> None:
        self._gate = gate
        self._door = door
        self._client = client
        self.fetch: Handler = chain(middlewares, self._on_the_wire)
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(RetryLater), wait=_as_decided, retry_error_callback=None
        )

    async def _on_the_wire(self, request: Request) -> Response:
        place = lane(request.url)
        if not self._gate.enter_at_once(place):
            await self._gate.enter(place)
        try:
            return await self._door.fetch(self._client, request)
        finally:
            self._gate.leave(place)

    async def fetch_now(self, request: Request) -> Response:
        """For `self.fetch` and robots.txt: waits between attempts instead of deferring. Raises FetchError."""
        try:
            return await self.fetch(request)
        except RetryLater as later:
            if type(request.body) is not bytes:  # it has been read: there is nothing to send again
                raise later.__cause__ or FetchError(later.reason, request=request) from later
            attempt, first = request.attempt + later.counted, later
        return await self._again(request, attempt, first)

    async def _again(self, request: Request, attempt: int, first: RetryLater) -> Response:
        # tenacity costs ~50 µs a call: only after a failure; a copy per call, its state is not shared
        retrying = self._retrying.copy()
        await asyncio.sleep(first.delay)
        async for trial in retrying:
            with trial:
                try:
                    return await self.fetch(request.replace(attempt=attempt))
                except RetryLater as later:
                    attempt += later.counted
                    raise
        raise FetchError("The retries ended without an answer.", request=request)  # tenacity has no such way


def chain(middlewares: Sequence[Middleware], innermost: Handler) -> Handler:
    """The middlewares around the innermost handler; the first in the list sees the request first."""
    handler = innermost
    for middleware in reversed(middlewares):
        handler = partial(middleware.__call__, call_next=handler)
    return handler


def _as_decided(state: RetryCallState) -> float:
    decision = state.outcome.exception() if state.outcome else None
    return decision.delay if isinstance(decision, RetryLater) else 0.0
