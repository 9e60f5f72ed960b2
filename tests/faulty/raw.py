"""Answers that break HTTP: cut, stalled, malformed. After most of them the connection is spent."""

from collections.abc import Awaitable, Callable

from tests.faulty.message import HTML, Answer, Request, head, html, page
from tests.faulty.wire import Wire, chunk

Fault = Callable[[Request, Wire], Awaitable[Answer | None]]

BODY = html("Half a page", "<p>The first half.</p>", "<p>The second half.</p>").encode()
HALF = BODY[: len(BODY) // 2]
LENGTH = ("Content-Length", str(len(BODY)))
TYPE = ("Content-Type", HTML)
CHUNKED = ("Transfer-Encoding", "chunked")


async def slow(request: Request, wire: Wire) -> Answer:
    """/slow?ms=N: a sound answer, late."""
    await wire.pause(request.number("ms", 1000) / 1000)
    return page("Slow", f"<p>After {request.number('ms', 1000)} ms.</p>")


async def never(request: Request, wire: Wire) -> None:
    """/never: not one byte, until somebody leaves."""
    await wire.silence()


async def stall(request: Request, wire: Wire) -> None:
    """/stall: the head and half of the body, then silence until somebody leaves."""
    await truncated(request, wire)
    await wire.silence()


async def reset(request: Request, wire: Wire) -> None:
    """/reset: an RST before any byte."""
    wire.reset()


async def reset_middle(request: Request, wire: Wire) -> None:
    """/reset-middle: an RST after half of the body."""
    await truncated(request, wire)
    wire.reset()


async def flaky_reset(request: Request, wire: Wire) -> Answer | None:
    """/flaky-reset/KEY?fails=N: an RST N times, then a page."""
    if request.visit > request.number("fails", 1):
        return page(f"Flaky {request.rest}", f"<p>Fine at visit {request.visit}.</p>")
    wire.reset()
    return None


async def empty_reply(request: Request, wire: Wire) -> None:
    """/empty-reply: a FIN before any byte."""


async def truncated(request: Request, wire: Wire) -> None:
    """/truncated: half of the announced length, then a FIN."""
    await wire.write(head(200, TYPE, LENGTH) + HALF)


async def truncated_chunked(request: Request, wire: Wire) -> None:
    """/truncated-chunked: all of the body but no last chunk."""
    await wire.write(head(200, TYPE, CHUNKED) + chunk(BODY))


async def wrong_length_short(request: Request, wire: Wire) -> None:
    """/wrong-length-short: announces half and sends all."""
    await wire.write(head(200, TYPE, ("Content-Length", str(len(HALF)))) + BODY)


async def bad_chunk(request: Request, wire: Wire) -> None:
    """/bad-chunk: a good chunk, then one whose size is no number."""
    await wire.write(head(200, TYPE, CHUNKED) + chunk(HALF) + b"zz\r\nwhat\r\n")


async def not_http(request: Request, wire: Wire) -> None:
    """/not-http: another protocol altogether."""
    await wire.write(b"SSH-2.0-OpenSSH_9.9\r\n\x00\x01\x02\r\n\r\n")


async def huge_header(request: Request, wire: Wire) -> None:
    """/huge-header?kb=N: one header line of N KiB."""
    await wire.write(head(200, TYPE, LENGTH, ("X-Huge", "x" * 1024 * request.number("kb", 256))) + BODY)


async def bad_header(request: Request, wire: Wire) -> None:
    """/bad-header: a header line without a colon."""
    await wire.write(head(200, TYPE, LENGTH).replace(b"\r\n", b"\r\nthis is no header\r\n", 1) + BODY)


async def keepalive_close(request: Request, wire: Wire) -> None:
    """/keepalive-close: promises to keep the connection, then closes it behind a sound answer."""
    await wire.write(head(200, TYPE, LENGTH, ("Connection", "keep-alive")) + BODY)


async def keepalive_stale(request: Request, wire: Wire) -> None:
    """/keepalive-stale: a sound answer; the connection breaks as soon as the next request is sent on it."""
    await keepalive_close(request, wire)
    await wire.next_byte()


FAULTS: dict[str, Fault] = {
    "slow": slow,
    "never": never,
    "stall": stall,
    "reset": reset,
    "reset-middle": reset_middle,
    "flaky-reset": flaky_reset,
    "empty-reply": empty_reply,
    "truncated": truncated,
    "truncated-chunked": truncated_chunked,
    "wrong-length-short": wrong_length_short,
    "bad-chunk": bad_chunk,
    "not-http": not_http,
    "huge-header": huge_header,
    "bad-header": bad_header,
    "keepalive-close": keepalive_close,
    "keepalive-stale": keepalive_stale,
}
