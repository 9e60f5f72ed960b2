"""Serves a demo site on loopback, at the port that its crawl knows."""

import errno
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

HOST = "127.0.0.1"
PORT_KEY = "demo_port"
SHUTDOWN_TIMEOUT = 0.5  # seconds that requests under way may still take


class PortTaken(OSError):
    """The port that a demo site must have belongs to another program."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on {HOST} is taken by another program, so the demo site can't be served there: "
            "stop that program and try again, or start a new run, which takes a free port."
        )
        self.errno = errno.EADDRINUSE


@asynccontextmanager
async def serve(app: web.Application, state: MutableMapping[str, Any]) -> AsyncIterator[str]:
    """Yields the site's base URL, on the port in `state["demo_port"]` or a free one that is put there.

    Raises `PortTaken`.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        port = await _listen(runner, state.get(PORT_KEY, 0))
        state[PORT_KEY] = port
        yield f"http://{HOST}:{port}/"
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, port: int) -> int:
    """Opens the port (0: any free one) and returns its number."""
    try:
        await web.TCPSite(runner, HOST, port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTaken(port) from error
    bound: int = runner.addresses[0][1]
    return bound
