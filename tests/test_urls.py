"""A URL has one spelling, and tells which host it asks."""

import json
from pathlib import Path

import ada_url
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scraper.urls import (
    InvalidURL,
    canonical,
    host,
    join,
    lane,
    normalize,
    origin,
    redact,
    same_site,
    scheme,
    without_userinfo,
)

CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "url_whatwg.json"
CASES = json.loads(CORPUS.read_text()) if CORPUS.exists() else []


def resolved(case):
    return normalize(case["input"]) if case["base"] is None else join(case["base"], case["input"])


@pytest.mark.skipif(not CASES, reason=f"the cases of web-platform-tests are not there: {CORPUS}")
def test_urls_resolve_as_web_platform_tests_expect():
    assert len(CASES) == 264
    assert [case for case in CASES if not case["failure"] and resolved(case) != case["href"]] == []


@pytest.mark.skipif(not CASES, reason=f"the cases of web-platform-tests are not there: {CORPUS}")
def test_urls_fail_as_web_platform_tests_expect():
    for case in (case for case in CASES if case["failure"]):
        with pytest.raises(InvalidURL):
            resolved(case)


@pytest.mark.parametrize(
    ("url", "normalized"),
    [
        ("HTTPS://Example.COM:443/a/../b?q#f", "https://example.com/b?q#f"),
        ("  http://example.com\n", "http://example.com/"),
        ("http://bücher.example/é", "http://xn--bcher-kva.example/%C3%A9"),
        ("http://example.com/\ud800", "http://example.com/%EF%BF%BD"),
    ],
)
def test_normalizes_as_a_browser(url, normalized):
    assert normalize(url) == normalized


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "/page",
            "'/page' is not a URL to fetch: it is relative or lacks a scheme such as https://.",
        ),
        ("", "'' is not a URL to fetch: it is relative or lacks a scheme such as https://."),
        ("http://h:99999/", "'http://h:99999/' is not a URL to fetch: its host or its port is not valid."),
        ("http://u:pw@[/", "'http://u:***@[/' is not a URL to fetch: its host or its port is not valid."),
    ],
)
def test_an_invalid_url_is_named_with_what_is_wrong(url, sentence):
    with pytest.raises(InvalidURL) as error:
        normalize(url)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("base", "href", "joined"),
    [
        ("https://example.com/a/b?q#f", "c", "https://example.com/a/c"),
        ("https://example.com/a/b?q#f", " \n../x\t.html ", "https://example.com/x.html"),
        ("https://example.com/a/b?q#f", "", "https://example.com/a/b?q"),
        ("https://example.com/a", "?p=2", "https://example.com/a?p=2"),
        ("https://example.com/a", "//other.example", "https://other.example/"),
        ("https://example.com/a", "mailto:me@example.com", "mailto:me@example.com"),
        ("https://example.com/a", "\\b", "https://example.com/b"),
    ],
)
def test_joins_as_a_browser(base, href, joined):
    assert join(base, href) == joined


