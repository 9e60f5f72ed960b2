"""Content codings: gzip, deflate, br and zstd, decoded as they arrive and never beyond a bound."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STEP = 256 * 1024  # bytes decoded at once at most: a bomb is noticed after its first step


class Undecodable(ValueError):
    """The bytes are not what Content-Encoding says."""


class Decoder(Protocol):
    def feed(self, data: bytes) -> Iterator[bytes]:
        """The decoded bytes, in steps of at most `STEP`."""

    def end(self) -> None:
        """Raises Undecodable where the coding was cut off."""


class Zlib:
    """gzip, and deflate in both forms: RFC 9110 §8.4.1.2 says zlib, many servers send it raw."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._inner = zlib.decompressobj(wbits)
        self._fed = False
        self._head = b""  # a first byte alone does not tell which form it is

    def feed(self, data: bytes) -> Iterator[bytes]:
        if not self._fed:
            data = self._head + data
            self._head = data if len(data) < 2 else b""
            if self._head:
                return
        if not self._fed and self._wbits == zlib.MAX_WBITS and data and not _zlib_header(data):
            self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
        self._fed = self._fed or bool(data)
        while data:
            yield self._inner.decompress(data, STEP)
            data = self._inner.unconsumed_tail
            if self._inner.eof and self._inner.unused_data.startswith(
                b"\x1f\x8b"
            ):  # members follow, RFC 1952 §2.2
                data, self._inner = self._inner.unused_data, zlib.decompressobj(self._wbits)

    def end(self) -> None:
        if self._head or (self._fed and not self._inner.eof):
            raise Undecodable("the compressed body ends too early")


class Brotli:
    def __init__(self) -> None:
        self._inner = brotli.Decompressor()
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._fed = self._fed or bool(data)
        step = self._inner.process(data, output_buffer_limit=STEP)
        yield step
        while len(step) >= STEP or not self._inner.can_accept_more_data():
            step = self._inner.process(b"", output_buffer_limit=STEP)
            yield step

    def end(self) -> None:
        if self._fed and not self._inner.is_finished():
            raise Undecodable("the compressed body ends too early")


class Zstd:
    def __init__(self) -> None:
        self._inner = zstd.ZstdDecompressor()
        self._fed = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._fed = self._fed or bool(data)
        while data:
            if self._inner.eof:  # frames may follow one another, RFC 8878 §3.1
                self._inner = zstd.ZstdDecompressor()
            yield self._inner.decompress(data, STEP)
            while not (self._inner.eof or self._inner.needs_input):
                yield self._inner.decompress(b"", STEP)
            data = self._inner.unused_data if self._inner.eof else b""

    def end(self) -> None:
        if self._fed and not self._inner.eof:
            raise Undecodable("the compressed body ends too early")


CODINGS: dict[str, Callable[[], Decoder]] = {
    "gzip": lambda: Zlib(16 + zlib.MAX_WBITS),
    "x-gzip": lambda: Zlib(16 + zlib.MAX_WBITS),
    "deflate": lambda: Zlib(zlib.MAX_WBITS),
    "br": Brotli,
    "zstd": Zstd,
}

ERRORS = (zlib.error, brotli.error, zstd.ZstdError, EOFError)


def decoders(content_encoding: str) -> list[Decoder]:
    """What undoes a Content-Encoding header, outermost coding first. Raises Undecodable for an unknown one."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    wanted = [name for name in reversed(names) if name not in {"", "identity"}]
    for name in wanted:
        if name not in CODINGS:
            raise Undecodable(f"the body's coding {name!r} is not known")
    return [CODINGS[name]() for name in wanted]


def feed(chain: list[Decoder], data: bytes) -> Iterator[bytes]:
    """`data` through all decoders. Raises Undecodable."""
    if not chain:
        yield data
        return
    try:
        for step in chain[0].feed(data):
            yield from feed(chain[1:], step)
    except ERRORS as error:
        raise Undecodable(str(error) or type(error).__name__) from error


def _zlib_header(data: bytes) -> bool:
    """RFC 1950 §2.2: method 8, and the first two bytes a multiple of 31."""
    return len(data) < 2 or (data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0)
