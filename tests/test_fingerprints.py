"""The names of requests and items are on disk: they stay what they are."""

from scraper.fingerprints import child_id, fingerprint, item_id

PAGE = fingerprint("GET", "https://example.com/", b"")


def test_names_given_once_stay_true():
    assert PAGE.hex() == "0192ed2fee44404efcfeee306dd1f6db"
    assert (
        fingerprint("POST", "https://example.com/a?b=c", b"d=e").hex() == "167a99fd886bf7fddcd90cd54602c9f5"
    )
    assert child_id(PAGE, 0, PAGE).hex() == "ef03186e372394de59506164de0b5460"
    assert child_id(PAGE, 1_000_000, PAGE).hex() == "f20b4e6a4f435dc0596d8daa27e0bfa9"
    assert item_id(PAGE, 0).hex() == "a1e017e3343bdeb21d0245cf021078a1"


def test_names_have_16_bytes():
    assert {len(PAGE), len(child_id(PAGE, 0, PAGE)), len(item_id(PAGE, 0))} == {16}


def test_method_url_and_body_each_count_and_never_run_together():
    parts = [
        ("GET", "https://example.com/", b""),
        ("POST", "https://example.com/", b""),
        ("POST", "https://example.com/x", b""),
        ("POST", "https://example.com/", b"x"),
        ("POST", "https://example.com/", b"\nx"),
        ("POST", "https://example.com/", b"\n"),
        ("POSThttps:", "//example.com/", b""),
    ]
    assert len({fingerprint(*part) for part in parts}) == len(parts)


def test_parent_and_ordinal_each_count():
    other = fingerprint("GET", "https://example.com/other", b"")
    children = {
        child_id(parent, n, page) for parent in (PAGE, other) for n in (0, 1, 256) for page in (PAGE, other)
    }
    items = {item_id(request, ordinal) for request in (PAGE, other) for ordinal in (0, 1, 256)}
    assert len(children) == 12
    assert len(items) == 6


def test_kinds_never_share_a_name_even_for_the_same_bytes():
    tail = (0).to_bytes(8, "big")
    as_request = fingerprint("", "", tail)
    as_item = item_id(b"\n\n", 0)
    as_child = child_id(b"\n\n", 0, b"")
    assert len({as_request, as_item, as_child}) == 3
