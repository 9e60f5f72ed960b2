"""Answers: whether a response that came through an HTTP proxy is the site's, or the proxy's own."""

from __future__ import annotations

import re

from multidict import CIMultiDict

from scraper.errors import ProxyFailed, ProxyRefused
from scraper.response import Response
from scraper.urls import scheme

VENDORS = (
    "X-Brd-Error",
    "X-Luminati-Error",
    "X-Crawlera-Error",
)  # who sells proxies says in these what went wrong
SOFTWARE = re.compile(r"(squid|tinyproxy|privoxy|proxy\.py|3proxy|mitmproxy|polipo)\b", re.IGNORECASE)
MEMBERS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')  # of a structured field: RFC 9651 §4.2.1
ERROR = re.compile(r";\s*error\s*=\s*\"?([a-z_]+)", re.IGNORECASE)


def refusal(response: Response) -> ProxyFailed | None:
    """The error to raise where the answer is the proxy's own; None: it is the site's.

    For http:// the proxy reads and writes what goes by, so 407 is its own (RFC 9110 §15.5.8), and so is another
    status from 400 on that comes with

    - Proxy-Authenticate (RFC 9110 §11.7.1) or Proxy-Agent, which a proxy says of itself alone;
    - Proxy-Status whose last member, the intermediary nearest to us, has an error (RFC 9209 §2);
    - X-Squid-Error, or a Server that is the software of forward proxies: what is passed on keeps the site's.

    In a tunnel (https://) the site alone can answer, unless the proxy opens the TLS as those of VENDORS may do: their
    headers count for either.

    The limits: a proxy that says nothing of the kind is taken for the site, as `status 502`; a site behind such
    software of its own (a reverse Squid, a CDN that sends Proxy-Status) is taken for the proxy. Both are tried again,
    with a fresh proxy, and it takes three of them in a row to make a proxy rest.
    """
    if response.status < 400:
        return None
    plain = scheme(response.url) == "http"
    if plain and response.status == 407:
        return ProxyFailed("The proxy wants another user or password (407).")
    sign = _vendors_sign(response.headers) or (plain and _sign(response.headers))
    return (
        ProxyRefused(f"The proxy did not get the page: status {response.status} ({sign}).") if sign else None
    )


def _vendors_sign(headers: CIMultiDict[str]) -> str:
    return next((f"{name}: {headers[name][:80]}" for name in VENDORS if name in headers), "")


def _sign(headers: CIMultiDict[str]) -> str:
    """What shows that the proxy speaks for itself, or ""."""
    for name in ("Proxy-Authenticate", "Proxy-Agent"):
        if name in headers:
            return name
    if error := _nearest_error(", ".join(headers.getall("Proxy-Status", []))):
        return f"Proxy-Status: {error}"
    if "X-Squid-Error" in headers:
        return f"X-Squid-Error: {headers['X-Squid-Error'][:80]}"
    software = SOFTWARE.match(headers.get("Server", ""))
    return f"Server: {software[1]}" if software else ""


def _nearest_error(proxy_status: str) -> str:
    members = MEMBERS.findall(proxy_status)
    found = ERROR.search(members[-1]) if members else None
    return found[1] if found else ""
