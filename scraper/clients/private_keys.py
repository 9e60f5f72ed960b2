"""Private keys in PEM as a library wants them that reads one form only."""

from __future__ import annotations

import base64
import re

PEM = re.compile(rb"-----BEGIN ((?:RSA |EC )?PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
INTEGER_0 = b"\x02\x01\x00"
RSA = bytes.fromhex("300d06092a864886f70d0101010500")  # AlgorithmIdentifier, RFC 8017 §A.1
EC = bytes.fromhex("06072a8648ce3d0201")  # its object identifier, RFC 5480 §2.1.1
SEQUENCE, OCTETS, PARAMETERS = 0x30, 0x04, 0xA0


def pkcs8(pem: bytes) -> bytes | None:
    """The first key in PKCS #8 (RFC 5958), as PEM; None where there is none without a password."""
    found = PEM.search(pem)
    if found is None:
        return None
    key = base64.b64decode(found[2].partition(b"\n\n")[2] or found[2])
    if found[1] == b"RSA PRIVATE KEY":
        key = _wrapped(RSA, key)
    elif found[1] == b"EC PRIVATE KEY":
        key = _wrapped(_element(SEQUENCE, EC + _curve(key)), key)
    return b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(key) + b"-----END PRIVATE KEY-----\n"


def _wrapped(algorithm: bytes, key: bytes) -> bytes:
    return _element(SEQUENCE, INTEGER_0 + algorithm + _element(OCTETS, key))


def _curve(key: bytes) -> bytes:
    """The named curve in an ECPrivateKey, RFC 5915 §3. Raises ValueError."""
    _, fields, _ = _parsed(key)
    while fields:
        tag, content, fields = _parsed(fields)
        if tag == PARAMETERS:
            return content
    raise ValueError("the key does not say its curve")


# ── DER, X.690 §8.1 ──────────────────────────────────────────────────────────────────────────────────────


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def _parsed(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element, and what follows it."""
    tag, size, start = data[0], data[1], 2
    if size >= 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start])
    return tag, data[start : start + size], data[start + size :]
