"""Every client that is installed, at several numbers of requests in flight, in turn."""

from __future__ import annotations

import importlib
import ipaddress
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from statistics import median
from urllib.parse import urlsplit

from scraper.bench.drive import LONGEST, Figures
from scraper.errors import MissingExtra, UsageError
from scraper.parts import CLIENTS

IN_FLIGHT = (50, 100, 500, 1_000)


def installed() -> tuple[list[str], dict[str, str]]:
    """Clients whose library is there, and for the others how to get it."""
    there, missing = [], {}
    for name, path in CLIENTS.items():
        try:
            importlib.import_module(path.partition(":")[0])
        except MissingExtra as error:
            missing[name] = str(error)
        else:
            there.append(name)
    return there, missing


def check_local(url: str) -> None:
    """Raises UsageError for a site that is not on this machine: a benchmark is an attack on it."""
    host = urlsplit(url).hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise UsageError(f"{url} is not on this machine: a benchmark takes a URL on loopback, or none.")


def measure(
    clients: Sequence[str], url: str, *, in_flight: Sequence[int], requests: int, rounds: int
) -> Iterator[Figures]:
    """The medians of `rounds`, in which the clients take turns; `in_flight` by `in_flight`."""
    for number in in_flight:
        taken: dict[str, list[Figures]] = {client: [] for client in clients}
        for _ in range(rounds):
            for client in clients:
                taken[client].append(_one(client, url, number, requests))
        for client, figures in taken.items():
            yield Figures(
                client,
                number,
                median(one.per_second for one in figures),
                median(one.cpu for one in figures),
                median(one.peak for one in figures),
                sum(one.failed for one in figures),
            )


def _one(client: str, url: str, in_flight: int, requests: int) -> Figures:
    command = [sys.executable, "-m", "scraper.bench.drive", client, url, str(in_flight), str(requests)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=3 * LONGEST)  # noqa: S603
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or ["no word"])[-1]
        raise UsageError(f"{client} could not be measured: {last}") from error
    return Figures(**json.loads(said.stdout.splitlines()[-1]))
