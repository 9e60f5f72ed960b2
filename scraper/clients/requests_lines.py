"""Lines of requests: a session each, used by one thread at a time, whose sockets can be shut from outside."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPMessage
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import default_headers
from urllib3.response import BaseHTTPResponse
from urllib3.util import SKIP_HEADER
from urllib3.util.response import assert_header_parsing

from scraper.request import Request
from scraper.urls import without_userinfo

KEPT_HOSTS = 10  # of a session, with a connection each
PIECE = 65_536  # bytes read at once at most
ADDED = ("User-Agent", "Accept-Encoding")  # what the library adds unless told to leave it out


@dataclass(frozen=True, slots=True)
class Tls:
    """`is_loose(url)`: whether any certificate will do there."""

    strict: ssl.SSLContext
    loose: ssl.SSLContext
    is_loose: Callable[[str], bool]


class Line:
    """`make`: opens its session, in the thread of its first exchange. `connect`: seconds for each step of making a
    connection. `net`: seconds of silence after which a thread gives up, should nobody have shut its socket by then."""

    def __init__(
        self, make: Callable[[], requests.Session], *, proxy: str, tls: Tls, connect: float, net: float
    ) -> None:
        self.proxy = proxy
        self.places: deque[str] = deque(maxlen=KEPT_HOSTS)  # where it may still have a connection to
        self._make = make
        self._tls = tls
        self._timeout = (connect, net)
        self._session: requests.Session | None = None
        self._begin()

    def _begin(self) -> None:
        self.target = ""  # of the request, as it goes over the wire
        self.connecting = False
        self.ended = False  # the body was read to its end
        self.content: bytes | None = None  # the whole body decoded, where a plug-in has read it already
        self.response: requests.Response | None = None
        self._over = False  # shut from outside
        self._sock: Any = None
        self._pulling: concurrent.futures.Future[bytes] | None = None

    # ── in the thread ────────────────────────────────────────────────────────────────────────────────────

    def send(self, request: Request, loop: asyncio.AbstractEventLoop) -> requests.Response:
        """Returns when the headers are there. Raises what the library and `make` raise, ValueError, OSError.

        `loop`: where a body's pieces come from.
        """
        if self._session is None:
            self._session = _prepared(self._make(), self, self._tls)
        session = self._session
        response = self.response = session.send(
            self._request(session, request, loop),
            stream=True,
            allow_redirects=False,
            timeout=self._timeout,
            verify=session.verify,
            cert=session.cert,
            proxies={"all": self.proxy} if self.proxy else session.proxies,
        )
        message = getattr(getattr(response.raw, "_original_response", None), "msg", None)
        if isinstance(message, HTTPMessage):
            assert_header_parsing(message)  # the library only warns
        if response.raw is None or response._content is not False:
            self.content = response.content
        elif getattr(response.raw, "length_remaining", None) == 0:
            self.read()  # its end, which frees the connection
        return response

    def _request(
        self, session: requests.Session, request: Request, loop: asyncio.AbstractEventLoop
    ) -> requests.PreparedRequest:
        body: Any = request.body or None
        if isinstance(body, AsyncIterable):
            body = Pulled(body, self, loop)
        prepared = session.prepare_request(
            requests.Request(request.method, request.url, headers=_headers(request.headers), data=body)
        )
        if session.auth is None and not session.params:
            prepared.url = request.url  # else somebody may have signed the library's spelling
        if isinstance(session.get_adapter(request.url), HTTPAdapter):
            for name in ADDED:
                prepared.headers.setdefault(name, SKIP_HEADER)
        return prepared

    def read(self) -> bytes:
        """What has come of the body, at least a byte of it, or b"" at its end."""
        raw: Any = self.response.raw if self.response is not None else None
        if self.content is not None:
            data, self.ended = self.content, True
        elif isinstance(raw, BaseHTTPResponse):
            data = raw.read1(PIECE, decode_content=False)
            self.ended = not data or getattr(raw, "length_remaining", None) == 0
        else:  # an adapter of the user's own
            data = getattr(raw, "read1", raw.read)(PIECE)
            self.ended = not data
        return data or b""

    def holds(self, sock: Any) -> None:
        """Notes the socket, to be shut from outside. Raises ConnectionAbortedError where that has happened."""
        self._sock = sock
        if self._over:
            raise ConnectionAbortedError("Nobody waits for this answer any more.")

    def waits_for(self, piece: concurrent.futures.Future[bytes]) -> bytes:
        """What the loop has next of the request's body. Raises ConnectionAbortedError."""
        self._pulling = piece
        if self._over:
            piece.cancel()
        try:
            return piece.result()
        except concurrent.futures.CancelledError:
            raise ConnectionAbortedError("Nobody waits for this answer any more.") from None

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────────

    def hang_up(self) -> None:
        """Wakes the thread, if it waits for its peer; while a connection is being made it ends by its timeout."""
        self._over = True
        if self._pulling is not None:
            self._pulling.cancel()
        sock = self._sock
        while hasattr(sock, "socket"):  # TLS in a proxy's TLS
            sock = sock.socket
        with suppress(OSError, TypeError):  # it is closed already; there is none
            # not the shutdown of TLS, which takes the connection away from under the thread
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def rest(self) -> None:
        """Ends an exchange, once no thread is at it: its connection is kept only if the body was read to its end."""
        if self.response is not None:
            self.response.close()  # at its end the library has put the connection back already
        self._begin()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()


