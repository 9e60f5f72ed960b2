"""A client with the door in front of it, as in a crawl."""

from typing import Any

import pytest

from scraper import errors
from scraper.door import Door
from scraper.parts import CLIENTS, build
from scraper.protocols import Client
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings, Timeouts

MEGABYTE = 1_000_000


class Browser:
    """`settings`: keys of settings.toml; `options`: what stands beside the client's name there."""

    def __init__(self, name: str, *, options: dict[str, Any] | None = None, **settings: Any) -> None:
        made = Settings(**settings)
        self.name = name
        self.client: Client = build({"use": name, **(options or {})}, made, CLIENTS, "client")
        self._door = Door(timeouts=made.timeouts, max_body=MEGABYTE)

    async def __aenter__(self) -> "Browser":
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.client.__aexit__(*error)

    async def fetch(self, request: Request) -> Response:
        return await self._door.fetch(self.client, request)

    async def get(self, url: str, **request) -> Response:
        return await self.fetch(Request(url, **request))

    async def fails(self, url: str, **request) -> errors.FetchError:
        """The error, which has to be whole: ours, with its request, because of the library's."""
        with pytest.raises(errors.FetchError) as caught:
            await self.get(url, **request)
        error = caught.value
        assert error.request.url == url
        assert error.__cause__ is not None
        assert not isinstance(error.__cause__, errors.FetchError)
        return error


HASTY = Timeouts(connect=0.15, read=0.15, total=5)  # seconds; where a timeout is what is tried
