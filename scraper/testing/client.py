"""A client without sockets: a web site in a dict."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multidict import CIMultiDict

from scraper.errors import FetchError
from scraper.request import Request
from scraper.urls import canonical, normalize

Body = bytes | str
Headers = Mapping[str, str] | Sequence[tuple[str, str]]  # pairs, where a name comes more than once


@dataclass(frozen=True, slots=True)
class Page:
    """An answer whole. `body` is what goes over the wire: compressed, if a Content-Encoding says so."""

    status: int = 200
    headers: Headers = field(default_factory=dict)
    body: Body = b""


Computed = Callable[[Request], Any]  # gives back another answer, or an awaitable of one
Answer = Body | Page | BaseException | Computed | Sequence["Body | Page | BaseException | Computed"]

NOT_FOUND = Page(404, body="<h1>This site has no such page.</h1>")


class FakeClient:
    """A Client that answers from a dict, for `crawl` and for tests of your own:

        client = FakeClient({
            "https://shop.example/": '<a href="/book/1">Emma</a>',           # a body: 200
            "https://shop.example/gone": Page(410),
            "https://shop.example/book/1": [Page(503), "<h1>Emma</h1>"],     # one attempt after the other
            "https://shop.example/down": ConnectionLost(),                   # raised
            "https://shop.example/echo": lambda request: request.body,       # or an async function
        })

    The last answer of a list stays. Every other URL is a 404. A text is sent as UTF-8 HTML. `requests` has
    all that were sent, as they would have gone over the wire, in order.
    """

    def __init__(self, pages: Mapping[str, Answer] | None = None) -> None:
        self.requests: list[Request] = []
        self._answers = {_key(url): _in_turn(answer) for url, answer in (pages or {}).items()}

    @property
    def urls(self) -> list[str]:
        """Of all requests, in order."""
        return [request.url for request in self.requests]

    async def open(self, request: Request) -> FakeIncoming:
        self.requests.append(request)
        answers = self._answers.get(_key(request.url), [NOT_FOUND])
        page = await _page(answers.pop(0) if len(answers) > 1 else answers[0], request)
        return FakeIncoming(page, request)


class FakeIncoming:
    """What the door reads: a page, in one piece."""

    def __init__(self, page: Page, request: Request) -> None:
        self.status = page.status
        self.headers: CIMultiDict[str] = CIMultiDict(page.headers)
        if isinstance(page.body, str):
            self.headers.setdefault("Content-Type", "text/html; charset=utf-8")
        self._body = b"" if request.method == "HEAD" else _bytes(page.body)

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._body:
            yield self._body

    async def close(self) -> None:
        """There is no connection."""


async def _page(answer: Any, request: Request) -> Page:
    """The answer's page. Raises what the answer raises."""
    if isinstance(answer, BaseException):
        if isinstance(answer, FetchError):
            answer.request = request
        raise answer.with_traceback(None)  # the same one may be raised again and again
    if callable(answer):
        given = answer(request)
        return await _page(await given if inspect.isawaitable(given) else given, request)
    return answer if isinstance(answer, Page) else Page(body=answer)


def _in_turn(answer: Answer) -> list[Any]:
    answers = list(answer) if isinstance(answer, list | tuple) else [answer]
    if not answers:
        raise ValueError("A list of answers needs at least one: the last one stays.")
    return answers


def _key(url: str) -> str:
    return canonical(normalize(url))


def _bytes(body: Body) -> bytes:
    return body.encode() if isinstance(body, str) else body
