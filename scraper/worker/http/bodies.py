"""Bodies: JSON that comes in, bounded before it is read, and JSON that goes out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import orjson
from aiohttp import HttpVersion11, web
from pydantic import BaseModel

from scraper.worker.http.problems import Problem

MOST = 1024 * 1024  # bytes of a request's body
PATIENCE = 30.0  # seconds in which a body has to arrive
CONTINUE = "100-continue"
JSON = "application/json"


def as_json(view: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = view.model_dump_json().encode()
    return web.Response(status=status, body=body, headers={**(headers or {}), "Content-Type": JSON})


def check_announced(request: web.Request) -> None:
    """What the headers say of the body, before a byte of it is asked for. Raises Problem."""
    if request.content_length is not None and request.content_length > MOST:
        raise too_large()
    has_body = bool(request.content_length) or "Transfer-Encoding" in request.headers
    if has_body and request.content_type != JSON:  # some clients name a type where there is no body
        raise Problem(415, "The body of the request must be JSON: send Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise Problem(415, "The body of the request must not be compressed.")
    if request.headers.get("Expect", CONTINUE).lower() != CONTINUE:
        raise Problem(417, "The only expectation that can be met is 100-continue (RFC 9110 §10.1.1).")


async def read_object(request: web.Request) -> dict[str, object]:
    """Raises Problem for what is too large, too slow, no JSON, or JSON that is no object."""
    if request.content_type != JSON:
        raise Problem(415, "Send a JSON object, with Content-Type: application/json.")
    try:
        found = orjson.loads(await _read(request))
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body of the request is no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise Problem(422, 'The body of the request must be a JSON object, such as {"spider": "books"}.')
    return found


async def _read(request: web.Request) -> bytes:
    if request.version >= HttpVersion11 and "Expect" in request.headers:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > MOST:
                    raise too_large()
    except TimeoutError:
        raise Problem(408, f"The body of the request did not arrive within {PATIENCE:g} seconds.") from None
    return bytes(body)


def too_large() -> Problem:
    """The connection ends with the answer: what is still on its way is not read."""
    told = f"The body of the request is too large: at most {MOST} bytes are read."
    return Problem(413, told, headers={"Connection": "close"})


async def expect_later(request: web.Request) -> None:
    """`Expect: 100-continue` is answered once the body is really wanted."""
