"""A connection's bytes, for httpcore: asyncio's own transport, without the layers that serve other event loops."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from contextlib import suppress
from typing import Any

import httpcore

ENOUGH = 262_144  # bytes that nobody has taken: the peer waits


class Stream(asyncio.Protocol, httpcore.AsyncNetworkStream):
    """Raises httpcore's ReadError, WriteError and WriteTimeout; time for the rest is kept above."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._received: deque[bytes] = deque()
        self._size = 0
        self._ended = False  # nothing more will come
        self._error: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] | None = None  # None: the transport takes more
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def usable(self) -> bool:
        """Whether a request may be sent: nobody hung up, and nothing came that was not asked for."""
        return not self._ended and not self._received

    # ── for httpcore ─────────────────────────────────────────────────────────────────────────────────────

    async def read(self, max_bytes: int = 0, timeout: float | None = None) -> bytes:
        """What has come, as it came, whatever `max_bytes`; b"" at the end."""
        while not self._received:
            if self._error is not None:
                raise httpcore.ReadError(str(self._error)) from self._error
            if self._ended:
                return b""
            await self._more()
        data = self._received.popleft()
        if self._size > ENOUGH >= self._size - len(data) and not self._ended:
            self._transport.resume_reading()
        self._size -= len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._ended:
            raise httpcore.WriteError("The connection is closed.") from self._error
        if buffer:  # an empty body is written too
            self._transport.write(buffer)
        if self._writers is None:  # usual case: all of it is on its way
            return
        try:
            async with asyncio.timeout(timeout):
                await self._writable()
        except TimeoutError:
            raise httpcore.WriteTimeout(f"Nothing of the body was taken for {timeout:g} s.") from None

    async def aclose(self) -> None:
        self.hang_up()

    def hang_up(self) -> asyncio.Future[None]:
        """At once: no goodbye in TLS, nobody waits for one. The future is done when the socket is closed."""
        self._transport.abort()
        return self._gone

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        """TLS from here on, in TLS too. Raises OSError."""
        loop = asyncio.get_running_loop()
        made = await loop.start_tls(self._transport, self, ssl_context, server_hostname=server_hostname)
        if made is None:
            raise ConnectionResetError("The connection was closed in the TLS handshake.")
        self._transport = made
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._transport.get_extra_info(info)

    # ── for asyncio ──────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # TCP's and TLS's are Transports

    def data_received(self, data: bytes) -> None:
        self._received.append(data)
        self._size += len(data)
        if self._size > ENOUGH >= self._size - len(data):
            with suppress(RuntimeError):  # the connection is closing
                self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True  # and the transport closes: nothing is left to say
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended, self._error = True, self._error or error
        self._wake()
        self.resume_writing()
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._writers = []

    def resume_writing(self) -> None:
        for writer in self._writers or ():
            if not writer.done():
                writer.set_result(None)
        self._writers = None

    def hand_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Makes another protocol the one that this connection speaks; it gets what has come already."""
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        for data in self._received:
            protocol.data_received(data)
        if self._ended:
            protocol.connection_lost(self._error)
        return self._transport

    async def _more(self) -> None:
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await self._reader
        finally:
            self._reader = None

    async def _writable(self) -> None:
        if self._writers is not None:
            writer = asyncio.get_running_loop().create_future()
            self._writers.append(writer)
            await writer
            if self._ended:
                raise httpcore.WriteError("The connection was lost.") from self._error

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
