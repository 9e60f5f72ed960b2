"""The switchboard: each request goes to the client that it asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self

from scraper.clients.choice import AUTO, USUAL, choose
from scraper.errors import InvalidRequest, SettingsError, UsageError
from scraper.parts import CLIENTS, build
from scraper.protocols import Client, Connects, Incoming, Refusal
from scraper.request import Request
from scraper.settings import Settings
from scraper.sockets import Handshake, Socket


class Switchboard:
    """The crawl's own client is opened at once, another one when it is first asked for. All are closed together.

    Raises UsageError where the crawl's own client can't be had. Options stand in the settings, beside the name of the
    crawl's own client; another one has none.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        use = settings.client
        self._default = use if isinstance(use, str) else str(use.get("use"))
        if self._default == AUTO and not isinstance(use, str) and len(use) > 1:
            raise SettingsError('client: "auto" takes no options; name the client that they are for.')
        self._usual = USUAL if self._default == AUTO else self._default
        self._first: Client = build(USUAL if self._default == AUTO else use, settings, CLIENTS, "client")
        self._clients: dict[str, Client] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.__aenter__()
        await self._add(self._usual, self._first)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.__aexit__(*error)

    def open(self, request: Request) -> Coroutine[Any, Any, Incoming]:
        """Raises FetchError; InvalidRequest where the client that it asks for is not there."""
        if request.client or request.http2 or request.impersonate:
            return self._open(request)
        return self._clients[self._usual].open(request)

    async def _open(self, request: Request) -> Incoming:
        return await (await self._chosen(request)).open(request)

    async def connect(self, request: Handshake, *, silence: float, max_size: int) -> Socket | Refusal:
        """Raises FetchError; InvalidRequest where the client that it asks for opens no WebSockets."""
        client = await self._chosen(request)
        if not isinstance(client, Connects):
            raise InvalidRequest(f"{type(client).__name__} opens no WebSockets.", request=request)
        return await client.connect(request, silence=silence, max_size=max_size)

    async def _chosen(self, request: Request) -> Client:
        name = choose(request, self._default)
        return self._clients.get(name) or await self._another(name, request)

    async def _another(self, name: str, request: Request) -> Client:
        async with self._opening.setdefault(name, asyncio.Lock()):
            if name not in self._clients:
                try:
                    client = build(name, self._settings, CLIENTS, "client")
                except UsageError as error:
                    raise InvalidRequest(str(error), request=request) from error
                await self._add(name, client)
        return self._clients[name]

    async def _add(self, name: str, client: Client) -> None:
        if hasattr(client, "__aenter__"):
            await self._stack.enter_async_context(client)  # type: ignore[arg-type]  # checked above
        self._clients[name] = client  # once it is ready: others may be waiting for it
