"""Admission: every reason not to fetch a request, as plain functions `(request) -> reason | None`.

They are asked for every request that a spider yields and for every hop of a redirect. What they refuse is
counted under its reason; no row is kept of it, `scrape why` asks them again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from scraper.request import Request
from scraper.urls import host, same_site

Rule = Callable[[Request], str | None]

FETCHED = ("http://", "https://", "ws://", "wss://")


def scheme(request: Request) -> str | None:
    """`mailto:`, `javascript:`, `data:` … are links, but not to pages."""
    return None if request.url.startswith(FETCHED) else "scheme"


def length(limit: int) -> Rule:
    def too_long(request: Request) -> str | None:
        return "length" if len(request.url) > limit else None

    return too_long


def depth(limit: int) -> Rule:
    def too_deep(request: Request) -> str | None:
        return "depth" if request.depth > limit else None

    return too_deep


def offsite(domains: Collection[str]) -> Rule:
    """A host is on site when it is one of `domains` or a subdomain of one."""
    allowed = frozenset(domain.lower() for domain in domains)

    def elsewhere(request: Request) -> str | None:
        return None if same_site(host(request.url), allowed) else "offsite"

    return elsewhere


class Admission:
    """The rules of one crawl as one function: the first reason, or None."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)

    def __call__(self, request: Request) -> str | None:
        for rule in self._rules:
            reason = rule(request)
            if reason is not None:
                return reason
        return None


def admission(*, domains: Collection[str], max_depth: int, max_length: int) -> Admission:
    rules: list[Rule] = [scheme, length(max_length)]
    if max_depth:
        rules.append(depth(max_depth))
    if domains:
        rules.append(offsite(domains))
    return Admission(rules)