@pytest.mark.parametrize(
    ("base", "href", "sentence"),
    [
        (
            "https://h/",
            "http://h:x/",
            "Can't join 'http://h:x/' to 'https://h/': its host or its port is not valid.",
        ),
        ("mailto:me@h", "x", "Can't join 'x' to 'mailto:me@h': nothing is relative to such a base."),
        (
            "base",
            "x",
            "Can't join 'x' to 'base': as for the base, it is relative or lacks a scheme such as https://.",
        ),
    ],
)
def test_what_cannot_be_joined_is_an_error_in_words(base, href, sentence):
    with pytest.raises(InvalidURL) as error:
        join(base, href)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://h/a", "https://h/a"),
        ("https://h/a#f", "https://h/a"),
        ("https://h/a#f?x&y", "https://h/a"),
        ("https://h/a?", "https://h/a"),
        ("https://h/a?#f", "https://h/a"),
        ("https://h/a?x", "https://h/a?x"),
        ("https://h/a?b=2&a=1", "https://h/a?a=1&b=2"),
        ("https://h/a?b=2&a=1&b=1&a", "https://h/a?a&a=1&b=1&b=2"),
        ("https://h/a?q=b?c&a=?", "https://h/a?a=?&q=b?c"),
    ],
)
def test_identity_ignores_the_fragment_and_the_order_of_parameters(url, identity):
    assert canonical(url) == identity
    assert canonical(identity) == identity


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://example.com/a:b@c", ("https", "example.com", "example.com:443", "https://example.com")),
        ("http://example.com/", ("http", "example.com", "example.com:80", "http://example.com")),
        ("https://u:p@h.example:8443/x", ("https", "h.example", "h.example:8443", "https://h.example:8443")),
        ("http://[::1]/", ("http", "[::1]", "[::1]:80", "http://[::1]")),
        ("http://u@[::1]:81/", ("http", "[::1]", "[::1]:81", "http://[::1]:81")),
        ("wss://h/", ("wss", "h", "h:443", "wss://h")),
        ("socks5://u:p@h:1080", ("socks5", "h", "h:1080", "null")),
        ("mailto:me@example.com", ("mailto", "", ":0", "null")),
        ("data:text/plain,http://h/", ("data", "", ":0", "null")),
        ("file:///etc/hosts", ("file", "", ":0", "null")),
        ("foo://h?http://x/", ("foo", "h", "h:0", "null")),
    ],
)
def test_parts_of_a_normalized_url(url, parts):
    assert normalize(url) == url
    assert (scheme(url), host(url), lane(url), origin(url)) == parts


def test_parts_of_what_is_no_url_are_an_error():
    with pytest.raises(InvalidURL, match=r"'page\.html' is not normalized: it is relative"):
        host("page.html")


@pytest.mark.parametrize(
    ("url", "redacted", "bare"),
    [
        ("https://h/a@b:c@d", "https://h/a@b:c@d", "https://h/a@b:c@d"),
        ("https://u@h/", "https://u@h/", "https://h/"),
        ("https://u:pw@h/?x=a:b@c", "https://u:***@h/?x=a:b@c", "https://h/?x=a:b@c"),
        ("https://:pw@h/", "https://:***@h/", "https://h/"),
        ("http://me@mail.example:p:w@h:8080", "http://me@mail.example:***@h:8080", "http://h:8080"),
        ("http://h:8080/x@y", "http://h:8080/x@y", "http://h:8080/x@y"),
    ],
)
def test_a_password_never_reaches_a_log(url, redacted, bare):
    assert redact(url) == redacted
    assert without_userinfo(url) == bare


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("example.com", True),
        ("www.example.com", True),
        ("a.b.example.com", True),
        ("example.com.evil.org", False),
        ("notexample.com", False),
        ("com", False),
        ("", False),
    ],
)
def test_a_site_is_a_domain_and_all_below_it(host, allowed):
    assert same_site(host, frozenset({"example.com", "other.org"})) is allowed


def test_nothing_is_on_no_site():
    assert not same_site("example.com", frozenset())


HOSTS = [
    "a.com",
    "127.0.0.1",
    "localhost",
    "a-b.co.uk",
    "1.2.3.4",
    "0x7f.1",
    "xn--a.com",
    "a..com",
    "a.b-",
    "1a.com",
]
HOSTS += ["-a.com", "a.c0m", "b.1", "127.0.0.1.com", "x.127.0.0.1", "foo.0x7f", "9.com", "0.a"]
PORTS = ["", ":80", ":8080", ":443", ":81", ":0", ":99999"]


@given(
    st.sampled_from(["http", "https"]),
    st.sampled_from(HOSTS),
    st.sampled_from(PORTS),
    st.text("abcxyz019.-:/?&=+~!$()*,;@_%AZ", max_size=12),
)
def test_the_short_cut_for_plain_urls_changes_nothing(scheme, host, port, rest):
    url = f"{scheme}://{host}{port}/{rest}"
    try:
        expected = ada_url.normalize_url(url)
    except ValueError:
        with pytest.raises(InvalidURL):
            normalize(url)
    else:
        assert normalize(url) == expected
