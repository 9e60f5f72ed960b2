"""Lines: connections kept for the next request to the same place, found in one step however many there are."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Generic, Protocol, TypeVar

IDLE_SECONDS = 30.0  # unused for longer, a line is closed instead of used again


class Connection(Protocol):
    @property
    def usable(self) -> bool:
        """Whether it takes another exchange, if it has room."""

    @property
    def room(self) -> int:
        """How many exchanges it carries at once."""

    def hang_up(self) -> asyncio.Future[None]:
        """Closes it, if it is open; the future is done when its socket is closed."""


C = TypeVar("C", bound=Connection)
K = TypeVar("K", bound=Hashable)


class Line(Generic[K, C]):
    __slots__ = ("connection", "free", "in_use", "key", "since")

    def __init__(self, key: K, connection: C) -> None:
        self.key = key
        self.connection = connection
        self.in_use = 0
        self.free = False  # it is among those that have room
        self.since = 0.0  # of its last use


class Lines(Generic[K, C]):
    """`dial(key)` opens a connection; of those that nobody uses `most_idle` are kept, the last ones used.

    `shared(key)`: whether one connection may serve many. Who comes while such a one is dialled waits for it.
    """

    def __init__(
        self,
        dial: Callable[[K], Awaitable[C]],
        *,
        shared: Callable[[K], bool],
        most_idle: int,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._now = now
        self._dial = dial
        self._shared = shared
        self._most_idle = most_idle
        self._free: dict[K, list[Line[K, C]]] = {}  # with room; the last one is the last one used
        self._idle: OrderedDict[Line[K, C], None] = OrderedDict()  # of them, unused; the first one longest
        self._dialled: dict[K, asyncio.Future[bool]] = {}  # whether it came to be a connection for many
        self._closed = False

    async def take(self, key: K) -> Line[K, C]:
        """A line with room for one more exchange, to be given back once. Raises what `dial` raises."""
        many = self._shared(key)
        line = self._found(key)
        while line is None and many and key in self._dialled:
            many = await asyncio.shield(self._dialled[key])
            line = self._found(key)
        if line is None:
            line = Line(key, await (self._dial_for_many(key) if many else self._dial(key)))
        return self._used(line)

    def give_back(self, line: Line[K, C]) -> None:
        line.in_use -= 1
        if self._closed or not line.connection.usable:
            self._forget(line)
            return
        if not line.free and line.in_use < line.connection.room:
            line.free = True
            self._free.setdefault(line.key, []).append(line)
        if not line.in_use:
            line.since = self._now()
            self._idle[line] = None
            if len(self._idle) > self._most_idle:
                self._forget(next(iter(self._idle)))

    async def close(self) -> None:
        self._closed = True
        lines = [line for free in self._free.values() for line in free]
        self._free.clear()
        self._idle.clear()
        for closing in [line.connection.hang_up() for line in lines]:
            await closing

    # ── the steps ────────────────────────────────────────────────────────────────────────────────────────

    def _found(self, key: K) -> Line[K, C] | None:
        free = self._free.get(key)
        while free:
            line = free[-1]
            stale = not line.in_use and self._now() - line.since > IDLE_SECONDS
            if stale or not line.connection.usable:
                self._forget(line)
            elif line.in_use >= line.connection.room:  # it has shrunk
                self._take_off(line)
            else:
                return line
        return None

    def _used(self, line: Line[K, C]) -> Line[K, C]:
        if not line.in_use:
            self._idle.pop(line, None)
        line.in_use += 1
        if line.in_use >= line.connection.room:
            self._take_off(line)
        elif not line.free:
            line.free = True
            self._free.setdefault(line.key, []).append(line)
        return line

    def _take_off(self, line: Line[K, C]) -> None:
        if line.free:
            line.free = False
            free = self._free[line.key]
            free.remove(line)  # the first one or the last one, but for a line that died unused
            if not free:
                del self._free[line.key]

    def _forget(self, line: Line[K, C]) -> None:
        self._take_off(line)
        self._idle.pop(line, None)
        if not line.in_use:
            line.connection.hang_up()

    async def _dial_for_many(self, key: K) -> C:
        dialled = self._dialled[key] = asyncio.get_running_loop().create_future()
        try:
            connection = await self._dial(key)
        except Exception as error:
            dialled.set_exception(error)
            dialled.exception()  # nobody may be waiting
            raise
        else:
            dialled.set_result(connection.room > 1)
        finally:
            del self._dialled[key]
            if not dialled.done():
                dialled.set_result(True)  # given up by the one who dialled: the next one tries
        return connection
