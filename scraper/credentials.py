"""Credentials: how a request proves who sends it, in the one form that requests, settings and runs share."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})
"""In lower case: what may not reach another origin than the one that it is meant for."""

WRITTEN = '("user", "password"), {"digest": ("user", "password")} or {"bearer": "token"}'
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
TOKEN = re.compile(r"[!-~]+")


def credentials(given: Any) -> dict[str, Any]:
    """`{"basic": [user, password]}`, `{"digest": [user, password]}` or `{"bearer": token}`: JSON.

    Raises TypeError or ValueError, in words that do not quote what was given.
    """
    match given:
        case (str(), str()):
            return {"basic": _pair("basic", given)}
        case {"basic": pair} | {"digest": pair} if len(given) == 1:
            scheme = next(iter(given))
            return {scheme: _pair(scheme, pair)}
        case {"bearer": str(token)} if len(given) == 1:
            if not TOKEN.fullmatch(token):
                raise ValueError("A bearer token is visible ASCII without blanks (RFC 6750 §2.1).")
            return {"bearer": token}
    raise TypeError(f"auth= is {WRITTEN}.")


def _pair(scheme: str, given: Any) -> list[str]:
    match given:
        case (str(user), str(password)):
            if CONTROLS.search(user + password):
                raise ValueError("A user and a password hold no control characters (RFC 7617 §2).")
            if ":" in user and scheme == "basic":
                raise ValueError("With basic authentication a user's name has no colon (RFC 7617 §2).")
            return [user, password]
    raise TypeError(f"auth= is {WRITTEN}.")


def split_userinfo(url: str) -> tuple[str, dict[str, Any] | None]:
    """A normalized URL without `user:password@`, and these as credentials."""
    start = url.index("//") + 2
    end = min((at for mark in "/?#" if (at := url.find(mark, start)) >= 0), default=len(url))
    userinfo, sign, _ = url[start:end].rpartition("@")
    if not sign:
        return url, None
    user, _, password = userinfo.partition(":")
    return url[:start] + url[start + len(userinfo) + 1 :], {"basic": [unquote(user), unquote(password)]}
