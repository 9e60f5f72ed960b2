"""Every reason not to fetch, each a function of the request."""

import pytest

from scraper.admission import Admission, admission, depth, length, offsite, scheme
from scraper.request import Request


def at(url: str, depth: int = 0) -> Request:
    return Request(url).replace(depth=depth)


@pytest.mark.parametrize("url", ["http://a.example/", "https://a.example/"])
def test_http_and_https_are_fetched(url):
    assert scheme(at(url)) is None


@pytest.mark.parametrize(
    "url",
    [
        "mailto:me@a.example",
        "javascript:void(0)",
        "data:,x",
        "ftp://a.example/",
        "file:///etc/hosts",
        "about:blank",
    ],
)
def test_other_links_are_no_pages(url):
    assert scheme(at(url)) == "scheme"


def test_a_url_may_be_as_long_as_the_limit():
    rule = length(20)
    assert rule(at("http://a.example/".ljust(20, "x"))) is None
    assert rule(at("http://a.example/".ljust(21, "x"))) == "length"


def test_a_page_may_be_as_deep_as_the_limit():
    rule = depth(2)
    assert rule(at("http://a.example/", depth=2)) is None
    assert rule(at("http://a.example/", depth=3)) == "depth"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a.example/", None),
        ("https://www.a.example:8443/x", None),
        ("http://b.a.example/", None),
        ("http://user:word@a.example/", None),
        ("http://nota.example/", "offsite"),
        ("http://a.example.evil.org/", "offsite"),
        ("http://evil.org/a.example", "offsite"),
        ("http://a.example@evil.org/", "offsite"),
    ],
)
def test_a_site_is_its_domains_and_all_below_them(url, reason):
    assert offsite(["A.example", "other.org"])(at(url)) == reason


def test_the_first_reason_is_the_one_that_counts():
    rules = Admission([lambda request: None, lambda request: "first", lambda request: "second"])
    assert rules(at("http://a.example/")) == "first"


def test_without_rules_everything_is_admitted():
    assert Admission([])(at("mailto:x")) is None


def test_a_crawl_without_domains_or_depth_goes_everywhere():
    admit = admission(domains=[], max_depth=0, max_length=100)
    assert admit(at("http://anywhere.example/", depth=1000)) is None


def test_what_is_no_page_is_never_called_offsite():
    admit = admission(domains=["a.example"], max_depth=3, max_length=100)
    assert admit(at("mailto:me@elsewhere.example")) == "scheme"


def test_a_crawl_asks_every_rule():
    admit = admission(domains=["a.example"], max_depth=3, max_length=40)
    reasons = [
        admit(at("http://a.example/", depth=3)),
        admit(at("http://a.example/", depth=4)),
        admit(at("http://a.example/" + "x" * 40)),
        admit(at("http://b.example/")),
    ]
    assert reasons == [None, "depth", "length", "offsite"]
