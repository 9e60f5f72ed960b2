"""What a spider yields on its way into the frontier: normalized, identified, admitted, encoded, counted."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.admission import admission
from scraper.fingerprints import child_id, fingerprint
from scraper.intake import START, Intake
from scraper.request import Request
from tests.frontiers.fakes import Time

PARENT = Request("http://a.example/parent").replace(id=b"p" * 16, depth=2)


class Taken:
    """An intake, and what it counted."""

    def __init__(self, now: Time | None = None, **rules) -> None:
        rules = {"domains": [], "max_depth": 0, "max_length": 200, **rules}
        self.intake = Intake(admission(**rules), by_depth=bool(rules["max_depth"]), now=now or Time())
        self.counters: Counter[str] = Counter()

    def __call__(self, request: Request | str, parent: Request | None = None, ordinal: int = 0):
        request = Request(request) if isinstance(request, str) else request
        return self.intake.take(request, parent, ordinal, self.counters)

    def stored(self, request: Request | str, parent: Request | None = None) -> Request:
        return Request.decode(self(request, parent).request)


@pytest.fixture
def take() -> Taken:
    return Taken()


# ── what the frontier keeps ──────────────────────────────────────────────────────────────────────────────


def test_a_request_is_kept_with_its_lane_its_priority_and_all_it_says(take):
    request = Request("https://a.example/x", callback="parse_x", priority=3, data={"n": 1})
    child = take(request)
    assert (Request.decode(child.request).url, child.lane, child.priority, child.not_before) == (
        "https://a.example/x",
        "a.example:443",
        3,
        0.0,
    )
    assert Request.decode(child.request) == request


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("HTTP://A.Example", "http://a.example/"),
        ("  http://a.example/x y ", "http://a.example/x%20y"),
        ("http://a.example:80/a/../b/./c", "http://a.example/b/c"),
        ("http://bücher.example/ü", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://a.example/x#part", "http://a.example/x#part"),
    ],
)
def test_a_url_is_kept_in_its_one_spelling(take, url, kept):
    assert Request.decode(take(url).request).url == kept
    assert take.stored(url).url == kept


def test_a_lane_is_the_host_and_its_port(take):
    assert take("http://a.example:8080/").lane == "a.example:8080"
    assert take("http://a.example/").lane != take("https://a.example/").lane


@pytest.mark.parametrize("max_depth", [0, 9])
def test_a_child_is_one_deeper_than_its_page(max_depth):
    take = Taken(max_depth=max_depth)
    assert take.stored("http://a.example/").depth == 0
    assert take.stored("http://a.example/", PARENT).depth == 3


@pytest.mark.parametrize("max_depth", [0, 9])
@pytest.mark.parametrize("parent", [None, PARENT])
def test_a_depth_that_a_spider_puts_in_is_replaced(max_depth, parent):
    take = Taken(max_depth=max_depth)
    assert take.stored(Request("http://a.example/", depth=7), parent).depth == (3 if parent else 0)


def test_a_request_that_is_yielded_again_is_a_child_of_the_page(take):
    again = PARENT.replace(url="http://a.example/next")
    assert take.stored(again, PARENT).depth == 3


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_delay_counts_from_when_it_is_yielded():
    take = Taken(Time(5_000.0))
    assert take(Request("http://a.example/", delay=60)).not_before == 5_060.0


def test_a_time_is_kept_as_it_is(take):
    assert take(Request("http://a.example/", not_before=123.5)).not_before == 123.5
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert take(Request("http://a.example/", not_before=noon)).not_before == noon.timestamp()


# ── identity ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Request("http://a.example/x#one"), Request("http://a.example/x#two")),
        (Request("http://a.example/?b=2&a=1"), Request("http://a.example/?a=1&b=2")),
        (Request("http://A.example:80/x"), Request("http://a.example/x")),
        (
            Request("http://a.example/"),
            Request("http://a.example/", callback="other", priority=9, data={"x": 1}),
        ),
        (
            Request("http://a.example/", json={"a": 1}),
            Request("http://a.example/", method="POST", body='{"a":1}'),
        ),
        (Request("http://a.example/"), Request("http://a.example/", body="")),
    ],
)
def test_requests_that_ask_for_the_same_have_one_identity(take, one, other):
    assert take(one, PARENT, 1).id == take(other, None, 2).id


@pytest.mark.parametrize(
    "other",
    [
        Request("https://a.example/x"),
        Request("http://a.example/X"),
        Request("http://a.example/x/"),
        Request("http://a.example/x?a"),
        Request("http://a.example/x", method="HEAD"),
        Request("http://a.example/x", method="POST"),
        Request("http://a.example/x", body="b"),
    ],
)
def test_requests_that_ask_for_something_else_have_another(take, other):
    assert take("http://a.example/x").id != take(other).id


def test_an_identity_is_the_fingerprint_of_method_url_and_body(take):
    child = take(Request("http://a.example/?b&a#x", method="PUT", body="text"))
    assert child.id == fingerprint("PUT", "http://a.example/?a&b", b"text")


def test_unfiltered_requests_are_told_apart_by_their_page_and_their_place_on_it(take):
    unfiltered = Request("http://a.example/x", dont_filter=True)
    other_page = PARENT.replace(id=b"q" * 16)
    places = [(parent, n) for parent in (None, PARENT, other_page) for n in (0, 1, 2)]
    assert len({take(unfiltered, *place).id for place in places} | {take("http://a.example/x").id}) == 10


def test_unfiltered_requests_have_the_same_identity_when_their_page_is_fetched_again(take):
    unfiltered = Request("http://a.example/x", dont_filter=True)
    print_ = fingerprint("GET", "http://a.example/x", b"")
    assert take(unfiltered, PARENT, 3).id == child_id(PARENT.id, 3, print_)
    assert take(unfiltered, None, 3).id == child_id(START, 3, print_)


# ── drops ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://b.example/", "offsite"),
        ("mailto:me@a.example", "scheme"),
        ("http://a.example/" + "x" * 200, "length"),
        ("http://a.example:99999/", "invalid url"),
        ("relative/path", "invalid url"),
        ("http://", "invalid url"),
        ("", "invalid url"),
    ],
)
def test_what_is_not_wanted_is_dropped_and_counted_by_its_reason(url, reason):
    take = Taken(domains=["a.example"])
    assert take(url, PARENT) is None
    assert take.counters == {"requested": 1, f"dropped/{reason}": 1}


def test_what_is_too_deep_is_dropped():
    take = Taken(max_depth=2)
    assert take("http://a.example/", PARENT) is None
    assert take("http://a.example/", PARENT.replace(depth=1)) is not None
    assert take.counters == {"requested": 2, "dropped/depth": 1}


def test_rules_see_the_url_in_its_one_spelling():
    take = Taken(domains=["a.example"])
    assert take("HTTP://WWW.A.EXAMPLE") is not None


def test_a_site_full_of_bad_links_is_logged_once(take, log):
    for _ in range(10):
        take("http://a.example:99999/", PARENT)
    (event,) = log
    assert (event["event"], event["found_on"]) == ("request dropped", "http://a.example/parent")
    assert take.counters["dropped/invalid url"] == 10


@settings(deadline=None, database=None)
@given(st.lists(st.text(max_size=30) | st.from_regex(r"https?://[a-c.]{1,9}/[a-z?&=#%]*", fullmatch=True)))
def test_every_request_is_kept_or_counted_as_dropped(urls):
    take = Taken(domains=["a"], max_length=20)
    kept = [take(url) for url in urls]
    dropped = sum(count for name, count in take.counters.items() if name.startswith("dropped/"))
    assert take.counters["requested"] == len(urls) == dropped + sum(child is not None for child in kept)
