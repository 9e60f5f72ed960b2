"""The faulty site itself: listens, remembers who asked for what, and closes at once."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

from multidict import CIMultiDict

from tests.faulty import bodies, encodings, pages, raw, redirects
from tests.faulty.message import Answer, Request, missing, page
from tests.faulty.wire import Wire

HOST = "127.0.0.1"
BACKLOG = 1024
LOG_LIMIT = 10_000

PAGES = pages.PAGES | redirects.PAGES | bodies.PAGES | encodings.PAGES


class Seen(NamedTuple):
    """A request in the log; `path` is the target as sent, query included."""

    method: str
    path: str
    headers: CIMultiDict[str]


class FaultySite:
    """A misbehaving web site on a free port of loopback.

    `robots` is what /robots.txt answers: a text, a status, or another path of this site to behave like
    (`"/reset"`, `"/redirect-loop"`).
    """

    def __init__(self, *, robots: str | int = "User-agent: *\nDisallow:\n") -> None:
        self.robots = robots
        self.log: list[Seen] = []
        """The newest requests, oldest first; at most `LOG_LIMIT`."""
        self.accepted = 0
        """Connections so far, closed ones included."""
        self._hits: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._crashes: list[BaseException] = []
        self._changed = asyncio.Event()
        self._closing = False

    async def __aenter__(self) -> Self:
        self._listener = socket.create_server((HOST, 0), backlog=BACKLOG)
        self._listener.setblocking(False)
        self._address = self._listener.getsockname()
        self._acceptor = asyncio.create_task(self._accept())
        return self

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._address[1]}"

    def hits(self, path: str) -> int:
        """How often a path was asked for: whatever the query, or with exactly this one."""
        return self._hits[path]

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._tasks)

    async def until(self, claim: Callable[[], bool]) -> None:
        """Waits until a request or a parting client has made the claim true."""
        while not claim():
            self._changed.clear()
            await self._changed.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop_accepting()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._crashes:
            raise BaseExceptionGroup("The faulty site is faulty in ways it shouldn't be.", self._crashes)

    async def _stop_accepting(self) -> None:
        """Visits itself once more: cancelling an accept() could lose the socket that it just got."""
        self._closing = True
        with self._listener, socket.socket() as farewell:
            farewell.setblocking(False)
            farewell.connect_ex(self._address)
            await self._acceptor

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            conn, _ = await loop.sock_accept(self._listener)
            if self._closing:
                conn.close()
                return
            self.accepted += 1
            task = asyncio.create_task(self._serve(conn))
            self._tasks.add(task)
            task.add_done_callback(partial(self._part, conn))

    def _part(self, conn: socket.socket, task: asyncio.Task[None]) -> None:
        conn.close()  # a task that was cancelled before its first step never did
        self._tasks.discard(task)
        self._changed.set()
        if not task.cancelled() and (error := task.exception()):
            self._crashes.append(error)

    async def _serve(self, conn: socket.socket) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):  # the client left first
            async with Wire.open(conn) as wire:
                while await self._answer_one(wire):
                    pass

    async def _answer_one(self, wire: Wire) -> bool:
        """Whether the connection may carry another request."""
        try:
            request = self._record(await wire.receive())
        except ValueError as error:
            await wire.refuse(f"Bad request: {error!r}")
            return False
        answer = await self._answer(request, wire)
        if answer is None:
            return False
        await wire.send(answer, request)
        return request.keep_alive

    def _record(self, request: Request) -> Request:
        """Counts the request before anything is answered, so that a client never knows more than the log."""
        self.log.append(Seen(request.method, request.target, request.headers))
        del self.log[:-LOG_LIMIT]
        self._hits.update({request.path, request.target})
        self._changed.set()
        return replace(request, visit=self._hits[request.path])

    async def _answer(self, request: Request, wire: Wire) -> Answer | None:
        """None when the connection is spent."""
        if request.path == "/robots.txt":
            if not str(self.robots).startswith("/"):
                return pages.robots(self.robots)
            request = replace(request, path=str(self.robots))
        try:
            if broken := raw.FAULTS.get(request.name):
                return await broken(request, wire)
            return PAGES.get(request.name, _missing)(request)
        except LookupError:
            return missing()
        except ValueError as error:
            return page(f"Bad parameter: {error}", status=400)


def _missing(request: Request) -> Answer:
    return missing()
