"""A cookie jar: RFC 6265bis for one identity."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import replace

from scraper.middlewares.set_cookie import Cookie, parse, path_of, with_parents
from scraper.urls import host

DOMAINS = 50_000  # domains of one jar at most; the one unused longest is forgotten first
PER_DOMAIN = 180  # cookies of one domain at most, as in browsers; the oldest goes first, a Secure one last


class Jar:
    """Domain → key → cookie."""

    def __init__(self) -> None:
        self._domains: OrderedDict[str, dict[tuple[str, str, bool], Cookie]] = OrderedDict()
        self._order = 0  # of the newest cookie

    def header(self, url: str, now: float) -> str:
        """What the Cookie header says to this URL, longer paths first, then older ones (§5.8.3); empty if nothing."""
        here = host(url)
        domains = [domain for domain in with_parents(here) if domain in self._domains]
        if not domains:
            return ""
        path, secure = path_of(url), url.startswith("https:")
        found = [
            cookie
            for domain in domains
            for cookie in self._used(domain)
            if (domain == here or not cookie.host_only)
            and (secure or not cookie.secure)
            and cookie.alive(now)
            and cookie.fits(path)
        ]
        found.sort(key=lambda cookie: (-len(cookie.path), cookie.order))
        return "; ".join(f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in found)

    def learn(self, line: str, url: str, now: float) -> str | None:
        """Takes one Set-Cookie line; the domain whose cookies it changed, or None."""
        cookie = parse(line, url, now)
        if cookie is None or (not url.startswith("https:") and self._shadows(cookie)):
            return None
        cookies = self._domains.get(cookie.domain, {})
        known = cookies.get(cookie.key)
        if known is None:
            self._order += 1
        cookie = replace(cookie, order=known.order if known else self._order)  # an old one keeps its place
        if known == cookie:
            return None
        if cookie.alive(now):
            self.put(cookie.domain, {**cookies, cookie.key: cookie}.values(), now)
        elif known:
            self.put(cookie.domain, (one for one in cookies.values() if one is not known), now)
        else:
            return None
        return cookie.domain

    def _shadows(self, cookie: Cookie) -> bool:
        """Whether it would stand in for one that came over TLS, of its domain or one above (§5.7, step 16).

        A browser also looks at the domains below it: here that would be a walk through the jar for each cookie.
        """
        return any(
            known.secure and known.name == cookie.name and known.fits(cookie.path)
            for domain in with_parents(cookie.domain)
            for known in self.cookies(domain)
        )

    def cookies(self, domain: str) -> Collection[Cookie]:
        return self._domains.get(domain, {}).values()

    @property
    def domains(self) -> Collection[str]:
        return self._domains.keys()

    def put(self, domain: str, cookies: Iterable[Cookie], now: float) -> None:
        """Makes these the domain's cookies, but for those that are over."""
        alive = [cookie for cookie in cookies if cookie.alive(now)]
        if not alive:
            self._domains.pop(domain, None)
            return
        if len(alive) > PER_DOMAIN:
            alive.sort(key=lambda cookie: (cookie.secure, cookie.order))
            alive = alive[-PER_DOMAIN:]
        self._order = max(self._order, *(cookie.order for cookie in alive), 0)
        self._domains[domain] = {cookie.key: cookie for cookie in alive}
        self._domains.move_to_end(domain)

    def trim(self) -> str | None:
        """Forgets one domain where there are too many; its name."""
        return self._domains.popitem(last=False)[0] if len(self._domains) > DOMAINS else None

    def _used(self, domain: str) -> Iterable[Cookie]:
        self._domains.move_to_end(domain)
        return self._domains[domain].values()
