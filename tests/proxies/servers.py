"""Proxies of a few lines, for what no real one shows."""

import asyncio
import socket
from dataclasses import dataclass, field

from tests.clients.servers import joined


@dataclass
class Socks4Proxy:
    """SOCKS4, and 4a: a name instead of an address. `asked`: what it was told to connect to."""

    asked: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        port = int.from_bytes(await reader.readexactly(2))
        address = await reader.readexactly(4)
        await reader.readuntil(b"\0")  # who asks
        if address.startswith(b"\0\0\0"):
            host = (await reader.readuntil(b"\0"))[:-1].decode()
        else:
            host = socket.inet_ntoa(address)
        self.asked.append((host, port))
        writer.write(b"\0\x5a" + bytes(6))
        await joined((reader, writer), await asyncio.open_connection(host, port))


async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Opens a tunnel to nowhere, by CONNECT or SOCKS5, and hangs up as soon as something comes through it."""
    if (await reader.readexactly(1)) == b"C":
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        await reader.readexactly((await reader.readexactly(1))[0])
        writer.write(b"\5\0")
        await reader.read(1024)
        writer.write(b"\5\0\0\1" + bytes(6))
    await reader.readexactly(1)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same sound answer to each request."""
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
