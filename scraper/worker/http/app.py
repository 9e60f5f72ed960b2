"""The app: every route behind its guard, and the socket that it listens on."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from scraper.errors import MissingExtra, UsageError
from scraper.worker.http.events import USUAL, Events, Pace
from scraper.worker.http.guard import Guard, add_headers
from scraper.worker.http.health import Health
from scraper.worker.http.jobs import Jobs
from scraper.worker.http.logs import Logs
from scraper.worker.http.openapi import Description
from scraper.worker.http.problems import problems
from scraper.worker.http.runs import RunFolders
from scraper.worker.http.wire import Runner
from scraper.worker.office import Office

if TYPE_CHECKING:
    from scraper.worker.http.metrics import Metrics

SHUTDOWN = 2.0  # seconds that requests under way may still take
LINGER = 2.0  # seconds in which a refused body may still arrive, so that its sender reads why
IN_THE_WAY = {
    errno.EADDRINUSE: "another program listens there. Stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "the system does not allow it. Choose a port above 1023",
}


def make_app(office: Office, *, token: str, listen_is_loopback: bool, pace: Pace = USUAL) -> web.Application:
    """`token`: "" for none. Raises MissingExtra."""
    events = Events(office, pace)
    parts = (Health(office), _metrics(office), Jobs(office), events, Logs(office), RunFolders(office))
    routes = [route for part in parts for route in part.routes()]
    routes += Description(routes).routes()
    open_paths = [route.path for route in routes if route.is_open]
    guard = Guard(token, loopback=listen_is_loopback, open_paths=open_paths)
    app = web.Application(middlewares=[problems, guard.admit])
    for route in routes:
        route.add_to(app)
    app.on_response_prepare.append(add_headers)

    async def close(app: web.Application) -> None:
        events.close()

    app.on_shutdown.append(close)
    return app


def _metrics(office: Office) -> Metrics:
    try:
        from scraper.worker.http.metrics import Metrics
    except ImportError:
        raise MissingExtra("`scrape worker`", "worker") from None
    return Metrics(office)


@asynccontextmanager
async def serve(office: Office, listen: str, token: str, *, pace: Pace = USUAL) -> AsyncIterator[str]:
    """Listens at host:port (port 0: any free one) and yields the base URL. Raises UsageError."""
    host, port = _host_and_port(listen)
    loopback = await _is_loopback(host)
    if not loopback and not token:
        raise UsageError(
            f"To listen at {listen}, where other machines can connect, the worker needs a token: set"
            " SCRAPER_WORKER__TOKEN in its environment or token under [worker] in settings.toml,"
            " or listen at 127.0.0.1."
        )
    app = make_app(office, token=token, listen_is_loopback=loopback, pace=pace)
    runner = Runner(app, access_log=None, shutdown_timeout=SHUTDOWN, lingering_time=LINGER)
    await runner.setup()
    try:
        yield await _listen(runner, host, port)
    finally:
        await runner.cleanup()


def _host_and_port(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not (host and colon and port.isascii() and port.isdigit() and int(port) < 2**16):
        raise UsageError(f"{listen!r} is no address to listen at: write it as 127.0.0.1:8480 or [::1]:8480.")
    return host.removeprefix("[").removesuffix("]"), int(port)


async def _is_loopback(host: str) -> bool:
    """Whether every address that the name stands for is this machine's own. Raises UsageError."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UsageError(f"There is no machine {host!r} to listen at: 127.0.0.1 is this one.") from None
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        why = IN_THE_WAY.get(error.errno or 0, error.strerror or str(error))
        raise UsageError(f"The worker can't listen at {host}, port {port}: {why}.") from error
    bound = runner.addresses[0][1]
    return f"http://{f'[{host}]' if ':' in host else host}:{bound}"
