"""httpcore's errors as ours."""

from __future__ import annotations

import socket
import ssl

import httpcore

from scraper import errors
from scraper.clients.dialling import Refused
from scraper.request import Request

FOREIGN = (
    httpcore.ConnectionNotAvailable,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.TimeoutException,
    ValueError,  # what is no address, a header that has no bytes
)


def translated(error: BaseException, request: Request) -> errors.FetchError:
    """httpcore's error as ours: the one door for them."""
    kind, said = _kind(error), str(error) or type(error).__name__
    return kind(f"{kind.reason}: {said}" if kind is not errors.FetchError else said, request=request)


def _kind(error: BaseException) -> type[errors.FetchError]:
    match error:
        case httpcore.ConnectError():
            return _unconnected(error.__cause__)
        case httpcore.RemoteProtocolError():
            return next((kind for text, kind in BROKEN_OFF if text in str(error)), errors.ProtocolViolation)
    return next((kind for known, kind in KINDS if isinstance(error, known)), errors.FetchError)


def _unconnected(cause: BaseException | None) -> type[errors.FetchError]:
    match cause:
        case socket.gaierror():
            return errors.NameNotResolved
        case ssl.SSLError():
            return errors.TLSFailed
        case ConnectionRefusedError():
            return errors.ConnectionRefused
    return errors.ConnectionLost


BROKEN_OFF: list[tuple[str, type[errors.FetchError]]] = [
    ("without sending complete message body", errors.BodyTruncated),
    ("disconnected", errors.ConnectionLost),
]
KINDS: list[tuple[type[Exception], type[errors.FetchError]]] = [
    (httpcore.ConnectTimeout, errors.ConnectTimeout),
    (httpcore.WriteTimeout, errors.WriteTimeout),
    (Refused, errors.ProxyRefused),
    (httpcore.ProxyError, errors.ProxyFailed),
    (httpcore.NetworkError, errors.ConnectionLost),
    (httpcore.ConnectionNotAvailable, errors.ConnectionLost),
    (httpcore.LocalProtocolError, errors.InvalidRequest),
    (ValueError, errors.InvalidRequest),
]
