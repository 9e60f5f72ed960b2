"""Dialling: a connection to a place, directly or through a proxy, in TLS where its scheme says so."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import httpcore
from aiohappyeyeballs import start_connection
from python_socks import ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy

from scraper.clients.streams import Stream

HEAD_START = 0.25  # seconds of one address before the next is tried beside it
LONGEST_REPLY = 65_536  # bytes of a proxy's answer
SOCKS4_UNKNOWN_USER = 0x5D


class Refused(httpcore.ProxyError):
    """The proxy knows who asks, and does not get through to the site."""


class Place(NamedTuple):
    """Where a connection leads. `proxy`: its URL with its port, or "". `loose`: any certificate will do."""

    scheme: str
    host: str
    port: int
    proxy: str
    http2: bool
    loose: bool


class Dialler:
    """`connect`: seconds for all of it. `context(loose, http2)`: TLS for a site, or for a proxy.

    Raises httpcore's ConnectTimeout, ConnectError (with its cause) and ProxyError.
    """

    def __init__(self, *, connect: float, context: Callable[[bool, bool], ssl.SSLContext]) -> None:
        self._connect = connect
        self._context = context

    async def __call__(self, place: Place) -> Stream:
        stream: Stream | None = None
        try:
            async with asyncio.timeout(self._connect):
                if not place.proxy:
                    return await self._directly(place)
                stream = await self._through(urlsplit(place.proxy), place)
                if place.scheme == "https":
                    await stream.start_tls(self._context(place.loose, place.http2), place.host)
                return stream
        except BaseException as error:
            if stream is not None:
                await stream.aclose()
            if isinstance(error, TimeoutError):
                raise httpcore.ConnectTimeout(f"Not connected after {self._connect:g} s.") from error
            if isinstance(error, OSError):
                raise httpcore.ConnectError(str(error)) from error
            raise

    async def _directly(self, place: Place) -> Stream:
        tls = self._context(place.loose, place.http2) if place.scheme == "https" else None
        return await _connected(place.host, place.port, tls)

    async def _through(self, proxy: SplitResult, place: Place) -> Stream:
        """Through the proxy, or as far as to it where it sends the request on itself."""
        try:
            if proxy.scheme.startswith("socks"):
                return await _socks(proxy, place, self._connect)
            tls = self._context(False, False) if proxy.scheme == "https" else None
            stream = await _connected(str(proxy.hostname), int(proxy.port or 0), tls)
        except TimeoutError:
            raise
        except ProxyError as error:
            kind = Refused if error.error_code not in (None, SOCKS4_UNKNOWN_USER) else httpcore.ProxyError
            raise kind(str(error)) from error
        except (OSError, asyncio.IncompleteReadError) as error:  # it is not there, or hung up
            raise httpcore.ProxyError(str(error)) from error
        if place.scheme == "https":
            try:
                await _tunnel(stream, proxy, place)
            except BaseException:
                await stream.aclose()
                raise
        return stream


async def _connected(host: str, port: int, tls: ssl.SSLContext | None) -> Stream:
    """To the first of its addresses that answers (RFC 8305)."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    connected = await start_connection(addresses, happy_eyeballs_delay=HEAD_START, interleave=1)
    name = host if tls is not None else None
    return (await loop.create_connection(Stream, sock=connected, ssl=tls, server_hostname=name))[1]


async def _socks(proxy: SplitResult, place: Place, patience: float) -> Stream:
    known = Proxy(
        ProxyType.SOCKS4 if proxy.scheme.startswith("socks4") else ProxyType.SOCKS5,
        str(proxy.hostname),
        int(proxy.port or 0),
        unquote(proxy.username or ""),
        unquote(proxy.password or ""),
        rdns=proxy.scheme != "socks4",  # which has no room for a name
    )
    connected = await known.connect(place.host, place.port, timeout=patience)
    return (await asyncio.get_running_loop().create_connection(Stream, sock=connected))[1]


async def _tunnel(stream: Stream, proxy: SplitResult, place: Place) -> None:
    """RFC 9110 §9.3.6."""
    where = f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"
    asked = [f"CONNECT {where} HTTP/1.1", f"Host: {where}"]
    if proof := basic(proxy):
        asked.append(f"Proxy-Authorization: {proof.decode()}")
    await stream.write("\r\n".join([*asked, "", ""]).encode())
    reply = b""
    while b"\r\n\r\n" not in reply and len(reply) < LONGEST_REPLY:
        if not (data := await stream.read()):
            raise httpcore.ProxyError("The proxy hung up.")
        reply += data
    status = re.match(rb"HTTP/1\.[01] (\d{3}[^\r\n]*)", reply)
    if status is None:
        raise httpcore.ProxyError("The proxy makes no tunnel: no HTTP.")
    if not status[1].startswith(b"2"):
        kind = httpcore.ProxyError if status[1].startswith(b"407") else Refused
        raise kind(f"The proxy makes no tunnel: {status[1].decode('latin-1')}.")


def basic(address: SplitResult) -> bytes:
    """What user and password of an address are in an Authorization header (RFC 7617), or b""."""
    if not address.username and not address.password:
        return b""
    said = f"{unquote(address.username or '')}:{unquote(address.password or '')}"
    return b"Basic " + b64encode(said.encode())
