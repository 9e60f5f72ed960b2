"""Real proxies: software that others have written, each a process of its own on a free port of loopback."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
USER, PASSWORD = "user", "g:h@e/i m%"  # what URLs have to escape
ASKED = " with password"

Ports = Mapping[str, Mapping[str, int]]  # software → kind → port


@dataclass(frozen=True)
class RealProxies:
    ports: Ports

    def url(self, software: str, scheme: str) -> str:
        """Of one that lets everybody pass."""
        return f"{scheme}://{HOST}:{self.ports[software][_kind(scheme)]}"

    def asking_url(self, software: str, scheme: str, *, password: str = PASSWORD) -> str:
        """Of one that wants to know who asks; SOCKS4 has no passwords."""
        port = self.ports[software][_kind(scheme) + ASKED]
        who = quote(USER, safe="") + (
            "" if scheme in ("socks4", "socks4a") else ":" + quote(password, safe="")
        )
        return f"{scheme}://{who}@{HOST}:{port}"


def _kind(scheme: str) -> str:
    """socks4a and socks5h are what a client does; the proxy is the same."""
    return {"socks4a": "socks4", "socks5h": "socks5"}.get(scheme, scheme)


@contextmanager
def wheels(certificate: Path) -> Iterator[tuple[subprocess.Popen[bytes], Ports]]:
    command = [sys.executable, "-m", "tests.proxies.serve", str(certificate)]
    with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process, json.loads(process.stdout.readline())


@contextmanager
def proxy_py(certificate: Path) -> Iterator[Ports]:
    wants = {
        "http": [],
        "https" + ASKED: [
            "--basic-auth",
            f"{USER}:{PASSWORD}",
            "--cert-file",
            certificate,
            "--key-file",
            certificate,
        ],
    }
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        usual = [
            "--num-workers",
            "1",
            "--num-acceptors",
            "1",
            "--threaded",
            "--log-level",
            "c",
            "--port",
            "0",
        ]
        for kind, options in wants.items():
            command = [sys.executable, "-m", "proxy", *usual, "--port-file", folder / kind, *options]
            stack.enter_context(started([str(word) for word in command], stdout=subprocess.DEVNULL))
        yield {"proxy.py": {kind: _written(folder / kind) for kind in wants}}


@contextmanager
def started(command: list[str], **options) -> Iterator[subprocess.Popen[bytes]]:
    """Ended at the end, with the processes that it has forked."""
    process = subprocess.Popen(command, start_new_session=True, cwd=ROOT, **options)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _written(file: Path) -> int:
    """The number that the process writes when it listens; pytest's timeout ends the wait otherwise."""
    while not file.is_file() or not file.read_text().strip():
        time.sleep(0.01)
    return int(file.read_text())
