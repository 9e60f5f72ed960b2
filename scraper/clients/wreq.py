"""The wreq client: a Rust library that sends many requests for little CPU, over HTTP/2 or as a browser where asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from multidict import CIMultiDict, CIMultiDictProxy

from scraper import errors
from scraper.clients.pools import Kept, Pool
from scraper.clients.private_keys import pkcs8
from scraper.clients.proxy_urls import proxy_of
from scraper.request import Request
from scraper.settings import Settings, TlsSettings
from scraper.tls import context, unverified_hosts
from scraper.urls import host, lane

try:
    import wreq

    from scraper.clients.wreq_browsers import profile
    from scraper.clients.wreq_errors import FOREIGN, translated, was_no_http2
except ImportError:
    raise errors.MissingExtra("client = 'wreq'", "wreq") from None

METHODS: dict[str, wreq.Method] = {
    name: getattr(wreq.Method, name)
    for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")
}
VERSIONS = {"1.2": wreq.TlsVersion.TLS_1_2, "1.3": wreq.TlsVersion.TLS_1_3}
REMOTE_NAMES = {"socks5": "socks5h"}  # the proxy looks names up in any case; socks4 has no room for one
IDLE = timedelta(seconds=15)  # as long as aiohttp keeps a connection that nobody uses
KEPT_HOSTS = 256  # whose idle connections are kept, each through its proxy
REMEMBERED = 4_096  # hosts that do not speak HTTP/2
KEPT_PROXIES = 1_024  # as the library wants them
WORKERS = 1  # threads of the library for a client's connections: one outruns any callback
LOOKUPS = 64  # threads that look names up, at most


class Kind(NamedTuple):
    """What a session of the library is made for, and can't change from request to request."""

    loose: bool  # any certificate
    http2: bool
    impersonate: str  # or ""


USUAL = Kind(loose=False, http2=False, impersonate="")


class Tls(NamedTuple):
    """As the library takes it."""

    store: wreq.CertStore
    minimum: wreq.TlsVersion
    identity: wreq.Identity | None


