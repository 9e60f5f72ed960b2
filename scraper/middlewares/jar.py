"""A cookie jar: RFC 6265 (with the corrections of 6265bis) for one identity."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from scraper.urls import host

DOMAINS = 50_000  # domains of one jar at most; the one unused longest is forgotten first
PER_DOMAIN = 180  # cookies of one domain at most, as in browsers; the oldest goes first
LONGEST = 4096  # bytes of name and value (6265bis §5.6)
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # controls, bytes that were no UTF-8
PATH = re.compile(r"[^:]*://[^/?#]*([^?#]*)")  # of a URL that is normalized: 2 µs cheaper than urlsplit
DIGITS = re.compile(r"-?\d{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cookie:
    """`expires`: Unix time; None: it lives as long as the crawl, resumes included."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    expires: float | None

    def alive(self, now: float) -> bool:
        return self.expires is None or self.expires > now

    def fits(self, path: str) -> bool:
        """Path-match, §5.1.4."""
        rest = path.removeprefix(self.path)
        return path == self.path or (rest != path and "/" in (rest[0], self.path[-1]))


class Jar:
    """Domain → (path, name) → cookie, each domain's in the order in which they first came."""

    def __init__(self) -> None:
        self._domains: OrderedDict[str, dict[tuple[str, str], Cookie]] = OrderedDict()

    def header(self, url: str, now: float) -> str:
        """What the Cookie header says to this URL, longer paths first (§5.4); empty if nothing."""
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
        found.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" if cookie.name else cookie.value for cookie in found)

    def learn(self, line: str, url: str, now: float) -> str | None:
        """Takes one Set-Cookie line; the domain whose cookies it changed, or None."""
        cookie = parse(line, url, now)
        if cookie is None:
            return None
        cookies = self._domains.get(cookie.domain, {})
        key = (cookie.path, cookie.name)
        known = cookies.get(key)
        if known == cookie or (known and known.secure and not cookie.secure and not url.startswith("https:")):
            return None  # §5.7: what came over TLS is not overwritten from outside it
        if cookie.alive(now):
            self.put(cookie.domain, {**cookies, key: cookie}.values(), now)
        elif known:
            self.put(cookie.domain, (one for one in cookies.values() if one is not known), now)
        else:
            return None
        return cookie.domain

    def cookies(self, domain: str) -> Iterable[Cookie]:
        return self._domains.get(domain, {}).values()

    def put(self, domain: str, cookies: Iterable[Cookie], now: float) -> None:
        """Makes these the domain's cookies, but for those that are over."""
        alive = [((cookie.path, cookie.name), cookie) for cookie in cookies if cookie.alive(now)]
        self._domains[domain] = dict(alive[-PER_DOMAIN:])
        self._domains.move_to_end(domain)
        if not alive:
            del self._domains[domain]

    def trim(self) -> str | None:
        """Forgets one domain where there are too many; its name."""
        return self._domains.popitem(last=False)[0] if len(self._domains) > DOMAINS else None

    def _used(self, domain: str) -> Iterable[Cookie]:
        self._domains.move_to_end(domain)
        return self._domains[domain].values()


def path_of(url: str) -> str:
    found = PATH.match(url)
    return (found and found[1]) or "/"


def with_parents(name: str) -> Iterator[str]:
    """`a.b.example`, `b.example`, `example`; of an IP address only itself."""
    yield name
    if not is_address(name):
        while dot := name.find(".") + 1:
            name = name[dot:]
            yield name


def is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def parse(line: str, url: str, now: float) -> Cookie | None:
    """The cookie of a Set-Cookie line (6265bis §5.6, §5.7), None where this URL may not set it."""
    pair, _, rest = line.partition(";")
    name, equals, value = pair.partition("=")
    name, value = (name.strip(), value.strip()) if equals else ("", name.strip())
    if UNSENDABLE.search(line) or not (name or value) or len(name) + len(value) > LONGEST:
        return None
    said = attributes(rest)
    here = host(url)
    domain = said.get("domain", "").removeprefix(".").lower() or here
    secure = "secure" in said
    if not may_set(domain, here) or (secure and not url.startswith("https:")):
        return None
    path = said.get("path", "")
    if not path.startswith("/"):
        path = path_of(url).rpartition("/")[0] or "/"  # the default, §5.1.4
    return Cookie(
        name=name,
        value=value,
        domain=domain,
        path=path,
        host_only=not said.get("domain"),
        secure=secure,
        expires=expiry(said, now),
    )


def attributes(rest: str) -> dict[str, str]:
    """Names in lower case; the last of a name wins."""
    said = {}
    for part in rest.split(";"):
        name, _, value = part.partition("=")
        said[name.strip().lower()] = value.strip()
    return said


def may_set(domain: str, here: str) -> bool:
    """The host itself or a parent of it, but no top-level domain and nothing above an IP address."""
    return domain == here or ("." in domain and domain in with_parents(here))


def expiry(said: dict[str, str], now: float) -> float | None:
    """Max-Age wins over Expires; what can't be read counts as not said."""
    age = said.get("max-age", "")
    if DIGITS.fullmatch(age):
        return now + int(age) if int(age) > 0 else 0.0
    try:
        date = parsedate_to_datetime(said.get("expires", ""))
    except ValueError:
        return None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
