"""Response: what came back, and how to take things out of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson
from multidict import CIMultiDict
from selectolax.lexbor import LexborHTMLParser

from scraper.encoding import decode, sniff
from scraper.errors import MissingExtra
from scraper.request import Request
from scraper.selectors import Element, Selection, parse_html
from scraper.urls import InvalidURL, join


@dataclass(frozen=True, slots=True)
class Saved:
    """A body on the disk: `size` in bytes, `sha256` in hex."""

    path: Path
    size: int
    sha256: str


NOT_LOOKED_AT: Mapping[str, Any] = {"_encoding": "", "_text": None, "_tree": None, "_base": ""}


@dataclass(frozen=True, eq=False, init=False)
class Response:
    """The answer to one request, whole and decoded.

    `url`: of the last redirect hop. `headers`: case-insensitive, several values a name. `body`: bytes after
    Content-Encoding. `wire_bytes`: the body's size as it was sent. `elapsed`: seconds on the wire.
    `proxy`: the name of the proxy that it came through. `saved`: where `save_to` put the body; `body` is empty then.
    """

    url: str
    status: int
    headers: CIMultiDict[str]
    body: bytes
    request: Request
    _: KW_ONLY
    wire_bytes: int = 0
    elapsed: float = 0.0
    proxy: str = ""
    saved: Saved | None = None
    _encoding: str = field(default="", init=False, repr=False)
    _text: str | None = field(default=None, init=False, repr=False)
    _tree: LexborHTMLParser | None = field(default=None, init=False, repr=False)
    _base: str = field(default="", init=False, repr=False)

    def __init__(
        self,
        url: str,
        status: int,
        headers: CIMultiDict[str],
        body: bytes,
        request: Request,
        *,
        wire_bytes: int = 0,
        elapsed: float = 0.0,
        proxy: str = "",
        saved: Saved | None = None,
    ) -> None:
        # at once: that of a frozen dataclass goes through `object.__setattr__` for each field
        self.__dict__.update(
            url=url,
            status=status,
            headers=headers,
            body=body,
            request=request,
            wire_bytes=wire_bytes,
            elapsed=elapsed,
            proxy=proxy,
            saved=saved,
            **NOT_LOOKED_AT,
        )

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; what has been decoded and parsed goes along unless the body changes."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.__dict__.update(changes)
        if "body" in changes:
            new.__dict__.update(NOT_LOOKED_AT)
        return new

    @property
    def data(self) -> Mapping[str, Any]:
        """The request's `data`."""
        return self.request.data

    @property
    def encoding(self) -> str:
        """The character encoding as a browser decides: BOM, Content-Type, meta, then a guess."""
        if not self._encoding:
            object.__setattr__(self, "_encoding", sniff(self.body, self.headers.get("Content-Type")))
        return self._encoding

    @property
    def text(self) -> str:
        if self._text is None:
            object.__setattr__(self, "_text", decode(self.body, self.encoding))
        return self._text  # type: ignore[return-value]  # set above

    def json(self) -> Any:
        """The body as JSON. Raises orjson.JSONDecodeError (a ValueError)."""
        return orjson.loads(self.body if self.encoding == "utf-8" else self.text)

    @property
    def html(self) -> LexborHTMLParser:
        """The selectolax (Lexbor) tree, built once. It takes some 20 × the body's size while it lives."""
        if self._tree is None:
            # a UTF-8 body goes to the parser as it is: decoding and encoding it again would cost 10 µs a page
            source = self.body if self.encoding == "utf-8" or self.body.isascii() else self.text
            object.__setattr__(self, "_tree", parse_html(source))
        return self._tree  # type: ignore[return-value]  # set above

    def css(self, css: str) -> Selection:
        """`response.css("h1::text").get()`, `.getall()`, `.re(r"\\d+")`; `::attr(href)` for attributes."""
        return Selection(self.html, css)

    def xpath(self, xpath: str) -> Any:
        """The nodes and strings that an XPath 1.0 expression finds (lxml; extra `xpath`)."""
        try:
            from lxml import html
        except ImportError:
            raise MissingExtra("response.xpath()", "xpath") from None
        found = html.fromstring(self.text, base_url=self.url).xpath(xpath)
        return (
            [str(one) if isinstance(one, str) else one for one in found] if isinstance(found, list) else found
        )

    @property
    def base(self) -> str:
        """What relative links are joined to: `<base href>` where the page has one (HTML §4.2.3)."""
        if not self._base:
            href = (
                Selection(self.html, "base[href]::attr(href)").get()
                if b"<base" in self.body.lower()
                else None
            )
            object.__setattr__(self, "_base", _joined(self.url, href) or self.url)
        return self._base

    def urljoin(self, href: str) -> str:
        """Raises InvalidURL for a link that no browser would follow."""
        return join(self.base, href)

    def follow(
        self, target: str | Element, callback: Callable[..., Any] | str | None = None, **options: Any
    ) -> Request:
        """A request for a link (a string or an element with `href` or `src`), joined to this page's URL.

        A link that can't be joined is passed on as it stands: admission counts it as `invalid url`.
        """
        href = target if isinstance(target, str) else _link_of(target)
        return Request(_joined(self.base, href) or href, callback=callback, **options)

    def follow_all(
        self, css: str, callback: Callable[..., Any] | str | None = None, **options: Any
    ) -> Iterator[Request]:
        """A request for each element that `css` finds and that has a link."""
        for found in Selection(self.html, css):
            href = found if isinstance(found, str) else found.attrib.get("href", found.attrib.get("src"))
            if href is not None:
                yield self.follow(href, callback, **options)


def is_ok(status: int, *allowed: Collection[int]) -> bool:
    """2xx, or a status that the request or its spider calls ok."""
    return 200 <= status < 300 or any(status in statuses for statuses in allowed)


def _link_of(element: Element) -> str:
    for name in ("href", "src"):
        if name in element.attrib:
            return element.attrib[name]
    raise ValueError(f"<{element.tag}> has neither href nor src to follow.")


def _joined(base: str, href: str | None) -> str | None:
    if href is None:
        return None
    try:
        return join(base, href)
    except InvalidURL:
        return None
