"""The errors of requests as ours: it packs those of urllib3, http.client and the system into one another."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead, RemoteDisconnected

import requests
import socks  # type: ignore[import-untyped]  # it has no types
import urllib3.exceptions as urllib3

from scraper import errors
from scraper.request import Request

FOREIGN = (requests.RequestException, urllib3.HTTPError, HTTPException, OSError, ValueError, TypeError)
LOST = (RemoteDisconnected, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
SOCKS_REFUSED = re.compile(r"0x0[1-6]:|0x5[bc]:")  # RFC 1928 §6, SOCKS4: the proxy does not get through
TUNNEL_REFUSED = re.compile(r"Tunnel connection failed: (?!407)\d")


def translated(error: BaseException, request: Request, *, connecting: bool = False) -> errors.FetchError:
    """The error of requests as ours: the one door for them. `connecting`: there was no connection yet."""
    causes = list(_causes(error))
    kind = _kind(causes, connecting=connecting)
    if connecting and kind is errors.ReadTimeout:
        kind = errors.ConnectTimeout
    if request.proxy and issubclass(kind, errors.NameNotResolved | errors.ConnectionRefused):
        kind = errors.ProxyFailed  # names and addresses of sites are the proxy's to find
    said = str(causes[-1]) or type(causes[-1]).__name__
    return kind(f"{kind.reason}: {said}", request=request)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """What the library packed into one another, outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inside = [getattr(error, "reason", None), *error.args, error.__cause__, error.__context__]
        error = next((e for e in inside if isinstance(e, BaseException) and id(e) not in seen), None)


def _kind(causes: list[BaseException], *, connecting: bool) -> type[errors.FetchError]:
    said = str(causes[-1])
    if (isinstance(causes[-1], socks.ProxyError) and SOCKS_REFUSED.match(said)) or TUNNEL_REFUSED.match(said):
        return errors.ProxyRefused
    if not connecting and any(isinstance(cause, LOST) for cause in causes):
        return errors.ConnectionLost  # the library takes it for the proxy's doing
    if isinstance(causes[-1], ValueError) and any(isinstance(cause, IncompleteRead) for cause in causes):
        # the size of a chunk was no number; of a body that was cut off it is no text at all
        return errors.BodyTruncated if said.endswith("b''") else errors.ProtocolViolation
    for foreign, kind in KINDS:
        if any(isinstance(cause, foreign) for cause in causes):
            return kind
    lost = any(
        isinstance(cause, OSError) and not isinstance(cause, requests.RequestException) for cause in causes
    )
    return errors.ConnectionLost if lost else errors.FetchError


# in the order in which to ask
KINDS: list[tuple[tuple[type[BaseException], ...], type[errors.FetchError]]] = [
    ((ssl.SSLEOFError,), errors.ConnectionLost),  # in the handshake
    ((requests.exceptions.ProxyError, urllib3.ProxyError, socks.ProxyError), errors.ProxyFailed),
    ((requests.exceptions.SSLError, urllib3.SSLError, ssl.SSLError), errors.TLSFailed),
    ((urllib3.NameResolutionError, socket.gaierror), errors.NameNotResolved),
    ((ConnectionRefusedError,), errors.ConnectionRefused),
    ((requests.ConnectTimeout,), errors.ConnectTimeout),
    ((TimeoutError, requests.Timeout, urllib3.TimeoutError), errors.ReadTimeout),
    (LOST, errors.ConnectionLost),
    ((IncompleteRead,), errors.BodyTruncated),
    ((ValueError, TypeError, urllib3.LocationValueError), errors.InvalidRequest),
    ((HTTPException, urllib3.HeaderParsingError), errors.ProtocolViolation),
]
