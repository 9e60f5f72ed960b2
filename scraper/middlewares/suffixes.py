"""Public suffixes: names such as `com`, `co.uk` and `github.io`, under which strangers live side by side."""

from __future__ import annotations

from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

KEPT = 4096  # names whose answer is remembered


@cache
def the_list() -> PublicSuffixList:
    """ICANN's part and the private one. Reading it takes some 100 ms: not before somebody asks."""
    return PublicSuffixList()


@lru_cache(maxsize=KEPT)
def is_public_suffix(name: str) -> bool:
    """Of a host's name in lower case, IDNs in their `xn--` form. A top-level name that the list lacks is one too."""
    return the_list().is_public(name.rstrip("."))
