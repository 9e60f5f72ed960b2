"""Patterns: which URLs a rule of `[proxies]` is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from scraper.urls import InvalidURL, host, normalize

Network = IPv4Network | IPv6Network

_SHAPE = re.compile(
    r"(all|http|https)://(\*\.)?(\[[^\]]*\](?:/\d+)?|[^/?#@:\[\]*\s]*(?:/\d+)?)(?::(\d{1,5}))?/?"
)
_EXAMPLES = "such as 'https://', 'all://shop.example', 'all://*.shop.example', 'http://shop.example:8080'"


class InvalidPattern(ValueError):
    """Says in words how a pattern is written."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """`scheme`: http, https or all. `host`: as in a normalized URL; "" = any. `port`: "" = any.

    `below`: the hosts below `host`, not itself. `network`: the addresses in it, instead of a host.
    """

    scheme: str
    host: str
    port: str
    below: bool
    network: Network | None

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """`all://*.shop.example`, `https://`, `http://10.0.0.0/8`, `all://[::1]:8080`. Raises InvalidPattern."""
        found = _SHAPE.fullmatch(text.lower())
        if found is None or (found[2] and not found[3]):
            raise InvalidPattern(f"write a pattern as scheme://host:port, {_EXAMPLES}")
        scheme, below, name, port = found.groups()
        if "/" in name:
            return cls(scheme, "", port or "", False, _network(name))
        return cls(scheme, _in_one_spelling(name), port or "", bool(below), None)

    def fits(self, scheme: str, host: str, port: str) -> bool:
        """`host`, `port` as in a lane."""
        if self.scheme not in ("all", scheme) or self.port not in ("", port):
            return False
        if self.network is not None:
            return _in(self.network, host)
        if self.below:
            return host.endswith("." + self.host)
        return self.host in ("", host)

    @property
    def rank(self) -> tuple[int, int, bool, bool]:
        """Sorts the most specific first: a host, a network, a domain, anything; then with a port, with a scheme."""
        kind = 1 if self.network else 2 if self.below else 0 if self.host else 3
        length = self.network.prefixlen if self.network else len(self.host)
        return kind, -length, not self.port, self.scheme == "all"


def _in_one_spelling(name: str) -> str:
    """`Bücher.example` is `xn--bcher-kva.example` in a URL, `[0::1]` is `[::1]`: URL Standard §4.4."""
    try:
        return host(normalize(f"http://{name}/")) if name else ""
    except InvalidURL:
        raise InvalidPattern(f"{name!r} is no host") from None


def _network(text: str) -> Network:
    try:
        return ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        raise InvalidPattern(f"{text!r} is no network such as 10.0.0.0/8") from None


def _in(network: Network, host: str) -> bool:
    try:
        return ip_address(host.strip("[]")) in network
    except ValueError:
        return False  # a name
