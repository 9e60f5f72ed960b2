"""Signing: adds a header that some sites want on every request.

middlewares = ["redirect", "retry", "sessions", "robots", "auth", "cookies", "headers", { use = "middlewares.signing:Signing", key = "…" }, "proxies"]
"""  # noqa: E501  # a line to copy

import hmac

from scraper import Request, Response
from scraper.protocols import Handler


class Signing:
    """`X-Signature`: HMAC-SHA256 of the URL, in hexadecimal, under `key`."""

    def __init__(self, key: str, header: str = "X-Signature") -> None:
        self._key = key.encode()
        self._header = header

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        signature = hmac.new(self._key, request.url.encode(), "sha256").hexdigest()
        return await call_next(request.replace(headers={**request.headers, self._header: signature}))
