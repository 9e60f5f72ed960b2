"""Sockets: a WebSocket as a spider sees it, and the request that opens one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import orjson
from multidict import CIMultiDict

from scraper.errors import Decision, FetchError
from scraper.request import Request
from scraper.response import NOT_LOOKED_AT, Response

SCHEMES = {"ws": "http", "wss": "https"}


class Socket(Protocol):
    """An open WebSocket, as a client hands it over. Pings are its own affair. Raises FetchError."""

    headers: CIMultiDict[str]

    async def receive(self) -> str | bytes | None:
        """The next message whole; None: the other side has closed in order."""

    async def send(self, data: str | bytes) -> None: ...
    async def close(self) -> None: ...


class Handshake(Request):
    """The GET that opens a WebSocket (RFC 6455 §4.1). Middlewares see it as any request of its https:// URL."""

    @classmethod
    def of(cls, request: Request) -> Handshake:
        scheme, rest = request.url.split(":", 1)
        new = object.__new__(cls)
        new.__dict__.update(request.__dict__)
        new.__dict__["url"] = f"{SCHEMES[scheme]}:{rest}"
        return new


def is_socket(url: str) -> bool:
    """Whether a normalized URL is one of WebSocket's."""
    return url.startswith(("ws://", "wss://"))


class Lost(Decision):
    """The connection broke: said by `messages`, through the callback, to whoever runs it."""

    def __init__(self, error: FetchError) -> None:
        super().__init__(error.reason)
        self.error = error


class Left(Decision):
    """The crawl stops, and with it the wait for messages."""


class Message:
    """One message. `data`: str of a text frame, bytes of a binary one; `ordinal`: from 0, over all lives of the run."""

    __slots__ = ("data", "ordinal")

    def __init__(self, data: str | bytes, ordinal: int) -> None:
        self.data = data
        self.ordinal = ordinal

    @property
    def text(self) -> str:
        """Raises UnicodeDecodeError for bytes that are no UTF-8."""
        return self.data if isinstance(self.data, str) else self.data.decode()

    def json(self) -> Any:
        """Raises orjson.JSONDecodeError (a ValueError)."""
        return orjson.loads(self.data)


class Messages:
    """`async for message in response.messages`: what the callback yields before it asks for the next message is
    committed as a page of its own. Ends when the site closes the socket."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._left = False
        self.ordinal = -1  # of the last message
        self.received = 0  # in this life of the socket
        self.between: Callable[[], Awaitable[None]] | None = None  # the last message is done with
        self.arrived: Callable[[Message], None] | None = None

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message:
        if self.between is not None:
            await self.between()
        try:
            data = None if self._left else await self._socket.receive()
        except FetchError as error:
            if self._left:
                raise Left from error
            raise Lost(error) from error
        if self._left:
            raise Left
        if data is None:
            raise StopAsyncIteration
        self.ordinal += 1
        self.received += 1
        message = Message(data, self.ordinal)
        if self.arrived is not None:
            self.arrived(message)
        return message

    async def leave(self) -> None:
        """Whoever waits for a message is told that there will be none."""
        self._left = True
        await self._socket.close()


class SocketResponse(Response):
    """The answer to a handshake (status 101), and the socket that is open now."""

    def __init__(self, request: Request, socket: Socket, *, status: int = 101, elapsed: float = 0.0) -> None:
        self.__dict__.update(
            url=request.url,
            status=status,
            headers=socket.headers,
            body=b"",
            request=request,
            wire_bytes=0,
            elapsed=elapsed,
            proxy="",
            saved=None,
            **NOT_LOOKED_AT,
            _socket=socket,
            messages=Messages(socket),
        )

    messages: Messages

    async def send(self, data: str | bytes | dict[str, Any] | list[Any]) -> None:
        """A text message for str, a binary one for bytes; dicts and lists go as JSON text. Raises FetchError."""
        socket: Socket = self.__dict__["_socket"]
        try:
            await socket.send(data if isinstance(data, str | bytes) else orjson.dumps(data).decode())
        except FetchError as error:
            raise Lost(error) from error

    async def aclose(self) -> None:
        """Says goodbye; `messages` ends."""
        await self.__dict__["_socket"].close()
