"""One connection: reads requests, writes sound answers, and hands out the tools to break them."""

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Self

from tests.faulty.message import BODILESS, Answer, Request, head

READ_SIZE = 65_536
LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Wire:
    """A connection whose every write is on its way before the next step, so that cuts fall where intended."""

    def __init__(
        self, conn: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._conn = conn
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, conn: socket.socket) -> AsyncIterator[Self]:
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a body's second piece waits 40 ms
        reader, writer = await asyncio.open_connection(sock=conn)
        writer.transport.set_write_buffer_limits(0)  # drain() then waits until the kernel has all of it
        try:
            yield cls(conn, reader, writer)
        finally:
            writer.transport.abort()  # sends FIN as close() does, but waits for no slow reader
            with suppress(OSError):
                await writer.wait_closed()

    async def receive(self) -> Request:
        """The next request with its body.

        Raises IncompleteReadError when the client has left and ValueError when that wasn't HTTP.
        """
        try:
            request = Request.parse(await self._reader.readuntil(b"\r\n\r\n"))
        except asyncio.LimitOverrunError as error:
            raise ValueError("The request's head is too long.") from error
        if request.headers.get("Expect", "").lower() == "100-continue":
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return replace(request, body=await self._read_body(request))

    async def send(self, answer: Answer, request: Request) -> None:
        """Sends the answer as its request may have it: HEAD gets the head alone."""
        start = answer.head(keep_alive=request.keep_alive)
        if request.method == "HEAD" or answer.status in BODILESS:
            await self.write(start)
        elif isinstance(answer.body, bytes):
            await self.write(start + answer.body)
        else:
            await self.write(start)
            await self._stream(answer.body, chunked=answer.chunked)

    async def refuse(self, reason: str) -> None:
        """Answers what was no request; nothing can follow on this connection."""
        fields = ("Connection", "close"), ("Content-Type", "text/plain"), ("Content-Length", str(len(reason)))
        await self.write(head(400, *fields) + reason.encode())

    async def write(self, data: bytes) -> None:
        if self._writer.is_closing():  # uvloop would raise RuntimeError
            raise ConnectionResetError("The client has left.")
        self._writer.write(data)
        await self._writer.drain()

    async def next_byte(self) -> None:
        """Waits until the client sends something or leaves."""
        await self._reader.read(1)

    async def silence(self) -> None:
        """Says nothing until the client leaves."""
        while await self._reader.read(READ_SIZE):
            pass

    async def pause(self, seconds: float) -> None:
        """Says nothing for so long. Raises ConnectionResetError when the client won't wait."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.silence()
            raise ConnectionResetError("The client has left.")

    def reset(self) -> None:
        """Makes the close that follows an RST in place of a FIN."""
        self._conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)

    async def _read_body(self, request: Request) -> bytes:
        if "chunked" in request.headers.get("Transfer-Encoding", "").lower():
            return await self._read_chunks()
        return await self._reader.readexactly(int(request.headers.get("Content-Length", 0)))

    async def _read_chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        while await self._reader.readline() not in {b"\r\n", b""}:
            pass  # trailers
        return body

    async def _stream(self, body: AsyncGenerator[bytes], *, chunked: bool) -> None:
        async with aclosing(body) as pieces:
            async for piece in pieces:
                if piece:  # an empty chunk would end the body
                    await self.write(chunk(piece) if chunked else piece)
        if chunked:
            await self.write(chunk(b""))


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)
