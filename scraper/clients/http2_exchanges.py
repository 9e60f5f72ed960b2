"""An exchange over HTTP/2: one request and its answer, on a connection that it shares."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

import httpcore


class Connection(Protocol):
    def acknowledge(self, number: int, size: int) -> None:
        """The site may send so many bytes more."""

    def forget(self, exchange: Exchange, untaken: int) -> None:
        """Nobody reads this one any more; `untaken`: bytes that nobody took."""


class Exchange:
    """One request and its answer; the body is what is iterated over."""

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection = connection
        self._pieces: deque[tuple[bytes, int]] = deque()  # each with the bytes to acknowledge
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self.number = number
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.sent = False  # the whole request
        self.over = False  # the site has said all

    # ── for its reader ───────────────────────────────────────────────────────────────────────────────────

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._pieces:
                piece, size = self._pieces.popleft()
                self._connection.acknowledge(self.number, size)
                yield piece
            if self._error is not None:
                raise self._error
            if self.over:
                return
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    async def aclose(self) -> None:
        self.leave()

    def leave(self) -> None:
        """Tells the site to stop, if it is not done; what nobody took makes room for others."""
        self.answered.cancel()
        untaken = sum(size for _, size in self._pieces)
        self._pieces.clear()
        self._connection.forget(self, untaken)

    # ── for its connection ───────────────────────────────────────────────────────────────────────────────

    def answer(self, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = int(next(value for name, value in headers if name == b":status"))
        self.headers = [field for field in headers if not field[0].startswith(b":")]
        if not self.answered.done():
            self.answered.set_result(None)

    def add(self, piece: bytes, size: int) -> None:
        self._pieces.append((piece, size))
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        if self.over:
            return
        self.over, self._error = True, error
        if not self.answered.done():
            self.answered.set_exception(error or httpcore.RemoteProtocolError("An answer without a head."))
            self.answered.exception()  # who sends a body does not look yet, and may not come to it
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
