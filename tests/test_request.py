"""A request says at its own line what is wrong with it, and comes back from the disk as it went."""

from datetime import datetime, timedelta, timezone
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from scraper.request import Request

URL = "http://a.example/"


class Books:
    def parse_book(self, response): ...

    async def failed(self, error): ...

    @property
    def nested(self):
        def parse(response): ...

        return parse


# ── callbacks ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_callback_is_kept_by_its_name():
    request = Request(URL, callback=Books().parse_book, errback=Books().failed)
    assert (request.callback, request.errback) == ("parse_book", "failed")
    assert Request(URL, callback="parse_book", errback="failed") == request


@pytest.mark.parametrize(
    ("callback", "shown"),
    [
        (lambda response: None, "<lambda>"),
        (Books().nested, "not parse"),
        (Books.parse_book, "parse_book"),
        (5, "not 5"),
    ],
)
@pytest.mark.parametrize("role", ["callback", "errback"])
def test_a_callback_that_can_not_be_found_again_is_refused_in_words(role, callback, shown):
    with pytest.raises(
        TypeError, match=rf"{role}= must be a method .*{shown}.* Write `{role}=self\.some_method`"
    ):
        Request(URL, **{role: callback})


# ── the body ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("body", [b"", "", None])
def test_no_body_is_no_bytes(body):
    request = Request(URL) if body is None else Request(URL, body=body)
    assert (request.body, request.method) == (b"", "GET")


def test_a_text_body_becomes_utf_8():
    assert Request(URL, method="PUT", body="ü").body == b"\xc3\xbc"


def test_json_becomes_a_post_with_its_content_type():
    request = Request(URL, json={"q": ["ü", 1, None]})
    assert (request.method, request.body) == ("POST", '{"q":["ü",1,null]}'.encode())
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("value", "body"), [({}, b"{}"), ([], b"[]"), (0, b"0"), (False, b"false"), ("", b'""')]
)
def test_json_may_be_any_value_even_an_empty_one(value, body):
    assert (Request(URL, json=value).body, Request(URL, json=value).method) == (body, "POST")


def test_a_form_becomes_a_post_with_its_content_type():
    request = Request(URL, form={"a": "ü &", "b": [1, 2]})
    assert (request.method, request.body) == ("POST", b"a=%C3%BC+%26&b=1&b=2")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_a_method_of_ones_own_is_kept():
    assert Request(URL, method="PUT", json={}).method == "PUT"


@pytest.mark.parametrize("name", ["Content-Type", "content-type"])
def test_a_content_type_of_ones_own_is_kept(name):
    request = Request(URL, json={}, headers={name: "application/ld+json", "X": "y"})
    assert request.headers == {name: "application/ld+json", "X": "y"}


def test_the_given_headers_are_not_changed():
    headers = {"X": "y"}
    Request(URL, json={}, headers=headers)
    assert headers == {"X": "y"}


@pytest.mark.parametrize(
    "bodies", [{"body": b"x", "json": 1}, {"json": {}, "form": {}}, {"body": "x", "form": {"a": 1}}]
)
def test_two_bodies_are_refused_in_words(bodies):
    with pytest.raises(ValueError, match="one of body=, json= and form="):
        Request(URL, **bodies)


# ── data ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_data_is_copied():
    data = {"book": {"tags": ["a"]}}
    request = Request(URL, data=data)
    data["book"]["tags"].append("b")
    assert request.data == {"book": {"tags": ["a"]}}


def test_data_may_be_any_mapping():
    assert Request(URL, data=MappingProxyType({"a": 1})).data == {"a": 1}


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 2**70, "\ud800", {1: 2}])
def test_data_that_is_not_json_is_refused_in_words(value):
    with pytest.raises(TypeError, match=r"data= must be JSON"):
        Request(URL, data={"a": value})


def test_nobody_can_change_the_data_of_a_request_that_has_none():
    assert dict(Request(URL).data) == {}
    with pytest.raises(TypeError):
        Request(URL).data["a"] = 1


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_aware_datetime_becomes_a_unix_time():
    noon = datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert Request(URL, not_before=noon).not_before == noon.timestamp()


