"""A place on the web that writes down every byte of what it is asked."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from tests.clients.servers import listening
from tests.faulty.message import Answer, Request, page

Page = Callable[[Request], Answer]


@dataclass
class Place:
    """`pages`: by path; every other one is a small page. `url`: where it is, by that name."""

    pages: dict[str, Page] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    url: str = ""

    async def __call__(self, reader, writer) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request = Request.parse(head)
            await reader.readexactly(int(request.headers.get("Content-Length", "0")))
            self.heads.append(head.decode("latin-1"))
            self.asked.append(request)
            answer = self.pages.get(request.path, lambda _: page("Here"))(request)
            writer.write(answer.head() + answer.body)
            await writer.drain()

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        place = cls()
        async with listening(place, tls=tls) as port:
            place.url = f"{'https' if tls else 'http'}://{name}:{port}"
            yield place


def to(location: str) -> Page:
    return lambda request: Answer(status=302, headers=(("Location", location),))
