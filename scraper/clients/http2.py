"""HTTP/2 for httpcore's requests: many exchanges over one connection, none of which waits for another.

In place of `httpcore.AsyncHTTP2Connection`, where an exchange without news keeps what came for the others from them,
where a connection that the site ends politely (GOAWAY, RFC 9113 §6.8) takes its running exchanges with it, and where
the site is never told that nobody reads on.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import httpcore
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import NoAvailableStreamIDError, ProtocolError, TooManyStreamsError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from scraper.clients.http2_exchanges import Exchange
from scraper.clients.streams import Stream

MOST_EXCHANGES = 100  # over one connection, where the site does not want fewer
WINDOW = 1_048_576  # bytes of one exchange that nobody has taken: its sender waits
WINDOWS = 16 * WINDOW  # the same, of all exchanges of a connection
OURS = {
    SettingCodes.ENABLE_PUSH: 0,
    SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
    SettingCodes.MAX_HEADER_LIST_SIZE: 262_144,  # bytes
}
CONFIG = H2Configuration(header_encoding=None, validate_inbound_headers=False)  # sites are careless
NOT_SENT = frozenset(
    {b"connection", b"host", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
FRAMING = frozenset({b"content-length", b"transfer-encoding"})  # what says that there is a body
NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
TARGET = re.compile(rb"[\x21-\x7e]+")
VALUE = re.compile(rb"[^\0\r\n]*")


class PoliteConnection(H2Connection):
    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        """h2 stops here; the exchanges that the site goes on with may come to their end."""
        if frame.error_code != ErrorCodes.NO_ERROR:
            return super()._receive_goaway_frame(frame)
        event = ConnectionTerminated()
        event.error_code, event.last_stream_id = ErrorCodes.NO_ERROR, frame.last_stream_id
        return [], [event]


class Http2Connection(asyncio.Protocol):
    """Raises httpcore's errors: ConnectionNotAvailable where the site has certainly not looked at the request."""

    def __init__(self, stream: Stream) -> None:
        self._h2 = PoliteConnection(CONFIG)
        self._h2.local_settings = Settings(client=True, initial_values=OURS)
        self._h2.decoder.max_header_list_size = OURS[SettingCodes.MAX_HEADER_LIST_SIZE]
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOWS)
        self._exchanges: dict[int, Exchange] = {}
        self._senders: list[asyncio.Future[None]] = []  # bodies on their way that wait for news
        self._full = False  # the transport takes no more
        self._open = True
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.usable = True
        self._transport = stream.hand_over(self)
        self._flush()

    @property
    def room(self) -> int:
        return min(self._h2.remote_settings.max_concurrent_streams, MOST_EXCHANGES)

    def hang_up(self) -> asyncio.Future[None]:
        self.usable = False
        self._transport.abort()
        return self._closed

    # ── for an exchange ──────────────────────────────────────────────────────────────────────────────────

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        exchange = self._begin(request)
        try:
            if not exchange.sent:
                await self._upload(exchange, request)
            await exchange.answered
        except BaseException:
            exchange.leave()
            raise
        return httpcore.Response(exchange.status, headers=exchange.headers, content=exchange)

    def acknowledge(self, number: int, size: int) -> None:
        if size and self._open:
            self._h2.acknowledge_received_data(size, number)
            self._flush()

    def forget(self, exchange: Exchange, untaken: int) -> None:
        if self._exchanges.pop(exchange.number, None) is None or not self._open:
            return
        if not (exchange.over and exchange.sent):
            with suppress(ProtocolError):  # the site was faster
                self._h2.reset_stream(exchange.number, ErrorCodes.CANCEL)
        self.acknowledge(exchange.number, untaken)
        self._flush()

    def _begin(self, request: httpcore.Request) -> Exchange:
        if not self.usable:
            raise httpcore.ConnectionNotAvailable("The connection came to its end.")
        headers = _headers(request)
        try:
            exchange = Exchange(self, self._h2.get_next_available_stream_id())
            exchange.sent = not any(
                name.lower() in FRAMING and value != b"0" for name, value in request.headers
            )
            self._h2.send_headers(exchange.number, headers, end_stream=exchange.sent)
        except (NoAvailableStreamIDError, TooManyStreamsError) as error:
            raise httpcore.ConnectionNotAvailable("The connection takes no more exchanges.") from error
        except ProtocolError as error:
            raise httpcore.LocalProtocolError(str(error)) from error
        self._exchanges[exchange.number] = exchange
        self._flush()
        return exchange

    async def _upload(self, exchange: Exchange, request: httpcore.Request) -> None:
        patience = request.extensions["timeout"]["write"]
        async for data in request.stream:  # type: ignore[union-attr]  # of bytes, which are read either way
            while data and not exchange.over:
                window = self._h2.local_flow_control_window(exchange.number)
                size = 0 if self._full else min(window, self._h2.max_outbound_frame_size)
                if size > 0:
                    self._h2.send_data(exchange.number, data[:size])
                    self._flush()
                    data = data[size:]
                else:
                    await self._news(patience)
        if not exchange.over:
            self._h2.end_stream(exchange.number)
            self._flush()
            exchange.sent = True

    async def _news(self, patience: float) -> None:
        sender = asyncio.get_running_loop().create_future()
        self._senders.append(sender)
        try:
            async with asyncio.timeout(patience):
                await sender
        except TimeoutError as error:
            raise httpcore.WriteTimeout(f"Nothing of the body was taken for {patience:g} s.") from error

    def _flush(self) -> None:
        if (data := self._h2.data_to_send()) and self._open:
            self._transport.write(data)

    # ── what the site says ───────────────────────────────────────────────────────────────────────────────

    def _hear(self, event: Event) -> None:
        match event:
            case DataReceived(stream_id=number, data=piece, flow_controlled_length=size):
                if exchange := self._exchanges.get(number):
                    exchange.add(piece, size)
                else:  # of one that was left
                    self._h2.acknowledge_received_data(size, number)
            case ResponseReceived(stream_id=number, headers=headers) if number in self._exchanges:
                self._exchanges[number].answer(headers)
            case StreamEnded(stream_id=number) if number in self._exchanges:
                self._exchanges[number].end()
            case StreamReset(stream_id=number, error_code=code) if number in self._exchanges:
                self._exchanges[number].end(_reset(code))
            case ConnectionTerminated(last_stream_id=last, error_code=code):
                self._terminated(last or 0, code or 0)
            case WindowUpdated() | RemoteSettingsChanged():
                self._tell_senders()

    def _terminated(self, last: int, code: int) -> None:
        self.usable = False
        for number, exchange in self._exchanges.items():
            if number > last:
                exchange.end(httpcore.ConnectionNotAvailable("The site ends the connection."))
            elif code != ErrorCodes.NO_ERROR:
                exchange.end(httpcore.ReadError(f"The site ended the connection: {_name(code)}."))
        self._tell_senders()

    def _fail(self, error: Exception) -> None:
        self.usable = False
        for exchange in self._exchanges.values():
            exchange.end(error)
        self._tell_senders()

    def _tell_senders(self) -> None:
        for sender in self._senders:
            if not sender.done():
                sender.set_result(None)
        self._senders.clear()

    # ── for asyncio ──────────────────────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        try:
            events = self._h2.receive_data(data)
        except ProtocolError as error:
            said = httpcore.RemoteProtocolError(str(error) or type(error).__name__)
            said.__cause__ = error
            self._fail(said)
            self._flush()
            self._transport.close()
            return
        for event in events:
            self._hear(event)
        self._flush()

    def eof_received(self) -> None:
        self._fail(httpcore.ReadError("The site closed the connection."))

    def connection_lost(self, error: Exception | None) -> None:
        self._open = False
        self._fail(httpcore.ReadError(str(error or "The connection was closed.")))
        if not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._tell_senders()


def _headers(request: httpcore.Request) -> list[tuple[bytes, bytes]]:
    """Raises LocalProtocolError for what HTTP/1.1 could not send either."""
    if not NAME.fullmatch(request.method) or not TARGET.fullmatch(request.url.target):
        raise httpcore.LocalProtocolError("That is no method, or no target of one.")
    for name, value in request.headers:
        if not NAME.fullmatch(name) or not VALUE.fullmatch(value):
            raise httpcore.LocalProtocolError(f"The header {name!r} can't be sent with this value.")
    fields = [(name.lower(), value) for name, value in request.headers]
    return [
        (b":method", request.method),
        (b":authority", next(value for name, value in fields if name == b"host")),
        (b":scheme", request.url.scheme),
        (b":path", request.url.target),
        *(field for field in fields if field[0] not in NOT_SENT),
    ]


def _reset(code: int) -> Exception:
    if code == ErrorCodes.REFUSED_STREAM:  # RFC 9113 §8.7: it was not looked at
        return httpcore.ConnectionNotAvailable("The site refused the exchange.")
    return httpcore.ReadError(f"The site broke the exchange off: {_name(code)}.")


def _name(code: int) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error {code}"
