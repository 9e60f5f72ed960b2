"""Bodies that are large, slow, compressed, or compressed with malice."""

import asyncio
import sys
import zlib
from collections.abc import AsyncGenerator, Callable
from typing import NamedTuple

import brotli

from tests.faulty.message import Answer, Request, html
from tests.faulty.pages import Page

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 65_536
MEGABYTE = 1_000_000

KNOWN_HTML = html("Known page", *(f"<p>Paragraph {number} of the known page.</p>" for number in range(100)))
"""What every sound compressed page decodes to."""


def big(request: Request) -> Answer:
    """/big?bytes=N: N bytes, chunked, so that nobody can know the end."""
    return Answer(body=_repeat(request.number("bytes", MEGABYTE)))


def big_length(request: Request) -> Answer:
    """/big-length?bytes=N: N bytes, announced."""
    size = request.number("bytes", MEGABYTE)
    return Answer(body=_repeat(size), length=size)


def drip(request: Request) -> Answer:
    """/drip?bytes=N&ms=M: N bytes, announced, one each M milliseconds."""
    size = request.number("bytes", 10)
    return Answer(body=_drip(size, request.number("ms", 100) / 1000), length=size)


async def _repeat(size: int) -> AsyncGenerator[bytes]:
    for start in range(0, size, PIECE):
        yield b"x" * min(PIECE, size - start)


async def _drip(size: int, pause: float) -> AsyncGenerator[bytes]:
    for _ in range(size):
        yield b"."
        await asyncio.sleep(pause)


class Coding(NamedTuple):
    """One body under way through a compressor: `compress` what there is, `flush` at the end."""

    token: str
    compress: Callable[[bytes], bytes]
    flush: Callable[[], bytes]


def _zlib(token: str, wbits: int) -> Coding:
    compressor = zlib.compressobj(9, wbits=wbits)
    return Coding(token, compressor.compress, compressor.flush)


def _brotli() -> Coding:
    compressor = brotli.Compressor(quality=5)
    return Coding("br", compressor.process, compressor.finish)


def _zstd() -> Coding:
    compressor = zstd.ZstdCompressor()
    return Coding("zstd", compressor.compress, compressor.flush)


CODINGS: dict[str, Callable[[], Coding]] = {
    "gzip": lambda: _zlib("gzip", 31),
    "deflate": lambda: _zlib("deflate", 15),
    "deflate-raw": lambda: _zlib("deflate", -15),  # against RFC 9110 §8.4.1.2, yet common
    "br": _brotli,
    "zstd": _zstd,
}


def coded(request: Request) -> Answer:
    """/gzip, /deflate, /deflate-raw, /br, /zstd: the known page, soundly compressed."""
    return _coded(CODINGS[request.name]().token, _encode(request.name, KNOWN_HTML.encode()))


def bomb(request: Request) -> Answer:
    """/bomb/CODING?mb=N and /gzip-bomb?mb=N: a few bytes that decode to N megabytes."""
    coding = CODINGS[request.rest or "gzip"]()
    return Answer(
        headers=(("Content-Encoding", coding.token),), body=_explode(coding, request.number("mb", 100))
    )


def gzip_broken(request: Request) -> Answer:
    """/gzip-broken: says gzip and is plain HTML."""
    return _coded("gzip", KNOWN_HTML.encode())


def gzip_truncated(request: Request) -> Answer:
    """/gzip-truncated: sound HTTP around the first half of a gzip stream."""
    body = _encode("gzip", KNOWN_HTML.encode())
    return _coded("gzip", body[: len(body) // 2])


def gzip_double(request: Request) -> Answer:
    """/gzip-double: compressed twice, and says so."""
    return _coded("gzip, gzip", _encode("gzip", _encode("gzip", KNOWN_HTML.encode())))


def coding_unknown(request: Request) -> Answer:
    """/coding-unknown: a Content-Encoding nobody has heard of."""
    return _coded("x-unheard-of", KNOWN_HTML.encode())


def _coded(token: str, body: bytes) -> Answer:
    return Answer(headers=(("Content-Encoding", token),), body=body)


def _encode(name: str, body: bytes) -> bytes:
    coding = CODINGS[name]()
    return coding.compress(body) + coding.flush()


async def _explode(coding: Coding, megabytes: int) -> AsyncGenerator[bytes]:
    zeros = bytes(MEGABYTE)
    for _ in range(megabytes):
        yield coding.compress(zeros)
        await asyncio.sleep(0)  # compressing takes milliseconds: others have their turn
    yield coding.flush()


PAGES: dict[str, Page] = {
    "big": big,
    "big-length": big_length,
    "drip": drip,
    **dict.fromkeys(CODINGS, coded),
    "bomb": bomb,
    "gzip-bomb": bomb,
    "gzip-broken": gzip_broken,
    "gzip-truncated": gzip_truncated,
    "gzip-double": gzip_double,
    "coding-unknown": coding_unknown,
}
