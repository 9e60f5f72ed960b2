"""What a client may meet on its way: servers of a few lines, HTTP and SOCKS5 proxies."""

import asyncio
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

HOST = "127.0.0.1"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on loopback; its port. At the end every connection is dropped."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            tasks.discard(task)
            writer.transport.abort()

    patience = 0.1 if tls else None  # seconds for a goodbye that not every client says
    server = await asyncio.start_server(connected, HOST, 0, ssl=tls, ssl_shutdown_timeout=patience)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else can take."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]


@contextmanager
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: the next one gets no answer."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for caller in waiting:
                caller.setblocking(False)
                caller.connect_ex(listener.getsockname())
            yield listener.getsockname()[1]
        finally:
            for caller in waiting:
                caller.close()


@dataclass
class Counted:
    """A site that keeps its connections open and counts them, and keeps the heads of what it is asked."""

    open: int = 0
    heads: list[str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head.decode())
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                await writer.drain()
        finally:
            self.open -= 1
            async with self.changed:
                self.changed.notify_all()


@dataclass
class Handshake:
    """TLS as far as its handshake; it says why it does not go on, which asyncio's servers keep to themselves."""

    context: ssl.SSLContext

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(received, sent, server_side=True)
        while data := await reader.read(65_536):
            received.write(data)
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                writer.write(sent.read())
                break
            writer.write(sent.read())
        await writer.drain()
        writer.write_eof()
        await reader.read()


async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Listens, and never says a word."""
    await asyncio.Event().wait()


async def say_hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One sound answer, then it hangs up."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
    await writer.drain()


async def talk_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers whatever comes, a TLS greeting too, in plain HTTP."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    await reader.read()


@dataclass
class HttpProxy:
    """Forwards, tunnels, or answers everything with `refusal`. `asked`: method, target, Proxy-Authorization."""

    refusal: bytes = b""
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.asked.append((method, target, fields.get("proxy-authorization", "")))
        if self.refusal:
            writer.write(self.refusal)
            await writer.drain()
            return
        address = urlsplit(f"//{target}" if method == "CONNECT" else target)
        there = await asyncio.open_connection(address.hostname, address.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            there[1].write(head)
        await joined((reader, writer), there)


@dataclass
class SocksProxy:
    """SOCKS5 (RFC 1928), with user and password (RFC 1929) if it has `credentials`; `reply`: 0 = go on."""

    credentials: tuple[str, str] | None = None
    reply: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        offered = await reader.readexactly(methods)
        method = 2 if self.credentials else 0
        writer.write(bytes([5, method if method in offered else 0xFF]))
        if method not in offered or (self.credentials and not await self._may_pass(reader, writer)):
            return
        address = await self._address(reader)
        self.asked.append(address)
        writer.write(bytes([5, self.reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        await writer.drain()
        if not self.reply:
            await joined((reader, writer), await asyncio.open_connection(*address))

    async def _may_pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        await reader.readexactly(1)
        said = [(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)]
        right = tuple(said) == self.credentials
        writer.write(bytes([1, 0 if right else 1]))
        await writer.drain()
        return right

    async def _address(self, reader: asyncio.StreamReader) -> tuple[str, int]:
        *_, kind = await reader.readexactly(4)
        if kind == 1:
            host = socket.inet_ntoa(await reader.readexactly(4))
        else:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        return host, int.from_bytes(await reader.readexactly(2))


@dataclass
class Socks4Proxy:
    """SOCKS4, and 4a with `names` (there is no RFC; OpenSSH's notes are what all follow)."""

    names: bool = False
    asked: list[tuple[str, str, int]] = field(default_factory=list)  # user, host, port

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(8)
        user = await self._text(reader)
        port, host = int.from_bytes(head[2:4], "big"), socket.inet_ntoa(head[4:8])
        if self.names and host == "0.0.0.1":
            host = await self._text(reader)
        self.asked.append((user, host, port))
        writer.write(bytes([0, 90, 0, 0, 0, 0, 0, 0]))
        await joined((reader, writer), await asyncio.open_connection(host, port))

    async def _text(self, reader: asyncio.StreamReader) -> str:
        return (await reader.readuntil(b"\0"))[:-1].decode()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def joined(one: Ends, other: Ends) -> None:
    """Carries bytes both ways until either end has had enough."""
    ways = [asyncio.create_task(_carry(one[0], other[1])), asyncio.create_task(_carry(other[0], one[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        other[1].transport.abort()
        await asyncio.gather(*ways, return_exceptions=True)


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        target.write(data)
        await target.drain()


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
