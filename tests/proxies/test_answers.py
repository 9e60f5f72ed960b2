"""Whose answer it is: the proxy's own are told apart from the site's."""

import pytest
from multidict import CIMultiDict

from scraper.errors import ProxyFailed, ProxyRefused
from scraper.middlewares.proxies.answers import refusal
from scraper.request import Request
from scraper.response import Response

PLAIN, TUNNEL = "http://site.example/", "https://site.example/"


def response(status: int, headers, url: str = PLAIN) -> Response:
    return Response(url, status, CIMultiDict(headers), b"", Request(url))


OWN = [
    (
        403,
        {"X-Squid-Error": "ERR_ACCESS_DENIED 0", "Server": "squid/5.7"},
        "X-Squid-Error: ERR_ACCESS_DENIED 0",
    ),
    (403, {"Server": "tinyproxy/1.11.1"}, "Server: tinyproxy"),
    (503, {"Server": "Privoxy"}, "Server: Privoxy"),
    (502, {"Proxy-Status": "own.example; error=connection_timeout"}, "Proxy-Status: connection_timeout"),
    (504, {"Proxy-Status": 'cdn.example, own; error="dns_error"; details="a, b"'}, "Proxy-Status: dns_error"),
    (403, {"Proxy-Authenticate": 'Basic realm="p"'}, "Proxy-Authenticate"),
    (502, {"Proxy-agent": "proxy.py v2.4.10"}, "Proxy-Agent"),
    (429, {"x-brd-error": "throttled"}, "X-Brd-Error: throttled"),
    (503, {"X-Crawlera-Error": "banned"}, "X-Crawlera-Error: banned"),
]


@pytest.mark.parametrize(("status", "headers", "sign"), OWN)
def test_an_answer_with_a_proxys_sign_is_its_own(status, headers, sign):
    error = refusal(response(status, headers))
    assert isinstance(error, ProxyRefused)
    assert str(error) == f"The proxy did not get the page: status {status} ({sign})."


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Server": "nginx"}),
        (502, {"Server": "cloudflare", "Via": "1.1 own.example (squid/5.7)"}),
        (
            503,
            {"Proxy-Status": "cdn.example; error=dns_error, own.example"},
        ),  # what is nearest to us has no error
        (502, {"Proxy-Status": "cdn.example; received-status=502"}),
        (404, {"Server": "Apache", "Proxy-Connection": "close"}),
        (200, {"X-Squid-Error": "none"}),
        (301, {"Server": "squid"}),
    ],
)
def test_without_one_it_is_the_sites(status, headers):
    assert refusal(response(status, headers)) is None


def test_a_407_is_the_proxys_without_any_sign():
    error = refusal(response(407, {}))
    assert type(error) is ProxyFailed


def test_the_headers_of_a_site_in_a_tunnel_are_its_own():
    for status, headers, sign in OWN:
        assert bool(refusal(response(status, headers, TUNNEL))) == sign.startswith(("X-Brd", "X-Crawlera"))
    assert refusal(response(407, {}, TUNNEL)) is None
