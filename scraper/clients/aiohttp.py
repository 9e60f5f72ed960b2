"""The aiohttp client: one session for what goes directly, and one for each proxy in use."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp
import aiohttp_socks
import python_socks
from multidict import CIMultiDict
from yarl import URL

from scraper import errors
from scraper.clients.aiohttp_exchange import LONGEST_LINE, exchange, exchange_by_session, is_usual
from scraper.clients.pools import Kept, Pool
from scraper.clients.proxy_urls import proxy_of
from scraper.protocols import Refusal
from scraper.request import Request
from scraper.settings import Settings
from scraper.sockets import Handshake
from scraper.tls import context, unverified_hosts
from scraper.urls import host, lane

SOCKS_ERRORS = (
    aiohttp_socks.ProxyError
    | aiohttp_socks.ProxyConnectionError
    | aiohttp_socks.ProxyTimeoutError
    | python_socks.ProxyError
    | asyncio.IncompleteReadError  # the proxy hung up in its handshake
)
SOCKS4_UNKNOWN_USER = 0x5D
LAST_WORDS = 0.25  # seconds: what the library's documentation recommends
GOODBYE = 2.0  # seconds for the site to say it too
IN_ORDER = (1000, 1001)  # RFC 6455 §7.4.1: all is said, or the site goes away
ALIASES = {"socks5h": "socks5", "socks4a": "socks4"}  # as the library calls them


class AiohttpIncoming:
    __slots__ = ("_kept", "_reply", "_request", "headers", "status")

    def __init__(self, reply: aiohttp.ClientResponse, request: Request, kept: Kept[Any]) -> None:
        self._reply = reply
        self._request = request
        self._kept = kept
        self.status = reply.status
        self.headers: CIMultiDict[str] = CIMultiDict(reply.headers)

    def chunks(self) -> AsyncIterator[bytes]:
        return self  # an async generator would cost a page 3 µs

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._reply.content.readany()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise translated(error, self._request) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def close(self) -> None:
        self._kept.release()
        if self._reply.content.is_eof():
            self._reply.release()
        else:
            self._reply.close()  # the rest of an unread body would be taken for the next answer


class AiohttpSocket:
    """The library holds 64 KiB of messages at most that nobody has taken: then the site waits."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, request: Request, kept: Kept[Any]) -> None:
        self._socket = socket
        self._request = request
        self._kept: Kept[Any] | None = kept
        self.headers: CIMultiDict[str] = CIMultiDict(socket._response.headers)

    async def receive(self) -> str | bytes | None:
        message = await self._socket.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                return message.data  # type: ignore[no-any-return]  # str or bytes
            case aiohttp.WSMsgType.ERROR:
                raise self._broken(message.data)
        if self._socket.close_code in IN_ORDER:
            return None
        raise self._broken(self._socket.exception())

    def _broken(self, error: BaseException | None) -> errors.FetchError:
        code = self._socket.close_code
        if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
            kind: type[errors.FetchError] = errors.BodyTooLarge
        elif isinstance(error, aiohttp.WebSocketError):
            kind = errors.ProtocolViolation
        elif isinstance(error, aiohttp.ServerTimeoutError):
            kind = errors.ReadTimeout
        else:
            kind = errors.ConnectionLost
        broken = kind(f"The WebSocket was closed with {code}: {error or 'no word'}.", request=self._request)
        broken.__cause__ = error
        return broken

    async def send(self, data: str | bytes) -> None:
        try:
            await (self._socket.send_str(data) if isinstance(data, str) else self._socket.send_bytes(data))
        except (aiohttp.ClientError, OSError) as error:
            raise translated(error, self._request) from error

    async def close(self) -> None:
        if self._kept is not None:
            self._kept.release()
            self._kept = None
        await self._socket.close()


