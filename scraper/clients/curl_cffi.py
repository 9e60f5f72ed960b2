"""The curl_cffi client: curl with the TLS and HTTP fingerprints of browsers, over HTTP/2 and HTTP/3 where asked."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

from scraper import errors
from scraper.clients.pools import Kept, Pool
from scraper.clients.proxy_urls import proxy_of
from scraper.request import Request
from scraper.settings import Settings, TlsSettings
from scraper.tls import context, unverified_hosts
from scraper.urls import host, lane, redact

try:
    from curl_cffi import (
        AsyncCurl,
        Curl,
        CurlHttpVersion,
        CurlOpt,
        CurlSslVersion,
    )
    from curl_cffi.curl import DEFAULT_CACERT
    from curl_cffi.requests.impersonate import REAL_TARGET_MAP

    from scraper.clients.curl_errors import FOREIGN, translated
    from scraper.clients.curl_handles import Handle
except ImportError:
    raise errors.MissingExtra("client = 'curl_cffi'", "impersonate") from None

VERSIONS = {"1.2": CurlSslVersion.TLSv1_2, "1.3": CurlSslVersion.TLSv1_3}
NONE, V1_1, V2TLS, V3 = (
    CurlHttpVersion.NONE,
    CurlHttpVersion.V1_1,
    CurlHttpVersion.V2TLS,
    CurlHttpVersion.V3,
)
UNVERIFIED = {CurlOpt.SSL_VERIFYPEER: 0, CurlOpt.SSL_VERIFYHOST: 0}
REMOTE_NAMES = {"socks5": "socks5h"}  # the proxy looks names up in any case; socks4 has no room for one


class Kind(NamedTuple):
    """What a handle is set up for once."""

    version: CurlHttpVersion
    loose: bool  # any certificate


class Session:
    """One of curl's multi handles, with its connections, and the easy handles that nobody uses."""

    def __init__(self, options: dict[Kind, dict[CurlOpt, Any]], browser: str, most: int) -> None:
        self._options = options
        self._browser = browser
        self._most = most
        self._multi = AsyncCurl()
        self._free: dict[Kind, list[Handle]] = {kind: [] for kind in options}

    def take(self, kind: Kind) -> Handle:
        free = self._free[kind]
        return free.pop() if free else Handle(self._multi, self._options[kind], self._browser)

    def give_back(self, kind: Kind, handle: Handle) -> None:
        if handle.leave() and len(self._free[kind]) < self._most:
            self._free[kind].append(handle)
        else:
            handle.close()

    async def close(self) -> None:
        for free in self._free.values():
            for handle in free:
                handle.close()
        await self._multi.close()  # type: ignore[no-untyped-call]  # the library's


class CurlIncoming:
    __slots__ = ("_handle", "_kept", "_kind", "_request", "headers", "status")

    def __init__(self, handle: Handle, request: Request, kept: Kept[Session], kind: Kind) -> None:
        self._handle = handle
        self._request = request
        self._kept = kept
        self._kind = kind
        self.status = handle.status
        self.headers = handle.headers()

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._handle.chunks():
                yield chunk
        except FOREIGN as error:
            raise translated(error, self._request) from error

    async def close(self) -> None:
        self._kept.session.give_back(self._kind, self._handle)
        self._kept.release()


