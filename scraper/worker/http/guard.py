"""The guard: who may ask, by which name, from which site."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from typing import Literal
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from scraper.worker.http.bodies import check_announced
from scraper.worker.http.problems import Problem

log = structlog.get_logger()
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 §9.2.1
HEADERS = {
    "Server": "scraper",  # and no version
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NO_CHANGES = (
    "This worker has no token, so nothing can be changed over HTTP. Set one, as SCRAPER_WORKER__TOKEN in its"
    " environment or as token under [worker] in settings.toml, restart it, and send it as"
    " Authorization: Bearer TOKEN."
)
Bearer = Literal["none", "right", "wrong"]


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


class Guard:
    """`token`: "" for none. `loopback`: only this machine can connect. `open_paths`: those that need no token."""

    def __init__(self, token: str, *, loopback: bool, open_paths: Collection[str]) -> None:
        self._token = token.encode()
        self._loopback = loopback
        self._open = frozenset(open_paths)

    @web.middleware
    async def admit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = request.match_info.route.resource
        if asked is None or asked.canonical not in self._open:
            self._check(request)
        return await handler(request)

    def _check(self, request: web.Request) -> None:
        bearer = self._bearer(request)
        if bearer == "wrong":
            log.warning("a wrong token", remote=request.remote, path=request.path)
            raise _unauthorized("The token is wrong.", error="invalid_token")
        if self._loopback and bearer != "right":
            _check_host(request)
        exists = request.match_info.http_exception is None
        changes = exists and request.method not in SAFE
        if changes:
            _check_origin(request)
            if not self._token:
                raise Problem(403, NO_CHANGES)
        if bearer != "right" and (changes or not self._loopback):
            raise _unauthorized("This needs the worker's token.")
        if exists:
            check_announced(request)

    def _bearer(self, request: web.Request) -> Bearer:
        given = request.headers.get("Authorization")
        if given is None or not self._token:
            return "none"
        scheme, _, told = given.partition(" ")
        same = hmac.compare_digest(told.strip().encode("utf-8", "surrogateescape"), self._token)
        return "right" if same and scheme.lower() == "bearer" else "wrong"


def _unauthorized(why: str, *, error: str = "") -> Problem:
    challenge = 'Bearer realm="scraper"' + (f', error="{error}"' if error else "")  # RFC 6750 §3
    told = f"{why} Send the one that the worker was given, as Authorization: Bearer TOKEN."
    return Problem(401, told, headers={"WWW-Authenticate": challenge})


def _check_host(request: web.Request) -> None:
    """A page of any site can have its own name resolve to 127.0.0.1 and read here: the name gives it away."""
    told = request.headers.getall("Host", [])
    if len(told) != 1:
        raise Problem(400, "A request needs one Host header (RFC 9112 §3.2).")
    if not _is_here(told[0]):
        raise Problem(
            421,
            "This worker listens on this machine only and answers to localhost, 127.0.0.1 and [::1],"
            " or to any name with the token.",
        )


def _is_here(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _check_origin(request: web.Request) -> None:
    """A browser says from which site a request comes; only pages of this very host may change anything."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    origin = request.headers.get("Origin")
    host = request.headers.get("Host", "")
    foreign = origin is not None and origin.partition("://")[2].lower() != host.lower()
    if foreign or site not in ("none", "same-origin"):
        raise Problem(403, "This request comes from a page of another site, which may change nothing here.")
