"""The 16-byte names that requests and items carry through the store; every name ever given must stay true."""

import hashlib

# BLAKE2's `person` (RFC 7693 §2.5) keeps the kinds apart: equal input of two kinds gives two names.
_FINGERPRINT = hashlib.blake2b(digest_size=16, person=b"scraper.request")
_CHILD = hashlib.blake2b(digest_size=16, person=b"scraper.child")
_ITEM = hashlib.blake2b(digest_size=16, person=b"scraper.item")


def fingerprint(method: str, canonical_url: str, body: bytes) -> bytes:
    """What a request asks for, in 16 bytes: equal for requests that are each other's duplicates.

    Neither a method (RFC 9110 §5.6.2, a token) nor a URL (URL Standard §4.4) can hold the newline between.
    """
    name = _FINGERPRINT.copy()
    name.update(f"{method}\n{canonical_url}\n".encode())
    name.update(body)
    return name.digest()


def child_id(parent: bytes, ordinal: int, fingerprint: bytes) -> bytes:
    """A request that isn't deduplicated: the `ordinal`-th child (from 0) of the request `parent`."""
    name = _CHILD.copy()
    name.update(parent + ordinal.to_bytes(8, "big") + fingerprint)
    return name.digest()


def item_id(request_id: bytes, ordinal: int) -> bytes:
    """The `ordinal`-th item (from 0) of the page that the request `request_id` brought."""
    name = _ITEM.copy()
    name.update(request_id + ordinal.to_bytes(8, "big"))
    return name.digest()
