"""The site that clients are measured against: one page of 19 KB, answered as fast as one process can."""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import cast

PAGE_BYTES = 19_000
ROW = b"<tr><td class=n>%d</td><td><a href=/p/%d>A page among many others of this site</a></td></tr>\n"
PATIENCE = 10  # seconds for the process to begin


def page() -> bytes:
    body = b"<!doctype html><title>A page</title><table>" + b"".join(ROW % (n, n) for n in range(250))
    return body[:PAGE_BYTES].ljust(PAGE_BYTES) + b"</table>"


class Answering(asyncio.Protocol):
    """Any GET gets the page; /robots.txt is not there. Requests may come one behind the other."""

    BODY = page()
    PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (
        len(BODY),
        BODY,
    )
    NO_ROBOTS = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    def __init__(self) -> None:
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *whole, self._heard = (self._heard + data).split(b"\r\n\r\n")
        for head in whole:
            self._transport.write(self.NO_ROBOTS if head.startswith(b"GET /robots.txt ") else self.PAGE)


@contextmanager
def serving() -> Iterator[str]:
    """The site in a process of its own; its URL."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,), daemon=True)
    process.start()
    try:
        if not here.poll(PATIENCE):
            raise RuntimeError("The bundled site did not begin to serve.")
        yield f"http://127.0.0.1:{here.recv()}/p/"
    finally:
        process.terminate()
        process.join()


def _serve(port: Connection) -> None:
    try:
        import uvloop
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run

    async def forever() -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        server = await asyncio.get_running_loop().create_server(Answering, sock=listener)
        port.send(listener.getsockname()[1])
        await server.serve_forever()

    run(forever())
