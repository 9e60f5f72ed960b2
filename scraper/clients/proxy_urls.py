"""A request's proxy as a client takes it."""

from __future__ import annotations

from scraper.errors import InvalidRequest
from scraper.proxy_addresses import InvalidAddress, address, shown
from scraper.request import Request


def proxy_of(request: Request) -> str:
    """The proxy's URL, its scheme in lower case, with its port, or "". Raises InvalidRequest for what is none:
    never passed by."""
    if not request.proxy:
        return ""
    try:
        return address(request.proxy)
    except InvalidAddress as error:
        said = f"{shown(request.proxy)!r} is no proxy's URL: {error}."
        raise InvalidRequest(said, request=request) from None
