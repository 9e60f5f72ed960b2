"""A page from a file, as a response: to try a callback on."""

from __future__ import annotations

from pathlib import Path

from multidict import CIMultiDict

from scraper.request import Request
from scraper.response import Response
from scraper.testing.client import Headers
from scraper.urls import normalize


def saved_page(
    path_or_body: Path | bytes | str,
    url: str,
    *,
    status: int = 200,
    headers: Headers | None = None,
    request: Request | None = None,
) -> Response:
    """The response that a spider would get from `url`. A Path is read; a str is the page itself:

        def test_a_book_has_its_title():
            page = saved_page(Path("tests/pages/emma.html"), "https://shop.example/book/1")
            assert list(Books().parse(page)) == [{"title": "Emma"}]

    `request` is what the callback finds in `response.request`, where it matters. Raises OSError, InvalidURL.
    """
    own = CIMultiDict(headers or {})
    if isinstance(path_or_body, str):
        own.setdefault("Content-Type", "text/html; charset=utf-8")
        body = path_or_body.encode()
    else:
        body = path_or_body.read_bytes() if isinstance(path_or_body, Path) else path_or_body
    asked = normalize(url)
    return Response(asked, status, own, body, request or Request(asked), wire_bytes=len(body))
