"""wreq's errors as ours. What went wrong stands in their texts alone: the structures of Rust, printed."""

from __future__ import annotations

import re

from wreq import exceptions

from scraper import errors
from scraper.request import Request

FOREIGN = (
    exceptions.TlsError,
    exceptions.ConnectionError,
    exceptions.ProxyConnectionError,
    exceptions.ConnectionResetError,
    exceptions.BodyError,
    exceptions.BuilderError,
    exceptions.DecodingError,
    exceptions.RequestError,
    exceptions.RedirectError,
    exceptions.UpgradeError,
    exceptions.TimeoutError,
    TypeError,
    ValueError,
)


def translated(error: BaseException, request: Request) -> errors.FetchError:
    """wreq's error as ours: the one door for them."""
    told = str(error)
    # the structure of Rust as text: what comes before has the URL in it
    source = told.partition(" source: ")[2] or told
    kind = _kind(error, source)
    return kind(f"{kind.reason}: {_in_words(source)}", request=request)


def _kind(error: BaseException, source: str) -> type[errors.FetchError]:
    match error:
        case exceptions.BuilderError() | TypeError() | ValueError():
            return errors.InvalidRequest
        case exceptions.ProxyConnectionError():
            return _first(PROXIED, source) or errors.ProxyFailed
        case exceptions.ConnectionError():
            return _first(CONNECTING, source) or errors.ConnectionLost
        case exceptions.ConnectionResetError():
            return errors.ConnectionLost
        case exceptions.TlsError():
            return errors.TLSFailed
        case exceptions.TimeoutError():
            return errors.ConnectTimeout  # no other timeout of the library is on
    return _first(TALKING, source) or errors.FetchError


def was_no_http2(error: BaseException) -> bool:
    """Whether the site did not take what it was offered in the TLS handshake, or broke that off for it."""
    told = str(error)
    return ("SendRequest" in told and "alpn: None" in told) or "NO_APPLICATION_PROTOCOL" in told


# what stands in the text of an error, in the order in which to ask
PROXIED: list[tuple[str, type[errors.FetchError]]] = [
    ("TunnelUnsuccessful", errors.ProxyRefused),
    ("GeneralSocksServerFailure", errors.ProxyRefused),
    ("ConnectionNotAllowedByRuleset", errors.ProxyRefused),
    ("Unreachable)", errors.ProxyRefused),
    ("Socks(ConnectionRefused", errors.ProxyRefused),
    ("TtlExpired", errors.ProxyRefused),
    ("Socks(IdentdAuthFailure", errors.ProxyRefused),
]
CONNECTING: list[tuple[str, type[errors.FetchError]]] = [
    ("TimedOut", errors.ConnectTimeout),
    ("dns error", errors.NameNotResolved),
    ("ConnectionRefused", errors.ConnectionRefused),
    ("code: SSL", errors.TLSFailed),
]
TALKING: list[tuple[str, type[errors.FetchError]]] = [
    ("UnexpectedEof", errors.BodyTruncated),
    ("IncompleteMessage", errors.ConnectionLost),
    ("Parse(", errors.ProtocolViolation),
    ("Library)", errors.ProtocolViolation),  # HTTP/2, as this end sees it
    ("Http2", errors.ConnectionLost),
    ("InvalidInput", errors.ProtocolViolation),
    ("InvalidData", errors.ProtocolViolation),
    ("netty::Error(", errors.ConnectionLost),  # closed, canceled, broken in any other way
]


def _first(found: list[tuple[str, type[errors.FetchError]]], source: str) -> type[errors.FetchError] | None:
    return next((kind for text, kind in found if text in source), None)


def _in_words(source: str) -> str:
    """What the system or the library says, else the innermost name in the structure."""
    if said := re.search(r'(?:message|error|reason): "([^"]+)"', source):
        return said[1]
    inner = re.split(r"kind: |source: |error: |Some\(|netty::Error\(", source.partition(", connect_info:")[0])
    name = inner[-1].rstrip(" )}")
    return name + ")" * (name.count("(") - name.count(")"))