class WreqIncoming:
    __slots__ = ("_kept", "_length", "_request", "_stream", "headers", "status")

    def __init__(self, reply: wreq.Response, request: Request, kept: Kept[wreq.Client], kind: Kind) -> None:
        self._request = request
        self._kept: Kept[wreq.Client] | None = kept
        # HTTP/2 may have trailers behind it
        self._length = None if kind.http2 or kind.impersonate else reply.content_length
        self._stream: wreq.Streamer | None = reply.stream()  # None: read to its end
        self.status = reply.status.as_int()
        # names come in lower case; bytes beyond ASCII as aiohttp reads them
        self.headers: CIMultiDict[str] = CIMultiDict(
            [(str(name, "ascii"), str(value, "utf-8", "surrogateescape")) for name, value in reply.headers]
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._stream is None:
            return
        left = self._length
        try:
            async for piece in self._stream:
                if type(piece) is not memoryview:
                    continue  # trailers
                yield bytes(piece)
                if left is not None:
                    left -= len(piece)
                    if not left:
                        break  # asking for the end would cost a turn of the loop
        except FOREIGN as error:
            raise translated(error, self._request) from error
        self._stream = None

    async def close(self) -> None:
        if self._stream is not None:
            self._stream.__exit__(None, None, None)  # hangs up: the rest can't be left on the connection
            self._stream = None
        if self._kept is not None:
            self._kept.release()
            self._kept = None  # the library closes its connections once nobody holds the session


class WreqClient:
    """`connect`: seconds for name, TCP, TLS and a proxy's tunnel; other timeouts are ours, above every client.

    `http2`: ask every site with TLS for HTTP/2, as `Request(http2=True)` does for one request; a site that does not
    speak it is asked again over HTTP/1.1, and so from then on. `unverified`: hosts (host or host:port) whose
    certificate is not looked at.

    With `impersonate` (of the client, or of a request) the browser's own headers are sent in its order, with those
    of the request in their places, or behind them; the browser's versions of HTTP, and those of TLS, whatever
    `[tls] minimum` says. Names of headers go in lower case then, over HTTP/1.1 too.
    """

    def __init__(
        self,
        *,
        connect: float,
        tls: Tls,
        unverified: frozenset[str] = frozenset(),
        http2: bool = False,
        impersonate: str = "",
    ) -> None:
        if impersonate:
            profile(impersonate)
        self._connect = timedelta(seconds=connect)
        self._tls = tls
        self._unverified = unverified
        self._http2 = http2
        self._impersonate = impersonate
        self._plain = not (unverified or http2 or impersonate)
        self._without_http2: dict[str, None] = {}  # lanes that do not speak it; the newest is the last
        self._runtime: wreq.Runtime | None = wreq.Runtime(workers=WORKERS, max_blocking_threads=LOOKUPS)
        self._pool: Pool[Kind, wreq.Client] = Pool(self._new_session, _close)
        self._proxy = lru_cache(KEPT_PROXIES)(_proxy)
        self._shared: tuple[object, dict[str, Any]] = (None, {})  # the headers sent last, ready for use

    @classmethod
    def from_settings(cls, settings: Settings, *, http2: bool = False, impersonate: str = "") -> Self:
        return cls(
            connect=settings.timeouts.connect,
            tls=_tls(settings.tls),
            unverified=unverified_hosts(settings),
            http2=http2,
            impersonate=impersonate,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()
        self._runtime = None  # its threads end with the last who holds it

    async def open(self, request: Request) -> WreqIncoming:
        proxy = proxy_of(request)
        kind = self._kind(request)
        try:
            _check_port(request.url)
            return await self._sent(kind, request, proxy)
        except FOREIGN as error:
            if not (kind.http2 and was_no_http2(error)):
                raise translated(error, request) from error
            self._remember_without_http2(lane(request.url))
            if not isinstance(request.body, bytes):  # it can't be sent twice
                raise translated(error, request) from error
            return await self.open(request)

    async def _sent(self, kind: Kind, request: Request, proxy: str) -> WreqIncoming:
        method = _method(request.method)
        options = self._options(request, kind, proxy)
        kept = await self._pool.take(kind)
        try:
            reply = await kept.session.request(method, request.url, **options)
        except BaseException:
            kept.release()
            raise
        return WreqIncoming(reply, request, kept, kind)

    def _kind(self, request: Request) -> Kind:
        if self._plain and not (request.http2 or request.impersonate):
            return USUAL  # the usual case
        impersonate = request.impersonate or self._impersonate
        http2 = (self._http2 or request.http2) and not impersonate and request.url.startswith("https:")
        return Kind(
            bool(self._unverified) and self._is_loose(request.url),
            http2 and lane(request.url) not in self._without_http2,
            impersonate,
        )

    def _is_loose(self, url: str) -> bool:
        return host(url) in self._unverified or lane(url) in self._unverified

    def _remember_without_http2(self, place: str) -> None:
        self._without_http2[place] = None
        if len(self._without_http2) > REMEMBERED:
            del self._without_http2[next(iter(self._without_http2))]

    def _options(self, request: Request, kind: Kind, proxy: str) -> dict[str, Any]:
        headers = request.headers
        if headers is self._shared[0] and not (request.body or proxy or kind.impersonate):
            return self._shared[1]  # usual case: the headers of the settings, made ready once
        options = _headers(headers, in_order=not kind.impersonate)
        if type(headers) is CIMultiDictProxy and not kind.impersonate:
            self._shared = (headers, dict(options))
        if request.body:
            options["body"] = request.body if isinstance(request.body, bytes) else _pieces(request.body)
        if proxy:
            options["proxy"] = self._proxy(proxy)
        return options

    def _new_session(self, kind: Kind) -> wreq.Client:
        options: dict[str, Any] = {}
        if kind.impersonate:
            options["emulation"] = profile(kind.impersonate)
        elif kind.http2:
            # who comes while the first connection is made waits for it, and shares it
            options["http2_only"] = True
        else:
            options["http1_only"] = True
        if self._tls.identity is not None:
            options["tls_identity"] = self._tls.identity
        return wreq.Client(
            runtime=self._runtime,
            connect_timeout=self._connect,
            pool_idle_timeout=IDLE,
            pool_max_size=KEPT_HOSTS,
            redirect=wreq.redirect.Policy.none(),
            referer=False,
            no_proxy=True,  # the environment's; a request's own is its own
            gzip=False,
            brotli=False,
            deflate=False,
            zstd=False,
            dns_options=wreq.DnsOptions(system_dns=True),
            tls_verify=False if kind.loose else self._tls.store,
            tls_verify_hostname=not kind.loose,
            tls_min_version=self._tls.minimum,
            **options,
        )


async def _close(session: wreq.Client) -> None:
    session.close()


# ── a request, as the library takes it ───────────────────────────────────────────────────────────────────


def _method(name: str) -> wreq.Method:
    try:
        return METHODS[name]
    except KeyError:
        raise ValueError(
            f"wreq knows no method {name[:40]!r}, only {', '.join(METHODS)}; another client may"
        ) from None


def _headers(headers: Mapping[str, str], *, in_order: bool) -> dict[str, Any]:
    """Raises ValueError for what is no header."""
    # in the order and the case in which they are written; a browser has an order of its own
    order = {"orig_headers": ["Host", *headers, "Proxy-Authorization"]} if in_order else {}
    if not headers:
        return order
    sent = wreq.HeaderMap()
    for count, (name, value) in enumerate(headers.items(), 1):
        sent.append(name, value)
        if len(sent) != count:  # the library leaves out what is none
            raise ValueError(f"{name!r} or its value has a character that no header may have")
    return {"headers": sent, **order}


async def _pieces(body: AsyncIterable[bytes] | str) -> AsyncGenerator[bytes]:
    """The library takes a generator, of whatever comes piece by piece."""
    if isinstance(body, str):
        yield body.encode()
        return
    async for piece in body:
        yield piece


def _proxy(url: str) -> wreq.Proxy:
    scheme, _, rest = url.partition(":")
    if scheme.startswith("socks4") and "@" in rest:
        raise ValueError("wreq can't tell a SOCKS4 proxy who asks; client='aiohttp' or client='requests' can")
    return wreq.Proxy.all(f"{REMOTE_NAMES.get(scheme, scheme)}:{rest}")


def _check_port(url: str) -> None:
    """The library takes a port beyond 65535 for none."""
    port = lane(url).rpartition(":")[2]
    if len(port) > 4 and int(port) > 65_535:
        raise ValueError(f"port {port} is beyond 65535")


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────


def _tls(settings: TlsSettings) -> Tls:
    """Raises SettingsError where a file can't be used."""
    trusted = context(settings).get_ca_certs(binary_form=True)
    store = wreq.CertStore(der_certs=trusted, default_paths=True)
    return Tls(store, VERSIONS[settings.minimum], _identity(settings.certificate, settings.key))


def _identity(certificate: Path | None, key: Path | None) -> wreq.Identity | None:
    if certificate is None:
        return None
    secret = pkcs8((key or certificate).read_bytes())
    if secret is None:
        raise errors.SettingsError(f"tls.key: {key or certificate} has no private key without a password.")
    return wreq.Identity.from_pkcs8_pem(certificate.read_bytes(), secret)
