"""Headers: what every request says unless it says so itself."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Self

from multidict import CIMultiDict, CIMultiDictProxy

from scraper.credentials import SECRET_HEADERS
from scraper.errors import SettingsError
from scraper.protocols import Handler
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings

ACCEPT_ENCODING = "gzip, deflate, br, zstd"  # what the door decodes


class DefaultHeaders:
    """Adds User-Agent, Accept-Encoding and `headers` where the request has none of that name.

    A request that shows itself as a browser stays as it is: the client sends that browser's headers. `browser`: the
    client that does so for every request, by its settings; "": none.
    What `headers` names goes before `user_agent` and our Accept-Encoding. Names have no case. Raises
    SettingsError for a header that is a secret: these go to every site.
    """

    def __init__(self, *, user_agent: str, headers: Mapping[str, str], browser: str = "") -> None:
        check_public(headers, "headers")
        self._browser = browser
        ours = {"User-Agent": user_agent, "Accept-Encoding": ACCEPT_ENCODING}
        self._all = CIMultiDictProxy(CIMultiDict({**missing(headers, ours), **headers}))  # shared by requests

    @classmethod
    def from_settings(cls, settings: Settings, **options: Any) -> Self:
        client = settings.client
        browser = "" if isinstance(client, str) or not client.get("impersonate") else str(client.get("use"))
        known = {"user_agent": settings.user_agent, "headers": settings.headers, "browser": browser}
        return cls(**{**known, **options})

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]:
        if request.impersonate or (self._browser and request.client in (None, self._browser)):
            return call_next(request)
        own = request.headers
        headers = {**missing(own, self._all), **own} if own else self._all
        return call_next(request.replace(headers=headers))


def check_public(headers: Mapping[str, str], key: str) -> None:
    """Raises SettingsError where one of them is for one origin only. `key`: what they are in the settings."""
    secret = next((name for name in headers if name.lower() in SECRET_HEADERS), None)
    if secret is not None:
        raise SettingsError(
            f"{key} has {secret}, and what stands there goes to every site. Say it for one origin,"
            ' [auth] "https://its.name" = { bearer = "…" }, or with the request, Request(headers=…).'
        )


def missing(given: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    """Those of `headers` that are not in `given`, whatever their case."""
    names = {name.lower() for name in given}
    return {name: value for name, value in headers.items() if name.lower() not in names}
