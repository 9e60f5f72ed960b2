"""A site that speaks nothing but HTTP/2, and breaks off in every way that HTTP/2 has."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes, Settings

PIECE = 16_384


@dataclass
class Asked:
    """One request. `connection`: its number, from 1."""

    connection: int
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""


@dataclass
class Http2Site:
    """What a path does is told at `Conversation._answer`. `most_at_once`: exchanges on a connection."""

    most_at_once: int = 100
    deaf: bool = False  # it takes no more of a body than what fits its window
    asked: list[Asked] = field(default_factory=list)
    accepted: int = 0
    open: int = 0  # connections
    resets: list[str] = field(default_factory=list)  # paths of which the client wants no more
    busiest: int = 0  # exchanges on one connection at a time
    sent: int = 0  # bytes of all bodies
    blocked: bool = False  # a client takes no more for now

    def __post_init__(self) -> None:
        self.changed = asyncio.Condition()
        self._numbers = count(1)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        try:
            await Conversation(self, next(self._numbers), reader, writer).run()
        finally:
            self.open -= 1
            await self.note()

    async def note(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, claim) -> None:
        """Until `claim()` holds; 5 seconds at most."""
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(claim)

    def hits(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)


class Conversation:
    def __init__(
        self, site: Http2Site, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._site = site
        self._number = number
        self._reader = reader
        self._writer = writer
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._running: dict[int, Asked] = {}
        self._windows = asyncio.Condition()
        self._answers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        limits = {SettingCodes.MAX_CONCURRENT_STREAMS: self._site.most_at_once}
        self._h2.local_settings = Settings(client=False, initial_values=limits)
        self._h2.initiate_connection()
        self._h2.local_settings = Settings(client=False)  # who breaks them is refused, not cut off
        await self._flush()
        try:
            while data := await self._reader.read(65_536):
                for event in self._h2.receive_data(data):
                    await self._hear(event)
                await self._flush()
        finally:
            for answer in self._answers:
                answer.cancel()

    async def _hear(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers):
                if len(self._running) == self._site.most_at_once:
                    self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
                    return
                named = dict(headers)
                plain = [(name, value) for name, value in headers if not name.startswith(":")]
                asked = Asked(self._number, named[":method"], named[":path"], plain)
                self._running[stream] = asked
                self._site.asked.append(asked)
                self._site.busiest = max(self._site.busiest, len(self._running))
                await self._site.note()
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=size) if (
                stream in self._running
            ):
                self._running[stream].body += data
                if not self._site.deaf:
                    self._h2.acknowledge_received_data(size, stream)
            case StreamEnded(stream_id=stream) if stream in self._running:
                answer = asyncio.create_task(self._answer(stream, self._running[stream]))
                self._answers.add(answer)
                answer.add_done_callback(self._answers.discard)
            case StreamReset(stream_id=stream) if stream in self._running:
                self._site.resets.append(self._running.pop(stream).path)
                await self._site.note()
            case ConnectionTerminated():
                self._writer.close()
        async with self._windows:
            self._windows.notify_all()

    async def _answer(self, stream: int, asked: Asked) -> None:
        with suppress(OSError):
            match asked.path.strip("/").split("/"):
                case ["never"]:
                    return
                case ["stall"]:
                    self._h2.send_headers(stream, [(":status", "200")])
                    self._h2.send_data(stream, b"some")
                case ["reset", code]:
                    self._h2.reset_stream(stream, ErrorCodes[code])
                    self._running.pop(stream)
                case ["cut"]:
                    self._h2.send_headers(stream, [(":status", "200")])
                    self._h2.send_data(stream, b"some")
                    self._h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)
                    self._running.pop(stream)
                case ["garbage"]:
                    self._writer.write(b"\0\0\5\1\4\0\0\0\1hello")
                case ["hang-up"]:
                    self._writer.transport.abort()
                case ["goaway", code]:
                    self._go_away(ErrorCodes[code], stream)
                    if code == "NO_ERROR":  # what runs comes to its end
                        await self._page(stream, asked)
                    else:
                        self._writer.close()
                case ["goodbye"]:
                    await self._page(stream, asked)
                    self._go_away(ErrorCodes.NO_ERROR, stream)
                    self._writer.close()
                case ["big", size]:
                    await self._body(stream, [(":status", "200")], b"x" * int(size))
                case ["headers"]:
                    twice = [("x-twice", "one"), ("x-twice", "two"), ("x-latin", "café")]
                    await self._body(stream, [(":status", "404"), *twice], b"")
                case ["hints"]:
                    self._h2.send_headers(stream, [(":status", "103"), ("link", "</a.css>")])
                    await self._page(stream, asked)
                case _:
                    await self._page(stream, asked)
            await self._flush()

    def _go_away(self, code: ErrorCodes, last: int) -> None:
        """GOAWAY, written by hand: h2 would close the connection for itself too."""
        said = last.to_bytes(4, "big") + int(code).to_bytes(4, "big")
        self._writer.write(self._h2.data_to_send())
        self._writer.write(len(said).to_bytes(3, "big") + b"\x07\x00\x00\x00\x00\x00" + said)

    async def _page(self, stream: int, asked: Asked) -> None:
        fields = [(":status", "200"), ("content-type", "text/html")]
        await self._body(stream, fields, f"<h1>{asked.path}</h1>".encode())

    async def _body(self, stream: int, headers: list[tuple[str, str]], content: bytes) -> None:
        body = memoryview(content)
        self._h2.send_headers(stream, headers)
        if self._running[stream].method == "HEAD":
            body = body[:0]
        while body and stream in self._running:
            async with self._windows:
                window = self._h2.local_flow_control_window(stream)
                if window <= 0:
                    await self._block()
                    await self._windows.wait()
                    continue
            size = min(window, PIECE)
            self._h2.send_data(stream, bytes(body[:size]))
            self._site.sent += len(body[:size])
            body = body[size:]
            await self._flush()
        if stream in self._running:
            self._h2.end_stream(stream)
            self._running.pop(stream)

    async def _flush(self) -> None:
        self._writer.write(self._h2.data_to_send())
        try:
            async with asyncio.timeout(0.3):
                await self._writer.drain()
        except TimeoutError:
            await self._block()
            await self._writer.drain()

    async def _block(self) -> None:
        self._site.blocked = True
        await self._site.note()
