"""Proxy addresses: the URLs that name a proxy, in one spelling, and what of them may be shown."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urlsplit

HTTP = ("http", "https")
SOCKS = ("socks4", "socks4a", "socks5", "socks5h")
USUAL_PORTS = {"http": 80, "https": 443}  # libraries differ, so it is always said


class InvalidAddress(ValueError):
    """Says what is wrong with a proxy's URL, without repeating the URL: it may hold a password."""


@lru_cache(maxsize=4096)
def address(url: str) -> str:
    """The URL with its scheme in lower case and its port, without a path; a user has a password, which may be empty.

    Raises InvalidAddress.
    """
    parts = _parts(url)
    if parts.scheme not in (*HTTP, *SOCKS):
        raise InvalidAddress(
            f"a proxy's URL begins with one of {', '.join(f'{s}://' for s in (*HTTP, *SOCKS))}"
        )
    if not parts.hostname:
        raise InvalidAddress("the proxy's URL has no host")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise InvalidAddress(
            "a proxy's URL ends with its port; in a user or password write / as %2F, ? as %3F, # as %23, @ as %40"
        )
    port = _port(parts) or USUAL_PORTS.get(parts.scheme)
    if not port:
        raise InvalidAddress(f"a {parts.scheme} proxy's URL says its port, which is a number from 1 to 65535")
    userinfo, at, place = parts.netloc.rpartition("@")
    named = place[: place.rindex("]") + 1] if "]" in place else place.partition(":")[0]
    colon = ":" if at and ":" not in userinfo else ""  # libraries forget a user without one
    return f"{parts.scheme}://{userinfo}{colon}{at}{named}:{port}"


def has_credentials(url: str) -> bool:
    return "@" in url


def shown(url: str) -> str:
    """The URL without user and password, however badly it is written."""
    before, at, place = url.rpartition("@")
    if not at:
        return url
    scheme, mark, _ = before.partition("://")
    return scheme + mark + place if mark else f"***@{place}"


def secrets(url: str) -> tuple[str, ...]:
    """What an error's text may not hold, in all spellings: the password, or a user without one, who is a key then.

    SOCKS4 has no passwords, and its users are no keys.
    """
    parts = urlsplit(url)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    secret = password or user
    if not secret or parts.scheme in ("socks4", "socks4a"):
        return ()
    spoken = f"{unquote(user)}:{unquote(password)}".encode()
    return b64encode(spoken).decode(), secret, unquote(secret)


def _parts(url: str) -> SplitResult:
    if url != url.strip() or not url.isprintable():
        raise InvalidAddress("there are blanks or control characters in the proxy's URL")
    try:
        return urlsplit(url)
    except ValueError:
        raise InvalidAddress("the host of the proxy's URL is not valid") from None  # the cause quotes it


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise InvalidAddress("the port of the proxy's URL is no number from 1 to 65535")
    return port
