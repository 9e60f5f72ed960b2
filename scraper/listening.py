"""Listening: a WebSocket's life between its lease and its end; each message is a page of its own for the commit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scraper import stats
from scraper.committing import Committer
from scraper.fingerprints import child_id
from scraper.protocols import Ongoing, Page
from scraper.request import Request
from scraper.sockets import Message, SocketResponse

MESSAGE = b"message".ljust(16, b"\0")  # what a message is called among what a request brings


class Listener:
    """Remembers how many messages each socket has brought: numbers go on where the last life of the run ended."""

    memory_name = "sockets"

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._open: dict[Page, SocketResponse] = {}
        self._ordinals: dict[str, int] = {}  # a request's identity → the next message's number
        self._changed: dict[str, int | None] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._stopped = False

    async def listen(
        self, page: Page, response: SocketResponse, collect: Callable[[], Awaitable[None]]
    ) -> None:
        """Until `collect`, which runs the callback, is through. Closes the socket."""
        name = page.lease.request.id.hex()
        messages = response.messages
        messages.ordinal = self._ordinals.get(name, 0) - 1

        async def between() -> None:
            await self._committer.take(_cut(page))

        def arrived(message: Message) -> None:
            page.request = of_message(page.lease.request, message.ordinal)
            page.counters[stats.MESSAGES] += 1
            page.counters[stats.BYTES] += len(message.data)
            self._changed[name] = self._ordinals[name] = message.ordinal + 1

        messages.between, messages.arrived = between, arrived
        self._open[page] = response
        if self._stopped:
            await messages.leave()
        try:
            await between()  # it is open: no crash is its fault from here on
            await collect()
        finally:
            del self._open[page]
            await response.aclose()
        self._ordinals.pop(name, None)
        self._changed[name] = None

    def stop(self) -> None:
        """The crawl takes no more: those who wait for a message are told so."""
        self._stopped = True
        for response in self._open.values():
            closing = asyncio.get_running_loop().create_task(response.messages.leave())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    # ── memory ───────────────────────────────────────────────────────────────────────────────────────────

    def changes(self) -> Mapping[str, Any] | None:
        changed, self._changed = self._changed, {}
        return changed or None

    def restore(self, saved: Mapping[str, Any]) -> None:
        self._ordinals.update(saved)


def of_message(request: Request, ordinal: int) -> Request:
    """The request under whose identity the outputs of a message are kept."""
    return request.replace(id=child_id(request.id, ordinal, MESSAGE))


def _cut(page: Page) -> Page:
    """What the page has brought so far, as a page of its own; it goes on with nothing."""
    part = Page(
        page.lease,
        Ongoing(),
        children=page.children,
        items=page.items,
        lines=page.lines,
        batch=page.batch,
        counters=page.counters,
    )
    page.children, page.items, page.lines, page.batch, page.counters = [], [], [], [], Counter()
    return part
