"""What a client asked and what a well-behaved page answers."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial
from html import escape
from http import HTTPStatus
from http.client import responses
from typing import Self
from urllib.parse import parse_qsl, unquote

import orjson
from multidict import CIMultiDict

HTML = "text/html; charset=utf-8"
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came over the wire: `target` is untouched, `path` has no query."""

    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: CIMultiDict[str]
    body: bytes = b""
    version: str = "HTTP/1.1"
    visit: int = 1
    """How many requests for this path the site has had, this one included."""

    @classmethod
    def parse(cls, head: bytes) -> Self:
        """Raises ValueError when the head isn't HTTP."""
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, version = first.split(" ")
        fields = (line.partition(":") for line in lines)
        path, _, query = _origin_form(target).partition("?")
        return cls(
            method=method,
            target=target,
            path=path,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=CIMultiDict((name, value.strip()) for name, _, value in fields),
            version=version,
        )

    @property
    def name(self) -> str:
        """The path's first segment: what the tables are keyed by."""
        return self.path[1:].partition("/")[0]

    @property
    def rest(self) -> str:
        """The path after its first segment, decoded."""
        return unquote(self.path[1:].partition("/")[2])

    @property
    def keep_alive(self) -> bool:
        return self.version == "HTTP/1.1" and self.headers.get("Connection", "").lower() != "close"

    def number(self, name: str, default: int) -> int:
        """A query parameter that counts something."""
        return int(self.query.get(name, default))


def _origin_form(target: str) -> str:
    """A proxy is asked for whole URLs: `http://host/path` is `/path` here (RFC 9112 §3.2.2)."""
    scheme, found, rest = target.partition("://")
    if not found or "/" in scheme:
        return target
    return "/" + rest.partition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A sound response. A body that comes piece by piece is chunked, unless its `length` is told."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str | None = HTML
    body: bytes | AsyncGenerator[bytes] = b""
    length: int | None = None

    @property
    def chunked(self) -> bool:
        return self.length is None and not isinstance(self.body, bytes)

    def head(self, *, keep_alive: bool = True) -> bytes:
        fields = [] if self.status in BODILESS else self._framing()
        if not keep_alive:
            fields.append(("Connection", "close"))
        return head(self.status, *fields, *self.headers)

    def _framing(self) -> list[tuple[str, str]]:
        fields = [("Content-Type", self.content_type)] if self.content_type else []
        if self.chunked:
            return [*fields, ("Transfer-Encoding", "chunked")]
        length = len(self.body) if isinstance(self.body, bytes) else self.length
        return [*fields, ("Content-Length", str(length))]


def head(status: int, *fields: tuple[str, str]) -> bytes:
    """A status line and header lines, up to and including the empty line; in UTF-8, as sloppy servers do."""
    lines = [
        f"HTTP/1.1 {status} {responses.get(status, '')}",
        *(f"{name}: {value}" for name, value in fields),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(errors="surrogateescape")


def html(title: str, *body: str, meta: str = "") -> str:
    """A small page; `body` lines are HTML already."""
    words = escape(title)
    return (
        f"<!doctype html>\n<html><head>{meta}<title>{words}</title></head>\n"
        f"<body><h1>{words}</h1>\n{''.join(line + chr(10) for line in body)}</body></html>\n"
    )


def page(title: str, *body: str, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status=status, headers=headers, body=html(title, *body).encode())


def json(value: object) -> Answer:
    return Answer(content_type="application/json", body=orjson.dumps(value))


missing = partial(page, "Not found", "<p>This site has no such page.</p>", status=404)