class Pulled:
    """A body that comes piece by piece from the event loop, for the thread that sends it."""

    def __init__(self, body: AsyncIterable[bytes], line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self._pieces = aiter(body)
        self._line = line
        self._loop = loop

    def __iter__(self) -> Pulled:
        return self

    def __next__(self) -> bytes:
        piece = self._line.waits_for(asyncio.run_coroutine_threadsafe(self._next(), self._loop))
        if not piece:
            raise StopIteration
        return piece

    async def _next(self) -> bytes:
        """The next piece that is not empty, or b"" after the last."""
        async for piece in self._pieces:
            if piece:
                return piece
        return b""


class WatchedConnection:
    """What is mixed into a connection of the library: it knows its line, and sends a target to the letter."""

    line: Line
    loose: ssl.SSLContext
    sock: Any
    ssl_context: Any = None
    is_verified: bool

    def _new_conn(self) -> Any:
        sock = super()._new_conn()  # type: ignore[misc]  # of urllib3's connection
        try:
            self.line.holds(sock)
        except ConnectionAbortedError:
            sock.close()
            raise
        return sock

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.line.holds(self.sock)
        if self.ssl_context is self.loose:
            self.is_verified = True  # as the settings want it: no warning

    def request(self, method: str, url: str, *args: Any, **options: Any) -> None:
        if self.sock is None:
            self.connect()
        self.line.holds(self.sock)  # kept from an earlier exchange, maybe
        self.line.connecting = False
        super().request(method, self.line.target or url, *args, **options)  # type: ignore[misc]


class WatchedAdapter(HTTPAdapter):
    """The library's own, on our TLS, for one line."""

    def __init__(self, line: Line, tls: Tls, max_retries: Any = 0) -> None:
        self._line = line
        self._tls = tls
        super().__init__(KEPT_HOSTS, 1, max_retries)

    def request_url(self, request: requests.PreparedRequest, proxies: Mapping[str, str] | None) -> str:
        url = super().request_url(request, dict(proxies or {}))
        self._line.target = target(request.url or "", whole="://" in url)
        return url

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        self._line.connecting = True
        pool = super().get_connection_with_tls_context(*args, **options)
        if not issubclass(pool.ConnectionCls, WatchedConnection):
            pool.ConnectionCls = type(
                "Watched",
                (WatchedConnection, pool.ConnectionCls),
                {"line": self._line, "loose": self._tls.loose},
            )
        return pool

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        address, own = super().build_connection_pool_key_attributes(request, verify, cert)
        if verify is not True or cert is not None:
            return address, own
        if self._tls.is_loose(request.url or ""):
            return address, {"ssl_context": self._tls.loose, "cert_reqs": "CERT_NONE"}
        return address, {"ssl_context": self._tls.strict, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        if verify is not True or cert is not None:
            super().cert_verify(conn, url, verify, cert)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        if proxy.startswith("https"):
            options["proxy_ssl_context"] = self._tls.strict
        return super().proxy_manager_for(proxy, **options)


class LearnNothing(DefaultCookiePolicy):
    """Cookies that a session was made with are sent; those that sites set are the cookies middleware's."""

    def set_ok(self, *_: Any) -> bool:
        return False


def _prepared(session: requests.Session, line: Line, tls: Tls) -> requests.Session:
    """The session as one that sends a single request and says nothing of its own."""
    session.trust_env = False
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]  # it would read the body
    session.cookies.set_policy(LearnNothing())
    for name, value in default_headers().items():
        if session.headers.get(name) == value:
            del session.headers[name]
    for prefix, adapter in list(session.adapters.items()):
        # any other class has its reasons
        if isinstance(adapter, HTTPAdapter) and type(adapter) in (HTTPAdapter, WatchedAdapter):
            session.mount(prefix, WatchedAdapter(line, tls, adapter.max_retries))
    return session


def _headers(headers: Mapping[str, str]) -> dict[str, str | bytes]:
    """As UTF-8 where they are not ASCII. Raises ValueError for NUL, which the library would send."""
    sent: dict[str, str | bytes] = {}
    for name, value in headers.items():
        if "\0" in value:
            raise ValueError(f"header {name!r} has a character that no header may have")
        sent[name] = value if value.isascii() else value.encode()
    return sent


def target(url: str, *, whole: bool) -> str:
    """What stands in the request's first line, to the letter (RFC 9112 §3.2). `whole`: for a proxy that forwards."""
    url = without_userinfo(url.partition("#")[0])
    if whole:
        return url
    parts = urlsplit(url)
    path = url[url.index("://") + 3 + len(parts.netloc) :]
    return path if path.startswith("/") else f"/{path}"
