"""Content codings are undone as they arrive, in bounded steps, or refused in words."""

import gzip
import sys
import zlib
from collections.abc import Callable

import brotli
import pytest

from scraper.decoding import STEP, Undecodable, decoders, feed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PLAIN = b"".join(b"<p>Paragraph %d of the page.</p>\n" % number for number in range(2_000))
MEGABYTE = 1_000_000


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "brotli": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
    "twice": ("gzip, br", lambda data: brotli.compress(gzip.compress(data))),
}
packings = pytest.mark.parametrize("packing", PACKED)


def decoded(coding: str, *pieces: bytes) -> bytes:
    chain = decoders(coding)
    steps = [step for piece in pieces for step in feed(chain, piece)]
    for decoder in chain:
        decoder.end()
    return b"".join(steps)


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@packings
def test_each_coding_is_undone(packing: str):
    coding, pack = PACKED[packing]
    assert decoded(coding, pack(PLAIN)) == PLAIN


@packings
@pytest.mark.parametrize("size", [2, 7, 1000])
def test_pieces_of_any_size_will_do(packing: str, size: int):
    coding, pack = PACKED[packing]
    assert decoded(coding, *in_pieces(pack(PLAIN), size)) == PLAIN


@pytest.mark.parametrize(
    "packing",
    [*PACKED],
)
def test_single_bytes_will_do(packing: str):
    coding, pack = PACKED[packing]
    assert decoded(coding, *in_pieces(pack(PLAIN), 1)) == PLAIN


@pytest.mark.parametrize("size", [STEP - 1, STEP, STEP + 1, 2 * STEP, MEGABYTE, 3 * MEGABYTE])
@pytest.mark.parametrize(
    "packing",
    [*PACKED],
)
def test_a_body_of_any_size_is_whole(packing: str, size: int):
    coding, pack = PACKED[packing]
    body = (PLAIN * (size // len(PLAIN) + 1))[:size]
    assert decoded(coding, pack(body)) == body


@packings
def test_an_empty_body_needs_no_coding(packing: str):
    assert decoded(PACKED[packing][0]) == b""
    assert decoded(PACKED[packing][0], b"") == b""


@packings
def test_a_coded_nothing_is_nothing(packing: str):
    coding, pack = PACKED[packing]
    assert decoded(coding, pack(b"")) == b""


@packings
def test_what_is_cut_off_is_refused(packing: str):
    coding, pack = PACKED[packing]
    packed = pack(PLAIN)
    for cut in (1, 10, len(packed) // 2, len(packed) - 1):
        with pytest.raises(Undecodable):
            decoded(coding, packed[:cut])


@packings
def test_what_was_never_coded_is_refused(packing: str):
    with pytest.raises(Undecodable):
        decoded(PACKED[packing][0], PLAIN)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_members_one_after_another_are_one_body(packing: str):
    coding, pack = PACKED[packing]
    assert decoded(coding, pack(b"one ") + pack(b"two ") + pack(b"three")) == b"one two three"


@pytest.mark.parametrize(
    "packing",
    [
        "gzip",
        "zstd",
    ],
)
def test_members_may_come_one_by_one_or_in_pieces(packing: str):
    coding, pack = PACKED[packing]
    assert decoded(coding, pack(b"one "), pack(b"two")) == b"one two"
    assert decoded(coding, *in_pieces(pack(b"one ") + pack(b"two"), 1)) == b"one two"


def test_a_second_member_that_is_cut_off_is_refused():
    with pytest.raises(Undecodable):
        decoded("gzip", gzip.compress(b"one") + gzip.compress(PLAIN)[:-9])


def test_zeros_behind_a_gzip_stream_are_padding():
    assert decoded("gzip", gzip.compress(PLAIN) + bytes(512)) == PLAIN


@pytest.mark.parametrize("coding", ["", "identity", " identity , ", "Identity"])
def test_no_coding_gives_back_what_came(coding: str):
    assert decoders(coding) == []
    assert decoded(coding, b"a", b"b") == b"ab"


@pytest.mark.parametrize("coding", ["GZIP", " gzip ", "identity, gzip", "gzip,"])
def test_a_coding_is_written_as_one_likes(coding: str):
    assert decoded(coding, gzip.compress(PLAIN)) == PLAIN


@pytest.mark.parametrize("coding", ["compress", "utf-8", "gzip, x-unheard-of"])
def test_an_unknown_coding_is_named(coding: str):
    with pytest.raises(Undecodable, match=r"'(compress|utf-8|x-unheard-of)' is not known"):
        decoders(coding)


@packings
def test_a_bomb_comes_in_small_steps(packing: str):
    coding, pack = PACKED[packing]
    bomb = pack(bytes(20 * MEGABYTE))
    assert len(bomb) < 50_000
    assert max(len(step) for step in feed(decoders(coding), bomb)) <= 4 * STEP  # brotli has its own strides


@packings
def test_a_bomb_is_not_decoded_beyond_the_step_that_somebody_wants(packing: str):
    coding, pack = PACKED[packing]
    steps = feed(decoders(coding), pack(bytes(20 * MEGABYTE)))
    assert 0 < sum(len(next(steps)) for _ in range(2)) <= 8 * STEP
