"""What a URL is, what it means on its page and which host it asks: the URL Standard, as browsers follow it.

`normalize` and `join` parse. The others take a URL that one of these two has returned and only cut strings.
"""

import re
from functools import lru_cache

import ada_url

SHOWN_CHARACTERS = 200  # how much of a URL an error quotes

_DEFAULT_PORTS = {"http": "80", "https": "443", "ws": "80", "wss": "443", "ftp": "21"}
_HAS_SCHEME = re.compile(r"[\x00-\x20]*[A-Za-z][A-Za-z0-9+.-]*:")
_SURROGATES = re.compile(r"[\ud800-\udfff]")
# scheme, user and password, host, port
_PARTS = re.compile(r"([^:/?#]*):(?://(?:([^/?#]*)@)?(\[[^\]]*\]|[^/?#:]*)(?::(\d+))?)?")
_USERINFO = re.compile(r"^([^:/?#]*://)[^/?#]*@")
_PASSWORD = re.compile(r"^([^:/?#]*://[^/?#:]*):[^/?#]*@")


# what the parser hands back as it is: a plain host (no number, no punycode), no default port, no character to encode,
# and (asked apart) no dot segment
_PLAIN = re.compile(
    r"https?://(?:127\.0\.0\.1|(?:(?!xn--)[a-z0-9][a-z0-9-]*\.)*(?!xn--)[a-z][a-z-]*)(?::(?!80/|443/)[1-9]\d{1,3})?/"
    r"[A-Za-z0-9/_.~=&?+,;@!:$()*-]*"
)


class InvalidURL(ValueError):
    """Names a URL that can't be used and says why."""


def normalize(url: str) -> str:
    """The one spelling of an absolute URL: URL Standard §4.4 and §4.5. Raises InvalidURL."""
    if (
        _PLAIN.fullmatch(url) and "/." not in url
    ):  # usual case: nothing to change; a third of the parser's time
        return url
    try:
        return ada_url.normalize_url(_well_formed(url))
    except ValueError:
        raise InvalidURL(f"{_shown(url)} is not a URL to fetch: {_fault(url)}.") from None


def join(base: str, href: str) -> str:
    """What `href` means on the page at `base`, normalized: URL Standard §4.4. Raises InvalidURL."""
    try:
        return ada_url.join_url(base, _well_formed(href))
    except ValueError:
        raise InvalidURL(f"Can't join {_shown(href)} to {_shown(base)}: {_join_fault(base, href)}.") from None


def canonical(url: str) -> str:
    """The spelling that counts for identity: no fragment, no empty query, parameters sorted byte by byte."""
    if "#" in url:
        url = url[: url.index("#")]
    if "?" not in url:
        return url
    page, _, query = url.partition("?")
    if "&" in query:
        query = "&".join(sorted(query.split("&")))
    return f"{page}?{query}" if query else page


def scheme(url: str) -> str:
    """`https`: lower case, no colon."""
    return url.partition(":")[0]


def host(url: str) -> str:
    """The host alone, in lower case; IPv6 keeps its brackets (`[::1]`). Empty where a URL has none."""
    return _parts(url)[2] or ""


def lane(url: str) -> str:
    """`example.com:443`: host and effective port, the key of politeness. Port 0 where a scheme has none."""
    return _lane(_front(url))


@lru_cache(maxsize=4096)
def _lane(url: str) -> str:
    name, _, hostname, port = _parts(url)
    return f"{hostname or ''}:{port or _DEFAULT_PORTS.get(name, '0')}"


def origin(url: str) -> str:
    """`https://example.com:8443`: without a default port; `null` for other schemes (URL Standard §4.7)."""
    return _origin(_front(url))


def _front(url: str) -> str:
    """Without its path: what two pages of one site have in common."""
    end = url.find("/", url.find("://") + 3)
    return url if end < 0 else url[:end]


@lru_cache(maxsize=4096)
def _origin(url: str) -> str:
    name, _, hostname, port = _parts(url)
    if name not in _DEFAULT_PORTS:
        return "null"
    return f"{name}://{hostname}:{port}" if port else f"{name}://{hostname}"


def without_userinfo(url: str) -> str:
    """The URL without `user:password@`."""
    return _USERINFO.sub(r"\1", url) if "@" in url else url


def redact(url: str) -> str:
    """The URL as it may be logged: a password becomes `***`. Takes URLs that aren't normalized too."""
    return _PASSWORD.sub(r"\1:***@", url) if "@" in url else url


def same_site(host: str, domains: frozenset[str]) -> bool:
    """Whether `host` is one of `domains` or below one; they are in lower case, IDNs in their `xn--` form."""
    while host not in domains:
        _, dot, host = host.partition(".")
        if not dot:
            return False
    return True


def _parts(url: str) -> tuple[str, str | None, str | None, str | None]:
    found = _PARTS.match(url)
    if found is None:
        raise InvalidURL(f"{_shown(url)} is not normalized: {_fault(url)}.")
    return found.groups()  # type: ignore[return-value]  # the four groups of _PARTS; only the first always matches


def _well_formed(url: str) -> str:
    """Lone surrogates replaced, as the standard's USVString does: they have no UTF-8."""
    return url if url.isascii() else _SURROGATES.sub("\ufffd", url)


def _fault(url: str) -> str:
    if not _HAS_SCHEME.match(url):
        return "it is relative or lacks a scheme such as https://"
    return "its host or its port is not valid"


def _join_fault(base: str, href: str) -> str:
    if not ada_url.check_url(base):
        return f"as for the base, {_fault(base)}"
    if not _HAS_SCHEME.match(href) and not base.partition(":")[2].startswith("/"):
        return "nothing is relative to such a base"
    return "its host or its port is not valid"


def _shown(url: str) -> str:
    return repr(redact(url)[:SHOWN_CHARACTERS])
