"""The browsers that wreq can be, by the names that users type."""

from __future__ import annotations

import re
from functools import cache

import wreq


def profile(name: str) -> wreq.Emulation:
    """`chrome`: the newest of the library's; `chrome154`, `safari18_5`, `Firefox152`: that one. Raises ValueError."""
    wanted = _plain(name)
    exact = next((known for known in _profiles() if _plain(known) == wanted), None)
    newest = exact or max((p for p in _profiles() if _family(p) == wanted), key=_version, default=None)
    if newest is None:
        families = ", ".join(sorted({_family(known) for known in _profiles()}))
        raise ValueError(
            f"wreq can't be {name!r}; it can be {families}, also with a version as in 'chrome154'"
        )
    return wreq.Emulation(profile=getattr(wreq.Profile, newest))


@cache
def _profiles() -> list[str]:
    return [name for name in dir(wreq.Profile) if name[0].isupper()]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _family(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _version(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
