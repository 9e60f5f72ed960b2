"""A client that hides nothing: sends bytes, keeps every byte that comes back, and tells FIN from RST."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

READ_SIZE = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """All that came over one connection, and whether an RST ended it."""

    data: bytes
    reset: bool

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]

    def field(self, name: str) -> str | None:
        found = re.search(rf"(?im)^{name}: (.*)$", self.head.decode("latin-1"))
        return found and found[1].strip()


async def connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


def ask(target: str, *fields: str, method: str = "GET") -> bytes:
    """A request's head; what it says of keeping the connection is up to `fields`."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: site", *fields, "", ""]).encode()


async def fetch(url: str, target: str, *fields: str, method: str = "GET", body: bytes = b"") -> Reply:
    """Asks once, over a connection of its own, and reads until it ends."""
    return await send(url, ask(target, "Connection: close", *fields, method=method) + body)


async def send(url: str, request: bytes) -> Reply:
    reader, writer = await connect(url)
    data, reset = b"", False
    try:
        writer.write(request)
        while piece := await reader.read(READ_SIZE):
            data += piece
    except ConnectionResetError:
        reset = True
    finally:
        writer.transport.abort()
    return Reply(data=data, reset=reset)


def unchunk(body: bytes) -> bytes:
    """Raises ValueError when the last chunk is missing or a size is no number."""
    whole = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return whole
        whole, body = whole + body[:length], body[length + 2 :]
