"""What must not stand in a log: the passwords, keys and tokens that a crawl was given."""

from __future__ import annotations

import io
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TextIO

from pydantic import SecretBytes, SecretStr

from scraper.proxy_addresses import secrets as secrets_of_proxy
from scraper.settings import Settings
from scraper.spider import Spider, secret_arguments

SHORTEST = 4  # characters: to hide each "ab" would make a log unreadable, and protects nothing
HIDDEN = "***"
PASSWORD = re.compile(r"(://[^\s/?#:@\"']*):[^\s/?#\"']*@")  # of a URL within a text
TELLING = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})  # headers


def secrets_in(settings: Settings) -> Iterator[str]:
    """Every spelling of them."""
    for url in (
        *(one.get_secret_value() for one in settings.proxies.pool.values()),
        *settings.proxies.rules.values(),
    ):
        if "://" in url:
            yield from secrets_of_proxy(url)
    for auth in settings.auth.values():
        for said in auth.revealed().values():
            yield from (
                [said] if isinstance(said, str) else [said[1], b64encode(":".join(said).encode()).decode()]
            )
    headers = [settings.headers, *(one.headers for one in settings.sessions.named.values())]
    yield from (value for each in headers for name, value in each.items() if name.lower() in TELLING)
    yield settings.worker.token.get_secret_value()


def secrets_of(spider: Spider) -> Iterator[str]:
    """Of its arguments."""
    for name in secret_arguments(type(spider)):
        match getattr(spider, name, None):
            case SecretStr() as secret:
                yield secret.get_secret_value()
            case SecretBytes() as secret:
                yield secret.get_secret_value().decode("utf-8", "replace")
            case _:
                continue


def without_passwords(line: str) -> str:
    """The line with `***` for the passwords of its URLs."""
    return PASSWORD.sub(rf"\1:{HIDDEN}@", line) if "@" in line else line


class Hushed(io.TextIOBase):
    """A stream through which secrets do not pass. `hide` may be called at any time; lines go out whole."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._secrets: list[str] = []
        self._rest = ""

    def hide(self, secrets: Iterable[str]) -> None:
        known = {form for one in secrets if len(one) >= SHORTEST for form in (one, json.dumps(one)[1:-1])}
        self._secrets = sorted({*self._secrets, *known}, key=len, reverse=True)

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            with suppress(BrokenPipeError):  # nobody reads it any more: that is no reason to stop
                self._stream.write("".join(f"{self.hushed(line)}\n" for line in lines))
                self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Nothing: a line that is not whole waits for its end."""

    def close(self) -> None:
        if self._rest:
            self.write("\n")

    def hushed(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return without_passwords(line)
