"""Pools: sessions of a library, one for each key (a proxy, a way to verify), the longest unused closed first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import AsyncExitStack
from typing import Generic, TypeVar

S = TypeVar("S")
K = TypeVar("K", bound=Hashable)

KEPT_SESSIONS = 64  # in a pool; more only while all of them are in use


class Kept(Generic[S]):
    """A session and how many exchanges use it. Given back with `release`, once an exchange."""

    __slots__ = ("in_use", "session")

    def __init__(self, session: S) -> None:
        self.session = session
        self.in_use = 0

    def release(self) -> None:
        self.in_use -= 1


class Pool(Generic[K, S]):
    """`make(key)` opens a session, `close(session)` ends it; one that is in use is never closed."""

    def __init__(
        self, make: Callable[[K], S], close: Callable[[S], Awaitable[None]], *, most: int = KEPT_SESSIONS
    ) -> None:
        self._make = make
        self._close = close
        self._most = most
        self._kept: OrderedDict[K, Kept[S]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    async def take(self, key: K) -> Kept[S]:
        """The session for `key`, counted as in use. Raises what `make` raises."""
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = Kept(self._make(key))
        else:
            self._kept.move_to_end(key)
        kept.in_use += 1
        await self._close_idle()
        return kept

    async def _close_idle(self) -> None:
        while len(self._kept) > self._most:
            idle = next((key for key, kept in self._kept.items() if not kept.in_use), None)
            if idle is None:
                return
            await self._close(self._kept.pop(idle).session)

    async def close(self) -> None:
        async with AsyncExitStack() as closing:
            for kept in self._kept.values():
                closing.push_async_callback(self._close, kept.session)
            self._kept.clear()