class CurlClient:
    """`connect`: seconds for name, TCP, TLS and a proxy's tunnel; other timeouts are ours, above every client.

    `http2`: offer HTTP/2 to every site with TLS, as `Request(http2=True)` does for one request; `http3`: try HTTP/3
    first. A site that does not speak it answers over an older one. `unverified`: hosts (host or host:port) whose
    certificate is not looked at. `most`: handles that are kept while nobody uses them, for each browser in use; curl
    keeps four connections for each exchange that runs.

    With `impersonate` (of the client, or of a request) the browser's own headers are sent in its order, with those
    of the request in their places, or behind them; and the browser's versions of HTTP.
    """

    def __init__(
        self,
        *,
        connect: float,
        tls: TlsSettings,
        unverified: frozenset[str] = frozenset(),
        most: int = 100,
        http2: bool = False,
        http3: bool = False,
        impersonate: str = "",
    ) -> None:
        context(tls)  # raises SettingsError now where a file can't be used
        self._connect = connect
        self._tls = tls
        self._impersonate = impersonate and browser(impersonate)
        self._usual = V3 if http3 else V2TLS if http2 else V1_1
        self._unverified = unverified
        self._most = most
        self._authorities = Authorities(tls.ca_file)
        self._pool: Pool[str, Session] = Pool(self._new_session, Session.close)

    @classmethod
    def from_settings(
        cls, settings: Settings, *, http2: bool = False, http3: bool = False, impersonate: str = ""
    ) -> Self:
        return cls(
            connect=settings.timeouts.connect,
            tls=settings.tls,
            unverified=unverified_hosts(settings),
            most=settings.concurrency,
            http2=http2,
            http3=http3,
            impersonate=impersonate,
        )

    async def __aenter__(self) -> Self:
        self._options = _options(self._connect, self._tls, self._authorities.open())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()
        self._authorities.close()

    async def open(self, request: Request) -> CurlIncoming:
        proxy = proxy_of(request)
        try:
            _check(request.url)
            name = browser(request.impersonate) if request.impersonate else self._impersonate
            kind = self._kind(request, name)
            kept = await self._pool.take(name)
            try:
                handle = await self._sent(kept.session, kind, request, _remote(proxy))
            except BaseException:
                kept.release()
                raise
        except FOREIGN as error:
            raise translated(error, request) from error
        return CurlIncoming(handle, request, kept, kind)

    async def _sent(self, session: Session, kind: Kind, request: Request, proxy: str) -> Handle:
        handle = session.take(kind)
        try:
            await handle.send(request, proxy)
        except BaseException:
            handle.close()
            raise
        return handle

    def _kind(self, request: Request, browser: str) -> Kind:
        version = self._usual
        if browser and version is V1_1:
            version = NONE  # the browser's own
        elif request.http2 and version is V1_1:
            version = V2TLS
        return Kind(version, bool(self._unverified) and self._is_loose(request.url))

    def _is_loose(self, url: str) -> bool:
        return host(url) in self._unverified or lane(url) in self._unverified

    def _new_session(self, browser: str) -> Session:
        options = dict(self._options)
        if browser and options[CurlOpt.SSLVERSION] == VERSIONS["1.2"]:
            del options[CurlOpt.SSLVERSION]  # the browser's own, and what it greets with
        kinds = {
            Kind(version, loose): options | _version(version) | (UNVERIFIED if loose else {})
            for version in (NONE, V1_1, V2TLS, V3)
            for loose in (False, True)
        }
        return Session(kinds, browser, self._most)


# ── what curl is told ────────────────────────────────────────────────────────────────────────────────────


def _options(connect: float, tls: TlsSettings, authorities: str) -> dict[CurlOpt, Any]:
    """Of every exchange: one request on the wire, and nothing that was not asked for."""
    options = {
        CurlOpt.NOSIGNAL: 1,
        CurlOpt.CONNECTTIMEOUT_MS: max(int(connect * 1000), 1),
        CurlOpt.PATH_AS_IS: 1,
        CurlOpt.HTTP_CONTENT_DECODING: 0,
        CurlOpt.PROXY: "",  # not the environment's,
        CurlOpt.NOPROXY: "",  # nor its exceptions
        CurlOpt.PROXY_CREDENTIAL_NO_REUSE: 1,
        CurlOpt.SUPPRESS_CONNECT_HEADERS: 1,
        CurlOpt.CAINFO: authorities,
        CurlOpt.PROXY_CAINFO: authorities,
        CurlOpt.SSLVERSION: VERSIONS[tls.minimum],
    }
    folder = ssl.get_default_verify_paths().capath
    if folder and Path(folder).is_dir():
        options |= {CurlOpt.CAPATH: folder, CurlOpt.PROXY_CAPATH: folder}
    if tls.certificate:
        options |= {CurlOpt.SSLCERT: str(tls.certificate), CurlOpt.SSLKEY: str(tls.key or tls.certificate)}
    return options


def _version(version: CurlHttpVersion) -> dict[CurlOpt, Any]:
    # who comes while the first connection is made waits for it, and shares it
    options = {CurlOpt.PIPEWAIT: int(version is not V1_1)}
    return options if version is NONE else options | {CurlOpt.HTTP_VERSION: version}


def _remote(proxy: str) -> str:
    scheme, colon, rest = proxy.partition(":")
    return REMOTE_NAMES.get(scheme, scheme) + colon + rest


def _check(url: str) -> None:
    """Raises ValueError: curl would guess."""
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{redact(url)[:200]!r} is no address of a page.")


@cache
def browser(name: str) -> str:
    """`chrome`: the newest that curl_cffi can be; `chrome131`: that one. Raises ValueError."""
    known = REAL_TARGET_MAP.get(name.lower(), name.lower())
    if Curl().impersonate(known) != 0:
        families = ", ".join(sorted(REAL_TARGET_MAP))
        raise ValueError(
            f"curl_cffi can't be {name!r}; it can be {families}, some with a version as in 'chrome131'."
        )
    return known


class Authorities:
    """Those that are trusted: the system's, and with `ca_file` more, in one file as curl wants them."""

    def __init__(self, ca_file: Path | None) -> None:
        self._more = ca_file
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> str:
        """The file's path."""
        if self._more is None:
            return DEFAULT_CACERT
        self._folder = tempfile.TemporaryDirectory(prefix="authorities-")
        path = Path(self._folder.name, "all.pem")
        path.write_bytes(Path(DEFAULT_CACERT).read_bytes() + b"\n" + self._more.read_bytes())
        return str(path)

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
