"""The aiohttp client: one shared session, and one for each SOCKS proxy in use."""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Self

import aiohttp
import aiohttp_socks
import python_socks
from multidict import CIMultiDict
from yarl import URL

from scraper import errors
from scraper.request import Request
from scraper.settings import Settings
from scraper.urls import redact

LONGEST_LINE = 65_536  # bytes of a header line; security policies grow past aiohttp's 8,190
KEPT_SESSIONS = 64  # SOCKS proxies whose connections are kept open; the longest unused is closed first


SOCKS_ERRORS = (
    aiohttp_socks.ProxyError
    | aiohttp_socks.ProxyConnectionError
    | aiohttp_socks.ProxyTimeoutError
    | python_socks.ProxyError
)
PROXY_SCHEMES = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})


def _proxy(request: Request) -> str:
    """The proxy's URL, or "". Raises InvalidRequest for what is none: it must never be passed by."""
    scheme, colon, rest = (request.proxy or "").partition(":")
    proxy = scheme.lower() + colon + rest
    if proxy:
        try:
            url = URL(proxy)
        except ValueError:
            url = URL("")
        if url.scheme not in PROXY_SCHEMES or not url.host:
            raise errors.InvalidRequest(f"{redact(proxy)!r} is no proxy's URL.", request=request)
    for alias, scheme in (
        ("socks5h://", "socks5://"),
        ("socks4a://", "socks4://"),
    ):  # the proxy looks names up
        if proxy.startswith(alias):
            proxy = scheme + proxy.removeprefix(alias)
    return proxy


class Kept:
    """A session and how many of its answers are being read."""

    __slots__ = ("in_use", "session")

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.in_use = 0


class AiohttpIncoming:
    __slots__ = ("_kept", "_reply", "_request", "headers", "status")

    def __init__(self, reply: aiohttp.ClientResponse, request: Request, kept: Kept) -> None:
        self._reply = reply
        self._request = request
        self._kept = kept
        self.status = reply.status
        self.headers: CIMultiDict[str] = CIMultiDict(reply.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._reply.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise translated(error, self._request) from error

    async def close(self) -> None:
        self._kept.in_use -= 1
        if self._reply.content.is_eof():
            self._reply.release()
        else:
            self._reply.close()  # the rest of an unread body would be taken for the next answer


class AiohttpClient:
    """`connect`: seconds for name, TCP, TLS and a proxy's tunnel; other timeouts are ours, above every client."""

    def __init__(self, *, connect: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect, ceil_threshold=float("inf"))
        self._sessions: OrderedDict[str, Kept] = (
            OrderedDict()
        )  # SOCKS proxy's URL ("": none, or an HTTP proxy)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(connect=settings.timeouts.connect)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with AsyncExitStack() as closing:
            for kept in self._sessions.values():
                closing.push_async_callback(kept.session.close)
            self._sessions.clear()

    async def open(self, request: Request) -> AiohttpIncoming:
        proxy = _proxy(request)
        socks = proxy.startswith("socks")
        kept = await self._kept(proxy if socks else "", request)
        kept.in_use += 1
        try:
            reply = await kept.session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
                proxy=None if socks else proxy or None,
            )
        except BaseException as error:
            kept.in_use -= 1
            if isinstance(error, aiohttp.ClientError | OSError | ValueError | SOCKS_ERRORS):
                raise translated(error, request) from error
            raise
        incoming = AiohttpIncoming(reply, request, kept)
        if reply.status == 407 and proxy:
            await incoming.close()
            raise errors.ProxyFailed("The proxy wants another user or password (407).", request=request)
        return incoming

    async def _kept(self, socks_proxy: str, request: Request) -> Kept:
        kept = self._sessions.get(socks_proxy)
        if kept is None:
            try:
                kept = self._sessions[socks_proxy] = Kept(self._new_session(socks_proxy))
            except ValueError as error:
                raise translated(error, request) from error
        if socks_proxy:
            self._sessions.move_to_end(socks_proxy)
            await self._close_longest_idle()
        return kept

    async def _close_longest_idle(self) -> None:
        if len(self._sessions) > KEPT_SESSIONS:
            idle = next((name for name, kept in self._sessions.items() if name and not kept.in_use), None)
            if idle is not None:
                await self._sessions.pop(idle).session.close()

    def _new_session(self, socks_proxy: str) -> aiohttp.ClientSession:
        options: dict[str, Any] = {"limit": 0, "ttl_dns_cache": 60}  # slots are counted at the gate
        connector: aiohttp.BaseConnector = (
            aiohttp_socks.ProxyConnector.from_url(socks_proxy, **options)
            if socks_proxy
            else aiohttp.TCPConnector(**options)
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            trust_env=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )


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
        case aiohttp.ClientProxyConnectionError() | aiohttp.ClientHttpProxyError():
            return errors.ProxyFailed
        case _ if isinstance(error, SOCKS_ERRORS):
            return errors.ProxyFailed
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
