"""The httpx client: httpx's engine, httpcore, with HTTP/2 where asked, over lines that are found in one step.

httpx's own pool looks at every connection for every request: with 1,000 of them it sends 62 requests a second.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import cache, lru_cache
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import httpcore
from multidict import CIMultiDict, CIMultiDictProxy

from scraper.clients.dialling import Dialler, Place, basic
from scraper.clients.http2 import FRAMING, Http2Connection
from scraper.clients.httpx_errors import FOREIGN, translated
from scraper.clients.lines import Line, Lines
from scraper.clients.proxy_urls import proxy_of
from scraper.clients.streams import Stream
from scraper.request import Request
from scraper.settings import Settings, TlsSettings
from scraper.tls import context, unverified_hosts
from scraper.urls import host, lane, redact

ATTEMPTS = 3  # connections that are tried one after the other while none has looked at the request
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})  # methods that say so where there is none (RFC 9110 §8.6)
ADDRESS = re.compile(r"([^:/?#]+://[^/?#]*)([^#]*)")
PORTS = {"http": 80, "https": 443}

Fields = list[tuple[bytes, bytes]]


class Http1Connection(httpcore.AsyncHTTP11Connection):
    room = 1

    def __init__(self, stream: Stream) -> None:
        super().__init__(NOWHERE, stream)
        self._wire = stream

    @property
    def usable(self) -> bool:
        return self.is_idle() and self._wire.usable

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        return True  # whoever took the line knows where it leads

    def hang_up(self) -> asyncio.Future[None]:
        return self._wire.hang_up()


NOWHERE = httpcore.Origin(b"", b"", 0)


class Site(NamedTuple):
    scheme: str
    host: str
    port: int
    name: bytes  # as the Host header says it
    authorization: bytes


class HttpxIncoming:
    __slots__ = ("_line", "_lines", "_reply", "_request", "headers", "status")

    def __init__(self, reply: httpcore.Response, request: Request, line: AnyLine, lines: AnyLines) -> None:
        self._reply = reply
        self._request = request
        self._line = line
        self._lines = lines
        self.status = reply.status
        self.headers: CIMultiDict[str] = CIMultiDict(
            [(str(name, "ascii"), str(value, "utf-8", "surrogateescape")) for name, value in reply.headers]
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._reply.stream:  # type: ignore[union-attr]  # an AsyncIterable
                yield chunk
        except FOREIGN as error:
            raise translated(error, self._request) from error

    async def close(self) -> None:
        try:
            await self._reply.stream.aclose()  # type: ignore[union-attr]  # has it, of both connections
        finally:
            self._lines.give_back(self._line)


class HttpxClient:
    """`connect`: seconds for name, TCP, TLS and a proxy's tunnel; `write`: of silence while a body is sent.

    `http2`: offer HTTP/2 to every site with TLS, as `Request(http2=True)` does for one request; a site that does
    not speak it answers over HTTP/1.1. `most_idle`: connections that are kept while nobody uses them.
    `unverified`: hosts (host or host:port) whose certificate is not looked at.
    """

    def __init__(
        self,
        *,
        connect: float,
        write: float,
        tls: TlsSettings,
        unverified: frozenset[str] = frozenset(),
        most_idle: int = 100,
        http2: bool = False,
    ) -> None:
        contexts = cache(lambda loose, http2: _context(tls, loose, http2))
        contexts(False, http2)  # raises SettingsError now where a file can't be used
        self._dial = Dialler(connect=connect, context=contexts)
        self._lines: AnyLines = Lines(self._connection, shared=_shared, most_idle=most_idle)
        self._extensions = {"timeout": {"write": write}}
        self._unverified = unverified
        self._http2 = http2
        self._last: tuple[object, tuple[Fields, set[bytes]]] = (None, ([], set()))  # headers, ready for use

    @classmethod
    def from_settings(cls, settings: Settings, *, http2: bool = False) -> Self:
        return cls(
            connect=settings.timeouts.connect,
            write=settings.timeouts.write,
            tls=settings.tls,
            unverified=unverified_hosts(settings),
            most_idle=settings.concurrency,
            http2=http2,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lines.close()

    async def open(self, request: Request) -> HttpxIncoming:
        proxy = proxy_of(request)
        try:
            place, asked = self._asked(request, proxy)
            line, reply = await self._sent(asked, place)
        except FOREIGN as error:
            raise translated(error, request) from error
        return HttpxIncoming(reply, request, line, self._lines)

    async def _sent(self, asked: httpcore.Request, place: Place) -> tuple[AnyLine, httpcore.Response]:
        for attempt in range(1, ATTEMPTS + 1):
            line = await self._lines.take(place)
            try:
                return line, await line.connection.handle_async_request(asked)
            except BaseException as error:
                self._lines.give_back(line)
                again = isinstance(error, httpcore.ConnectionNotAvailable) and attempt < ATTEMPTS
                if not again or not isinstance(asked.stream, Iterable):  # a body that is made as it is sent
                    raise
        raise AssertionError  # the last attempt returns or raises

    async def _connection(self, place: Place) -> Http1Connection | Http2Connection:
        stream = await self._dial(place)
        if _shared(place) and stream.get_extra_info("ssl_object").selected_alpn_protocol() == "h2":
            return Http2Connection(stream)
        return Http1Connection(stream)

    # ── a request, as httpcore takes it ──────────────────────────────────────────────────────────────────

    def _asked(self, request: Request, proxy: str) -> tuple[Place, httpcore.Request]:
        """Raises ValueError for what is no address of a page."""
        found = ADDRESS.match(request.url)
        if found is None:
            raise ValueError(f"{redact(request.url)[:200]!r} is no address of a page.")
        site, target = _site(found[1]), found[2] or "/"
        if not target.startswith("/"):
            target = "/" + target
        fields = self._headers(request, site)
        https = site.scheme == "https"
        if proxy and not https and not proxy.startswith("socks"):  # the proxy sends it on
            place = Place("http", "", 0, proxy, False, False)
            target = f"http://{site.name.decode()}{target}"
            fields += _proxy_fields(proxy)
        else:
            loose = bool(self._unverified) and self._is_loose(request.url)
            http2 = https and (self._http2 or request.http2)
            place = Place(site.scheme, site.host, site.port, proxy, http2, loose)
        url = httpcore.URL(scheme=site.scheme, host=b"", port=0, target=target.encode("ascii"))
        return place, httpcore.Request(
            request.method.encode("ascii"),
            url,
            headers=fields,
            content=request.body or None,  # type: ignore[arg-type]  # a str has become bytes
            extensions=self._extensions,
        )

    def _headers(self, request: Request, site: Site) -> Fields:
        fields, names = self._fields(request.headers)
        headers = list(fields)
        if b"host" not in names:
            headers.insert(0, (b"Host", site.name))
        if site.authorization and b"authorization" not in names:
            headers.append((b"Authorization", site.authorization))
        body = request.body
        if (body or request.method in WITH_BODY) and not names & FRAMING:
            if isinstance(body, bytes):
                headers.append((b"Content-Length", b"%d" % len(body)))
            else:
                headers.append((b"Transfer-Encoding", b"chunked"))
        return headers

    def _fields(self, headers: Mapping[str, str]) -> tuple[Fields, set[bytes]]:
        """As bytes, with their names in lower case."""
        if headers is self._last[0]:  # usual case: those of the settings, which all requests share
            return self._last[1]
        fields = [
            (name.encode("ascii"), value.encode("utf-8", "surrogateescape"))
            for name, value in headers.items()
        ]
        made = fields, {name.lower() for name, _ in fields}
        if type(headers) is CIMultiDictProxy:
            self._last = headers, made
        return made

    def _is_loose(self, url: str) -> bool:
        return host(url) in self._unverified or lane(url) in self._unverified


AnyLine = Line[Place, Http1Connection | Http2Connection]
AnyLines = Lines[Place, Http1Connection | Http2Connection]


def _shared(place: Place) -> bool:
    return place.http2


@lru_cache(maxsize=4096)
def _site(origin: str) -> Site:
    """Raises ValueError for what is no address of a site."""
    parts = urlsplit(origin)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ValueError(f"{redact(origin)[:200]!r} is no address of a site.")
    port = PORTS[parts.scheme] if parts.port is None else parts.port
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port != PORTS[parts.scheme]:
        name = f"{name}:{port}"
    return Site(parts.scheme, parts.hostname, port, name.encode("ascii"), basic(parts))


@lru_cache(maxsize=4096)
def _proxy_fields(proxy: str) -> Fields:
    said = basic(urlsplit(proxy))
    return [(b"Proxy-Authorization", said)] if said else []


def _context(settings: TlsSettings, loose: bool, http2: bool) -> ssl.SSLContext:
    made = context(settings, verify=not loose)
    made.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    return made
