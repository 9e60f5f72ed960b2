"""Which client sends a request: the one that it names, the crawl's own, or with `auto` the first that can."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from scraper.errors import InvalidRequest
from scraper.request import Request
from scraper.sockets import Handshake

AUTO = "auto"
USUAL = "aiohttp"
HTTP2 = ("httpx", "curl_cffi", "wreq")  # in the order in which `auto` asks
IMPERSONATE = ("curl_cffi", "wreq")
SOCKETS = ("aiohttp",)
BUILT_IN = ("aiohttp", "httpx", "curl_cffi", "wreq", "requests")


def choose(request: Request, default: str) -> str:
    """A client's name. Raises InvalidRequest where that client can't do what the request asks for.

    A client of the user's own may be able to do anything: it is never refused.
    """
    if isinstance(request, Handshake):  # another client of the settings' own does the rest of the crawl
        return _able(
            request.client or (default if default not in BUILT_IN else AUTO), SOCKETS, "WebSocket", request
        )
    name = request.client or default
    if request.impersonate:  # who can do that speaks HTTP/2 as well
        return _able(name, IMPERSONATE, "impersonate=", request)
    if request.http2:
        return _able(name, HTTP2, "http2=True", request)
    return USUAL if name == AUTO else name


def _able(name: str, able: tuple[str, ...], wanted: str, request: Request) -> str:
    if name == AUTO:
        return next((known for known in able if _installed(known)), able[0])
    if name in BUILT_IN and name not in able:
        others = " or ".join(f"client={other!r}" for other in able)
        raise InvalidRequest(
            f'{name} can\'t do {wanted}: say {others}, or client = "auto" in the settings.', request=request
        )
    return name


@cache
def _installed(library: str) -> bool:
    return find_spec(library) is not None


def reasons() -> list[tuple[str, str]]:
    """What `auto` chooses, and why, in the order of its questions."""
    browser = choose(Request("https://x.example/", impersonate="chrome"), AUTO)
    second = choose(Request("https://x.example/", http2=True), AUTO)
    return [
        ('Request("wss://…")', f"{SOCKETS[0]}: it speaks WebSocket"),
        ("Request(impersonate=…)", f"{browser}: it has a browser's fingerprints{_still_to_come(browser)}"),
        ("Request(http2=True)", f"{second}: it speaks HTTP/2{_still_to_come(second)}"),
        ("every other request", f"{USUAL}: the fastest of those that are always installed"),
    ]


def _still_to_come(library: str) -> str:
    return "" if _installed(library) else ", but is not installed"
