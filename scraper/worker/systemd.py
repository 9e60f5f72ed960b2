"""What systemd is told of this service: sd_notify(3), a datagram to the socket that it names."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping

import structlog

log = structlog.get_logger()

OURS = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # not for the processes of crawls
PATIENCE = 0.1  # seconds for a reader whose buffer is full


class Systemd:
    """Says nothing where no systemd listens."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog = _watchdog(environment)
        """Seconds within which it wants to hear that all is well; 0 = it does not ask."""
        self._heard = 0.0

    def ready(self) -> None:
        self._tell("READY=1")

    def reloading(self) -> None:
        """`ready` says that it is done."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def well(self) -> None:
        """To be called as often as one likes: half of the watchdog's time lies between two messages."""
        now = time.monotonic()
        if self.watchdog and now - self._heard >= self.watchdog / 2:
            self._heard = now
            self._tell("WATCHDOG=1")

    def _tell(self, message: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.settimeout(PATIENCE)
                notify.sendto(message.encode(), self._address)
        except OSError as error:
            log.warning("systemd can't be told", message=message, problem=str(error))


def _address(told: str) -> str | None:
    """Names that begin with @ are in the abstract namespace (unix(7))."""
    if told.startswith("@"):
        return "\0" + told[1:]
    return told or None


def _watchdog(environment: Mapping[str, str]) -> float:
    meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    told = environment.get("WATCHDOG_USEC", "")
    return int(told) / 1_000_000 if meant and told.isascii() and told.isdigit() else 0.0
