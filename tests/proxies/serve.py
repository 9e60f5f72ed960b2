"""Real proxies in a process of their own: `python -m tests.proxies.serve CERTIFICATE`, until its input ends.

Writes one line of JSON: software → kind → port; a kind is a scheme, and ` with password` where it wants USER:PASSWORD.
"""

import asyncio
import json
import sys
from typing import Any

import anyio
import pproxy
import tiny_proxy

from tests.proxies.real import ASKED, HOST, PASSWORD, USER


async def pproxies(certificate: str) -> dict[str, int]:
    """pproxy has one table of who may pass, by address: here nobody is remembered."""
    secret = f"{USER}:{PASSWORD}".encode()
    ports = {}
    for kind in ("http", "https", "socks4", "socks5"):
        for asked in ("", ASKED):
            server = pproxy.Server(f"{kind.replace('https', 'http+ssl')}://{HOST}:0")
            server.users = [secret if kind != "socks4" else USER.encode()] if asked else None
            if server.sslserver:
                server.sslserver.load_cert_chain(certificate)
            listener = await server.start_server({"rserver": [], "authtime": -1})
            ports[kind + asked] = listener.sockets[0].getsockname()[1]
    return ports


async def tiny_proxies(certificate: str, tasks: Any) -> dict[str, int]:
    handlers = {
        "socks4": tiny_proxy.Socks4ProxyHandler(),
        "socks4" + ASKED: tiny_proxy.Socks4ProxyHandler(username=USER),
        "socks5": tiny_proxy.Socks5ProxyHandler(),
        "socks5" + ASKED: tiny_proxy.Socks5ProxyHandler(username=USER, password=PASSWORD),
        "connect": tiny_proxy.HttpProxyHandler(),
    }
    ports = {}
    for kind, handler in handlers.items():
        listener = await anyio.create_tcp_listener(local_host=HOST)
        tasks.start_soon(listener.serve, handler.handle)
        ports[kind] = listener.extra(anyio.abc.SocketAttribute.local_port)
    return ports


async def main(certificate: str) -> None:
    async with anyio.create_task_group() as tasks:
        ports = {"pproxy": await pproxies(certificate), "tiny_proxy": await tiny_proxies(certificate, tasks)}
        print(json.dumps(ports), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