class AiohttpClient:
    """`connect`: seconds for name, TCP, TLS and a proxy's tunnel; other timeouts are ours, above every client.

    `unverified`: hosts (host or host:port) whose certificate is not looked at.
    """

    def __init__(
        self,
        *,
        connect: float,
        tls: ssl.SSLContext | bool = True,
        loose: ssl.SSLContext | bool = False,
        unverified: frozenset[str] = frozenset(),
    ) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=float("inf"))
        self._tls = tls
        self._loose = loose
        self._unverified = unverified
        self._spoke_tls_to_a_proxy = False
        # by a proxy's URL; "": directly
        self._pool: Pool[str, aiohttp.ClientSession] = Pool(self._new_session, aiohttp.ClientSession.close)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            connect=settings.timeouts.connect,
            tls=context(settings.tls),
            loose=context(settings.tls, verify=False),
            unverified=unverified_hosts(settings),
        )

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()  # asked for once: each time costs a system call (Python 3.11)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()
        if self._spoke_tls_to_a_proxy:  # the library closes such a connection, and waits for nobody's goodbye
            await asyncio.sleep(LAST_WORDS)

    async def open(self, request: Request) -> AiohttpIncoming:
        proxy = proxy_of(request)
        try:
            kept = await self._pool.take(proxy)
        except ValueError as error:
            raise translated(error, request) from error
        tls = self._loose if self._unverified and self._is_loose(request.url) else self._tls
        try:
            if is_usual(request, proxy):
                reply = await exchange(kept.session, request, tls, self._loop)
            else:
                reply = await exchange_by_session(kept.session, request, tls, proxy)
        except BaseException as error:
            kept.release()
            if isinstance(error, aiohttp.ClientError | OSError | ValueError | SOCKS_ERRORS):
                raise translated(error, request) from error
            raise
        return AiohttpIncoming(reply, request, kept)

    async def connect(self, request: Handshake, *, silence: float, max_size: int) -> AiohttpSocket | Refusal:
        """Its pings go out after `silence` seconds; who does not answer within half of that is gone."""
        proxy = proxy_of(request)
        try:
            kept = await self._pool.take(proxy)
        except ValueError as error:
            raise translated(error, request) from error
        try:
            socket = await kept.session.ws_connect(
                URL(request.url, encoded=True),
                headers=request.headers,
                proxy=None if proxy.startswith("socks") else proxy or None,
                ssl=self._loose if self._unverified and self._is_loose(request.url) else self._tls,
                heartbeat=silence,
                max_msg_size=max_size,
                timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE),
            )
        except BaseException as error:
            kept.release()
            if isinstance(error, aiohttp.WSServerHandshakeError):
                return Refusal(error.status, CIMultiDict(error.headers or {}))
            if isinstance(error, aiohttp.ClientError | OSError | ValueError | SOCKS_ERRORS):
                raise translated(error, request) from error
            raise
        return AiohttpSocket(socket, request, kept)

    def _is_loose(self, url: str) -> bool:
        return host(url) in self._unverified or lane(url) in self._unverified

    def _new_session(self, proxy: str) -> aiohttp.ClientSession:
        self._spoke_tls_to_a_proxy |= proxy.startswith("https:")
        options: dict[str, Any] = {"limit": 0, "ttl_dns_cache": 60}  # slots are counted at the gate
        connector: aiohttp.BaseConnector = (
            aiohttp_socks.ProxyConnector.from_url(
                _plain_socks(proxy), rdns=not proxy.startswith("socks4:"), **options
            )
            if proxy.startswith("socks")
            else aiohttp.TCPConnector(**options)
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )


def _plain_socks(proxy: str) -> str:
    scheme, _, rest = proxy.partition(":")
    return f"{ALIASES.get(scheme, scheme)}:{rest}"


def translated(error: BaseException, request: Request) -> errors.FetchError:
    """aiohttp's error as ours: the one door for them."""
    kind = _kind(error)
    if request.proxy and issubclass(kind, errors.NameNotResolved | errors.ConnectionRefused):
        kind = errors.ProxyFailed  # names and addresses of sites are the proxy's to find
    said = str(error) or type(error).__name__
    return kind(f"{kind.reason}: {said}" if kind is not errors.FetchError else said, request=request)


def _kind(error: BaseException) -> type[errors.FetchError]:
    cause = error.__cause__ or error.__context__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return errors.ConnectTimeout
        case aiohttp.ServerTimeoutError():
            return errors.ReadTimeout
        case aiohttp.ClientHttpProxyError():
            return errors.ProxyFailed if error.status == 407 else errors.ProxyRefused
        case aiohttp.ClientProxyConnectionError():
            return errors.ProxyFailed
        case _ if isinstance(error, SOCKS_ERRORS):
            answered = getattr(error, "error_code", None)  # None: it could not be asked
            return errors.ProxyFailed if answered in (None, SOCKS4_UNKNOWN_USER) else errors.ProxyRefused
        case aiohttp.ClientConnectorDNSError():
            return errors.NameNotResolved
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return errors.TLSFailed
        case aiohttp.ClientPayloadError():
            bad_chunk = isinstance(cause, aiohttp.http_exceptions.TransferEncodingError)
            if bad_chunk and "Not enough" not in str(cause):  # else the last chunk is missing
                return errors.ProtocolViolation
            return errors.ConnectionLost if isinstance(cause, ConnectionResetError) else errors.BodyTruncated
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return errors.InvalidRequest
        case (
            aiohttp.ServerDisconnectedError()
            | ConnectionResetError()
            | BrokenPipeError()
            | ConnectionAbortedError()
        ):
            return errors.ConnectionLost
        case ConnectionRefusedError():
            return errors.ConnectionRefused
        case aiohttp.ClientConnectorError():
            return _kind(error.os_error) if isinstance(error.os_error, OSError) else errors.ConnectionRefused
        case aiohttp.ClientOSError() | OSError():
            return errors.TLSFailed if isinstance(cause, ssl.SSLError) else errors.ConnectionLost
        case aiohttp.ClientResponseError() | aiohttp.ClientConnectionError():
            return errors.ProtocolViolation
        case ValueError() | TypeError():
            return errors.InvalidRequest  # a header with a line break, an unknown proxy scheme …
        case asyncio.TimeoutError():
            return errors.ConnectTimeout
    return errors.FetchError
