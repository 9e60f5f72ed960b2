"""The environment's proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as rules of `[proxies]`.

Read only where `[proxies] environment = true`, once, at the start. Names in lower case go before those in upper case.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from scraper.errors import SettingsError
from scraper.proxy_addresses import InvalidAddress, address
from scraper.proxy_patterns import InvalidPattern, Pattern

PROXIES = {"http_proxy": "http://", "https_proxy": "https://", "all_proxy": "all://"}
NO_PROXY = "no_proxy"


def environment_rules(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """pattern → URL or `none`. Raises SettingsError that names the variable, not its value.

    Inside a CGI program HTTP_PROXY is what a visitor sent as a header `Proxy`, so it does not count there
    (CVE-2016-5385); http_proxy does.
    """
    rules = {}
    for lower, pattern in PROXIES.items():
        name, value = _variable(lower, variables)
        if value and not (name == "HTTP_PROXY" and "REQUEST_METHOD" in variables):
            rules[pattern] = _proxy(name, value)
    name, value = _variable(NO_PROXY, variables)
    return rules | dict.fromkeys(_direct(name, value), "none")


def _variable(lower: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """The one that is set, and its value. An empty one in lower case takes back the other."""
    name = lower if lower in variables else lower.upper()
    return name, variables.get(name, "").strip()


def _proxy(name: str, value: str) -> str:
    url = value if "://" in value else f"http://{value}"
    try:
        return address(url)
    except InvalidAddress as error:
        raise SettingsError(f"The environment's {name} can't be used: {error}.") from None


def _direct(name: str, value: str) -> Iterator[str]:
    """The patterns of NO_PROXY: `*`, hosts (with those below them), with or without a port, addresses, networks."""
    for entry in filter(None, re.split(r"[\s,]+", value)):
        for pattern in _patterns(entry):
            try:
                Pattern.parse(pattern)
            except InvalidPattern as error:
                raise SettingsError(f"The environment's {name} has {entry!r}: {error}.") from None
            yield pattern


def _patterns(entry: str) -> list[str]:
    if entry == "*":
        return ["all://"]
    if _is_network(entry):
        start, slash, bits = entry.partition("/")
        return [f"all://[{start}]{slash}{bits}" if ":" in start else f"all://{entry}"]
    host = entry.removeprefix("*").removeprefix(".")
    return [f"all://{host}", f"all://*.{host}"]


def _is_network(entry: str) -> bool:
    """An address without a port, or a network."""
    try:
        ip_network(entry, strict=False)
    except ValueError:
        return False
    return True
