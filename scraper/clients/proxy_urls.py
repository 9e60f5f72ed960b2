"""A request's proxy as a client takes it."""

from __future__ import annotations

from urllib.parse import urlsplit

from scraper.errors import InvalidRequest
from scraper.request import Request
from scraper.urls import redact

HTTP = ("http", "https")
SOCKS = ("socks4", "socks4a", "socks5", "socks5h")


def proxy_of(request: Request) -> str:
    """The proxy's URL, its scheme in lower case, or "". Raises InvalidRequest for what is none: never passed by."""
    scheme, colon, rest = (request.proxy or "").partition(":")
    proxy = scheme.lower() + colon + rest
    if not proxy:
        return ""
    try:
        parts = urlsplit(proxy)
        sound = parts.scheme in (*HTTP, *SOCKS) and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound:
        raise InvalidRequest(f"{redact(proxy)!r} is no proxy's URL.", request=request)
    return proxy
