"""One exchange by aiohttp's own parts: a connector's connection, a request, its answer.

Above these parts `ClientSession.request` follows redirects, keeps cookies, reads netrc, traces, times, adds headers.
All of that is switched off here, as it is done above every client; to be asked and to answer no took it 10 to 20 µs of
the 75 that a small page costs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from inspect import signature
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from scraper.request import Request

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110 §9.2.2
LONGEST_LINE = 65_536  # bytes of a header line; security policies grow past aiohttp's 8,190


class Sent(aiohttp.ClientRequest):
    """The request as it is asked for: a Host, the length of its body, and what it says itself."""

    _skip_auto_headers = CIMultiDict({"Content-Type": None})

    def update_headers(self, headers: Any) -> None:
        self.headers = CIMultiDict({"Host": self.url.host_port_subcomponent or ""})
        self.headers.extend(headers)
        hosts = self.headers.getall("Host")
        if len(hosts) > 1:
            self.headers["Host"] = hosts[-1]

    def update_auto_headers(self, skip_auto_headers: Any) -> None:
        """None: what is to be said, middlewares have said."""


async def exchange(
    session: aiohttp.ClientSession,
    request: Request,
    tls: ssl.SSLContext | bool,
    loop: asyncio.AbstractEventLoop,
) -> aiohttp.ClientResponse:
    """The head of the answer; its body is still to come. Raises what `session.request` raises.

    As there, a request that may be sent twice is sent again when the site hangs up instead of answering: usually a
    connection that was kept has been closed by the other side in that moment.
    """
    try:
        return await _sent(session, request, tls, loop)
    except aiohttp.ClientConnectorError:
        raise  # there was no connection
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        if request.method not in IDEMPOTENT:
            raise
    return await _sent(session, request, tls, loop)


async def _sent(
    session: aiohttp.ClientSession,
    request: Request,
    tls: ssl.SSLContext | bool,
    loop: asyncio.AbstractEventLoop,
) -> aiohttp.ClientResponse:
    url, data = URL(request.url, encoded=True), request.body or None
    asked = Sent(request.method, url, headers=request.headers, data=data, loop=loop, session=session, ssl=tls)
    connector: Any = session.connector
    try:
        connection = await connector.connect(asked, [], session.timeout)
    except TimeoutError as error:
        raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {asked.url}") from error
    try:
        connection.protocol.set_response_params(
            skip_payload=asked.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_LINE,
        )
        answer = await asked.send(connection)
        try:
            return await answer.start(connection)
        except BaseException:
            answer.close()
            raise
    except BaseException:
        connection.close()
        raise


async def exchange_by_session(
    session: aiohttp.ClientSession, request: Request, tls: ssl.SSLContext | bool, proxy: str
) -> aiohttp.ClientResponse:
    """The same, for every request: the library's own way."""
    return await session.request(
        request.method,
        URL(request.url, encoded=True),
        headers=request.headers,
        data=request.body or None,
        allow_redirects=False,
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept", "Content-Type"),
        proxy=None if proxy.startswith("socks") else proxy or None,
        ssl=tls,
    )


# ── which of the two ─────────────────────────────────────────────────────────────────────────────────────────


def _takes(function: Callable[..., Any], *names: str) -> bool:
    return set(names) <= signature(function).parameters.keys()


def is_known() -> bool:
    """Whether the library's parts are what they are taken for above: it does not promise that they stay so."""
    request, connector = aiohttp.ClientRequest, aiohttp.TCPConnector
    return (
        _takes(request.__init__, "method", "url", "headers", "data", "loop", "session", "ssl")
        and all(
            hasattr(request, name) for name in ("update_headers", "update_auto_headers", "_skip_auto_headers")
        )
        and list(signature(connector.connect).parameters) == ["self", "req", "traces", "timeout"]
        and _takes(
            ResponseHandler.set_response_params,
            *("skip_payload", "read_until_eof", "auto_decompress", "max_line_size", "max_field_size"),
        )
        and list(signature(getattr(request, "send", len)).parameters) == ["self", "conn"]
        and list(signature(aiohttp.ClientResponse.start).parameters) == ["self", "connection"]
    )


KNOWN = is_known()


def is_usual(request: Request, proxy: str) -> bool:
    """Whether `exchange` is for it. Not by a proxy, with a body that is read as it is sent, with a password in the URL,
    to what is not HTTP: these go by the session."""
    url = request.url
    return KNOWN and not proxy and type(request.body) is bytes and url.startswith("http") and "@" not in url
