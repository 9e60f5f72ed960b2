"""Proxies of the distribution: squid, dante-server, tinyproxy, microsocks, where they are on PATH."""

import hashlib
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.proxies.real import HOST, started

USER, PASSWORD = "user", "geheim"

SQUID = """
http_port {host}:{port}
{auth}
http_access {whom}
cache deny all
access_log none
cache_log /dev/null
pid_filename none
shutdown_lifetime 0 seconds
"""
SQUID_AUTH = """
auth_param basic program /usr/lib/squid/basic_ncsa_auth {users}
acl known proxy_auth REQUIRED
"""
TINYPROXY = """
Port {port}
Listen {host}
Timeout 60
{auth}
"""
DANTE = """
logoutput: /dev/null
internal: {host} port = {port}
external: {host}
clientmethod: none
socksmethod: none
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}
"""


def squid(folder: Path, port: int, *, asks: bool) -> list[str]:
    """It works as a user of its own, who has to be able to read who may pass."""
    users = folder / "users"
    users.write_text(f"{USER}:{hashlib.md5(PASSWORD.encode()).hexdigest()}\n")
    auth, whom = (SQUID_AUTH.format(users=users), "allow known") if asks else ("", "allow all")
    (folder / "squid.conf").write_text(SQUID.format(host=HOST, port=port, auth=auth, whom=whom))
    own_memory = ["-n", f"test{port}"]  # the name of what several squids would share otherwise
    return ["squid", "-N", *own_memory, "-f", str(folder / "squid.conf")]


def tinyproxy(folder: Path, port: int, *, asks: bool) -> list[str]:
    auth = f"BasicAuth {USER} {PASSWORD}" if asks else ""
    (folder / "tinyproxy.conf").write_text(TINYPROXY.format(host=HOST, port=port, auth=auth))
    return ["tinyproxy", "-d", "-c", str(folder / "tinyproxy.conf")]


def danted(folder: Path, port: int, *, asks: bool) -> list[str]:
    """Its users are the system's: here it asks nobody."""
    (folder / "danted.conf").write_text(DANTE.format(host=HOST, port=port))
    return ["danted", "-f", str(folder / "danted.conf")]


def microsocks(folder: Path, port: int, *, asks: bool) -> list[str]:
    auth = ["-u", USER, "-P", PASSWORD] if asks else []
    return ["microsocks", "-i", HOST, "-p", str(port), *auth]


COMMANDS: dict[str, Callable[..., list[str]]] = {
    "squid": squid,
    "tinyproxy": tinyproxy,
    "danted": danted,
    "microsocks": microsocks,
}


@contextmanager
def running(software: str, *, asks: bool = False) -> Iterator[int]:
    """Its port."""
    if shutil.which(software) is None:
        pytest.skip(f"{software} is not on PATH: apt-get install squid dante-server tinyproxy microsocks.")
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        port = free_port()
        command = COMMANDS[software](Path(folder), port, asks=asks)
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with started(command, **silent) as process:
            wait_for(port, process)
            yield port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Connects until somebody answers; pytest's timeout ends it otherwise."""
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
    raise AssertionError(f"{process.args} ended with {process.returncode}.")
