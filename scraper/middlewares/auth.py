"""Auth: proves who asks, to the origin that the credentials are for and to no other."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Mapping
from typing import Any, Self

from scraper.credentials import credentials, split_userinfo
from scraper.middlewares.digest import Challenge, challenge
from scraper.protocols import Handler
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings
from scraper.urls import origin

KEPT = 1_000  # digest challenges remembered, by origin and user; the one met first is forgotten first
TARGET = re.compile(r"[^:]*://[^/?#]*([^#]*)")


class Auth:
    """Basic, digest (RFC 7616) and bearer, on every client.

    What a request says goes first: an Authorization header, then `auth=`, then `user:password@` in its URL, which is
    not sent as a part of it; then `origins`, the settings' `[auth]`. A digest costs one more request at first.
    """

    def __init__(self, origins: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._origins = {place: credentials(given) for place, given in (origins or {}).items()}
        self._challenges: dict[tuple[str, str], Challenge] = {}

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        return cls(
            **{"origins": {place: auth.revealed() for place, auth in settings.auth.items()}, **options}
        )

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        if request.auth is None and not self._origins and "@" not in request.url:
            return call_next(request)
        return self._proved(request, call_next)

    async def _proved(self, request: Request, call_next: Handler) -> Response:
        url, userinfo = split_userinfo(request.url) if "@" in request.url else (request.url, None)
        asking = request.replace(url=url, auth=None)
        response = await self._send(
            asking, request.auth or userinfo or self._origins.get(origin(url)), call_next
        )
        return response.replace(url=request.url, request=request)

    async def _send(self, request: Request, proof: Any, call_next: Handler) -> Response:
        if proof is None or any(name.lower() == "authorization" for name in request.headers):
            return await call_next(request)
        scheme, secret = next(iter(credentials(proof).items()))
        if scheme == "digest":
            return await self._digest(request, (secret[0], secret[1]), call_next)
        return await call_next(
            authorized(request, f"Bearer {secret}" if scheme == "bearer" else basic(*secret))
        )

    async def _digest(self, request: Request, pair: tuple[str, str], call_next: Handler) -> Response:
        """Answers the challenge that is known, or the one that comes back: at most two requests."""
        place = (origin(request.url), pair[0])
        known = self._challenges.get(place)
        if known is not None:
            response = await call_next(answered(request, known, *pair))
        else:
            response = await call_next(request)
        if response.status != 401 or type(request.body) is not bytes:
            return response
        asked = challenge(response.headers.getall("WWW-Authenticate", []))
        if asked is None or (known is not None and asked.nonce == known.nonce):
            return response
        self._remember(place, asked)
        return await call_next(answered(request, asked, *pair))

    def _remember(self, place: tuple[str, str], asked: Challenge) -> None:
        self._challenges[place] = asked
        if len(self._challenges) > KEPT:
            del self._challenges[next(iter(self._challenges))]


def basic(user: str, password: str) -> str:
    """RFC 7617, in UTF-8."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def authorized(request: Request, value: str) -> Request:
    return request.replace(headers={**request.headers, "Authorization": value})


def answered(request: Request, asked: Challenge, user: str, password: str) -> Request:
    found = TARGET.match(request.url)
    target = (found and found[1]) or "/"
    body = request.body if isinstance(request.body, bytes) else b""
    return authorized(request, asked.answer(user, password, request.method, target, body))
