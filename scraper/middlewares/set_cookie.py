"""Set-Cookie: one line of it, taken or refused as browsers do (RFC 6265bis §5.6, §5.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from scraper.middlewares.cookie_date import cookie_date
from scraper.middlewares.suffixes import is_public_suffix
from scraper.urls import host

LONGEST = 4096  # bytes of name and value (§5.6)
LONGEST_ATTRIBUTE = 1024  # bytes; a longer one counts as not said
LONGEST_LIFE = 400 * 86_400.0  # seconds; who asks for more gets this (§5.5)
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")  # controls, bytes that were no UTF-8
PATH = re.compile(r"[^:]*://[^/?#]*([^?#]*)")  # of a URL that is normalized: 2 µs cheaper than urlsplit
SECONDS = re.compile(r"-?\d+", re.ASCII)
BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class Cookie:
    """`expires`: Unix time; None: it lives as long as the crawl, resumes included. `order`: among all of its jar."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    expires: float | None
    order: int = 0

    @property
    def key(self) -> tuple[str, str, bool]:
        """Two cookies of a domain with one key are the same one (§5.7, step 23)."""
        return (self.path, self.name, self.host_only)

    def alive(self, now: float) -> bool:
        return self.expires is None or self.expires > now

    def fits(self, path: str) -> bool:
        """Path-match, §5.1.4."""
        rest = path.removeprefix(self.path)
        return path == self.path or (rest != path and "/" in (rest[0], self.path[-1]))


def parse(line: str, url: str, now: float) -> Cookie | None:
    """The line's cookie, None where this URL may not set it."""
    pair, _, rest = line.partition(";")
    name, equals, value = pair.partition("=")
    name, value = (name.strip(BLANKS), value.strip(BLANKS)) if equals else ("", name.strip(BLANKS))
    if UNSENDABLE.search(line) or not (name or value) or len((name + value).encode()) > LONGEST:
        return None
    said, here = attributes(rest), host(url)
    domain = domain_of(said.get("domain", ""), here)
    secure = "secure" in said
    if domain is None or (secure and not url.startswith("https:")):
        return None
    if not keeps_promise(name, value, said, domain=domain, secure=secure):
        return None
    path = said.get("path", "")
    if not path.startswith("/"):
        path = path_of(url).rpartition("/")[0] or "/"  # the default, §5.1.4
    return Cookie(name, value, domain or here, path, not domain, secure, expiry(said, now))


def attributes(rest: str) -> dict[str, str]:
    """Names in lower case; the last of a name wins."""
    said = {}
    for part in rest.split(";"):
        name, _, value = part.partition("=")
        value = value.strip(BLANKS)
        if len(value.encode()) <= LONGEST_ATTRIBUTE:
            said[name.strip(BLANKS).lower()] = value
    return said


def domain_of(said: str, here: str) -> str | None:
    """`""`: for this host alone. None: not for this host to say (§5.7, steps 7 to 10)."""
    domain = said.removeprefix(".").lower()
    if not domain:
        return ""
    if domain not in with_parents(here) or not domain.isascii():
        return None
    if not is_address(domain) and is_public_suffix(domain):
        return "" if domain == here else None
    return domain


def keeps_promise(name: str, value: str, said: dict[str, str], *, domain: str, secure: bool) -> bool:
    """Whether the cookie is what its name's prefix says (§4.1.3); a value without a name may not look like one."""
    prefix = (name or value).lower()
    if not prefix.startswith(("__secure-", "__host-")):
        return True
    if not (name and secure):
        return False
    return prefix.startswith("__secure-") or (not domain and said.get("path") == "/")


def expiry(said: dict[str, str], now: float) -> float | None:
    """Max-Age wins over Expires; what can't be read counts as not said."""
    age = said.get("max-age", "")
    if SECONDS.fullmatch(age):
        seconds = int(age)
        return now + min(seconds, LONGEST_LIFE) if seconds > 0 else 0.0
    date = cookie_date(said.get("expires", ""))
    return None if date is None else min(date, now + LONGEST_LIFE)


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
