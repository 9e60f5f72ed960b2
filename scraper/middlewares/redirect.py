"""Redirects: followed hop by hop, each one admitted, each one through the rest of the chain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import printable
from typing import Any, Self
from urllib.parse import quote

from scraper.credentials import SECRET_HEADERS
from scraper.errors import DropRequest, InvalidRequest, TooManyRedirects
from scraper.middlewares.robots import RobotsTxt
from scraper.protocols import Admission, Handler
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings
from scraper.sockets import Handshake
from scraper.urls import InvalidURL, join, normalize, origin, redact, scheme

FOLLOWED = frozenset({301, 302, 303, 307, 308})


class Redirect:
    """Follows 301, 302, 303, 307 and 308 unless the request calls that status ok.

    The response keeps the request as it was yielded; its `url` is the last hop's. `limit`: hops at most.
    Raises TooManyRedirects, and DropRequest for a hop that admission refuses.
    """

    admit: Admission

    def __init__(self, *, limit: int) -> None:
        self._limit = limit

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        return cls(**{"limit": settings.max_redirects, **options})

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        if response.status in FOLLOWED and not isinstance(request, Handshake):  # as browsers do
            response = await self._follow(request, response, call_next)
        return response if response.request is request else response.replace(request=request)

    async def _follow(self, request: Request, response: Response, call_next: Handler) -> Response:
        hop, hops = request, 0
        while (url := target(hop, response)) is not None:
            hops += 1
            if hops > self._limit:
                said = f"More than {self._limit} redirects, the last to {redact(url)}."
                raise TooManyRedirects(said, request=request)
            hop = redirected(hop, response.status, url)
            self._check(hop)
            response = await call_next(hop)
        return response

    def _check(self, hop: Request) -> None:
        if isinstance(hop, RobotsTxt):
            return  # it may well live on another site: RFC 9309 §2.3.1.2
        reason = self.admit(hop)
        if reason is not None:
            raise DropRequest(reason)


def target(hop: Request, response: Response) -> str | None:
    """Where the response sends this request, or None where it is to be taken as it is."""
    location = response.headers.get("Location")
    if response.status not in FOLLOWED or not location or response.status in hop.ok:
        return None
    try:
        url = join(hop.url, as_ascii(location))
    except InvalidURL:
        return None
    _, mark, fragment = hop.url.partition("#")
    return url if "#" in url else url + mark + fragment  # RFC 9110 §10.2.2: the fragment is inherited


def as_ascii(location: str) -> str:
    """The bytes that the server sent, those beyond ASCII percent-encoded, as browsers do.

    A client may have read them as Latin-1, or as UTF-8 with surrogates for what is not UTF-8.
    """
    if location.isascii():
        return location
    try:
        sent = location.encode("latin-1")
        sent.decode()
    except UnicodeError:
        sent = location.encode(errors="surrogateescape")
    return quote(sent, safe=printable)


def redirected(hop: Request, status: int, url: str) -> Request:
    """The next request, by the rules of the Fetch standard (§4.4, HTTP-redirect fetch). Raises InvalidRequest."""
    method, headers, body, auth = hop.method, hop.headers, hop.body, hop.auth
    if becomes_get(method, status):
        method, body = "GET", b""
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
    elif type(body) is not bytes:
        raise InvalidRequest(
            f"Redirected with {status} to {redact(url)}, but the body is an async iterator that has been read:"
            " send it there, or give bytes.",
            request=hop,
        )
    if origin(url) != origin(hop.url):
        auth, headers = None, dict(for_strangers(headers, url))
    return hop.replace(url=url, method=method, headers=headers, body=body, auth=auth)


def becomes_get(method: str, status: int) -> bool:
    return method == "POST" if status in {301, 302} else status == 303 and method not in {"GET", "HEAD"}


def for_strangers(headers: Mapping[str, str], url: str) -> Iterator[tuple[str, str]]:
    """What another origin may see of them. A Referer is cut as `strict-origin-when-cross-origin` says, the policy that
    browsers have (Referrer Policy §3.7)."""
    for name, value in headers.items():
        if name.lower() == "referer":
            value = referrer(value, url)
        if value and name.lower() not in SECRET_HEADERS:
            yield name, value


def referrer(said: str, url: str) -> str:
    """Its origin; nothing from https to http."""
    try:
        page = normalize(said)
    except InvalidURL:
        return ""
    downgraded = scheme(page) == "https" and scheme(url) != "https"
    return "" if downgraded or origin(page) == "null" else origin(page) + "/"