def test_a_datetime_without_a_zone_is_refused_in_words():
    with pytest.raises(ValueError, match="needs a datetime with a time zone"):
        Request(URL, not_before=datetime(2030, 1, 1))  # noqa: DTZ001  # the mistake


def test_two_times_are_refused_in_words():
    with pytest.raises(ValueError, match="not_before= or delay=, not both"):
        Request(URL, not_before=1.0, delay=1.0)


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", [None, b"http://a.example/", 5])
def test_a_url_that_is_no_text_is_refused_in_words(url):
    with pytest.raises(TypeError, match="url is a str, not"):
        Request(url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("body", 5),
        ("ok", 404),
        ("priority", "high"),
        ("priority", 2**70),
        ("delay", "5s"),
        ("not_before", "tomorrow"),
        ("headers", {"X": b"bytes"}),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_at_its_own_line(name, value):
    with pytest.raises((TypeError, ValueError), match=f"{name}="):
        Request(URL, **{name: value})


def test_a_typo_is_refused():
    with pytest.raises(TypeError, match="prioritty"):
        Request(URL, prioritty=5)


def test_only_the_url_is_positional():
    with pytest.raises(TypeError):
        Request(URL, "parse")


def test_a_request_does_not_change():
    with pytest.raises(AttributeError):
        Request(URL).priority = 5


def test_replace_changes_what_it_names_and_nothing_else():
    request = Request(URL, callback="parse", data={"a": 1}, json={"b": 2}, delay=3.0, ok={404})
    changed = request.replace(url="http://b.example/", priority=7)
    assert (changed.url, changed.priority) == ("http://b.example/", 7)
    assert changed.replace(url=request.url, priority=0) == request


def test_requests_of_equal_words_are_equal():
    assert Request(URL, ok=[404, 404]) == Request(URL, ok={404})
    assert Request(URL) != Request(URL, priority=1)


# ── the disk ─────────────────────────────────────────────────────────────────────────────────────────────

words = st.text(st.characters(codec="utf-8"), max_size=9)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
requests = st.builds(
    Request,
    words,
    callback=st.none() | words,
    errback=st.none() | words,
    method=st.sampled_from(["GET", "POST", "get", "PURGE"]),
    headers=st.dictionaries(words, words, max_size=3),
    body=st.binary(max_size=20),
    data=st.dictionaries(words, json_values, max_size=3),
    priority=st.integers(-(2**31), 2**31),
    dont_filter=st.booleans(),
    ok=st.sets(st.integers(100, 599), max_size=3),
    session=words,
    client=st.none() | words,
    proxy=st.none() | words,
    timeout=st.none() | st.floats(0, 1e6),
    max_body=st.none() | st.integers(0, 2**40),
    depth=st.integers(0, 1000),
)


@settings(deadline=None, database=None)
@given(requests)
def test_a_request_comes_back_from_the_disk_as_it_went(request):
    assert Request.decode(request.encode()) == request


@settings(deadline=None, database=None)
@given(requests, words, st.integers(1, 9))
def test_it_may_be_stored_with_another_url_and_depth(request, url, depth):
    stored = request.encode(url="http://" + url, depth=depth)
    assert Request.decode(stored) == request.replace(url="http://" + url, depth=depth)


def test_identity_attempt_and_time_are_the_frontiers():
    request = Request(URL, delay=5.0).replace(id=b"i" * 16, attempt=3)
    again = Request.decode(request.encode(), id=b"j" * 16, attempt=2)
    assert (again.id, again.attempt, again.delay, again.not_before) == (b"j" * 16, 2, None, None)


def test_what_is_not_said_is_not_stored():
    assert Request(URL, priority=0, headers={}, data={}).encode() == b'{"url":"http://a.example/"}'


def test_what_an_older_version_stored_can_be_read():
    assert Request.decode(b'{"url":"http://a.example/","unheard_of":5}') == Request(URL)


def test_headers_of_a_response_can_be_sent_on():
    headers = CIMultiDict({"Accept-Language": "de", "X": "y"})
    again = Request.decode(Request(URL, headers=headers).encode())
    assert dict(again.headers) == {"Accept-Language": "de", "X": "y"}
