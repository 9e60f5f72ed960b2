"""Fetching through proxies as a crawl does: the middleware, the door, a client."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scraper.door import Door
from scraper.downloader import chain
from scraper.middlewares.proxies.middleware import Proxies
from scraper.parts import CLIENTS, build
from scraper.protocols import Incoming
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Settings


class Behind:
    """Gets pages through the pool."""

    def __init__(self, client, settings: Settings) -> None:
        door = Door(timeouts=settings.timeouts, max_body=settings.max_body)
        self.proxies = Proxies.from_settings(settings)
        self._client = client
        self._fetch = chain([self.proxies], partial(door.fetch, client))

    async def get(self, url: str, **request) -> Response:
        return await self._fetch(Request(url, **request))

    async def begin(self, url: str, *, proxy: str) -> "Half":
        """Its first bytes are here; the client alone, with a proxy's URL."""
        incoming = await self._client.open(Request(url, proxy=proxy))
        chunks = incoming.chunks()
        await anext(chunks)
        return Half(incoming, chunks)


@dataclass
class Half:
    """A page that has begun to come."""

    incoming: Incoming
    chunks: AsyncIterator[bytes]

    async def rest(self) -> None:
        try:
            async for _ in self.chunks:
                pass
        finally:
            await self.incoming.close()


@asynccontextmanager
async def behind(client: str, pool: Mapping[str, str], ca_file: Path, **settings) -> AsyncIterator[Behind]:
    made = Settings(proxies={"pool": dict(pool)}, tls={"ca_file": ca_file}, **settings)
    async with build(client, made, CLIENTS, "client") as opened:
        yield Behind(opened, made)
