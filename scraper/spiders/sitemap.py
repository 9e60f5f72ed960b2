"""SitemapSpider: starts from a site's sitemaps (sitemaps.org), also those that its robots.txt names."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from scraper.request import Request
from scraper.response import Response
from scraper.spider import Spider

LARGEST = 50 * 1024 * 1024  # bytes of one sitemap, uncompressed (sitemaps.org: 50 MB)


class SitemapSpider(Spider):
    """Subclass it with `sitemap_urls` (sitemaps, indexes of them, or a robots.txt) and write `parse`.

    `sitemap_follow`: regular expressions; only pages whose URL matches one are fetched (all, when empty).
    """

    sitemap_urls: Collection[str] = ()
    sitemap_follow: Collection[str] = ()

    async def start(self) -> AsyncIterator[Request]:
        for url in self.sitemap_urls:
            yield Request(url, callback=self.parse_sitemap)

    def parse_sitemap(self, response: Response) -> Iterator[Any]:
        if response.url.endswith("/robots.txt"):
            for url in re.findall(r"(?im)^\s*sitemap:\s*(\S+)", response.text):
                yield response.follow(url, self.parse_sitemap)
            return
        for kind, url in locations(unpacked(response.body)):
            if kind == "sitemap":
                yield response.follow(url, self.parse_sitemap)
            elif not self.sitemap_follow or any(re.search(pattern, url) for pattern in self.sitemap_follow):
                yield response.follow(url)


def unpacked(body: bytes) -> bytes:
    """A sitemap.xml.gz is gzip as a file, not as a coding. Raises ValueError where it holds too much."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
        plain = file.read(LARGEST + 1)
    if len(plain) > LARGEST:
        raise ValueError(f"a sitemap of more than {LARGEST} bytes")
    return plain


def locations(xml: bytes) -> Iterator[tuple[str, str]]:
    """("sitemap" | "url", its <loc>) in order, whatever the namespace; a broken end loses only what follows."""
    parser: XMLPullParser[Element] = XMLPullParser(
        ("end",)
    )  # expat takes no external entities, and bounds inner ones
    with contextlib.suppress(ParseError):  # what came before the break is still in the parser
        parser.feed(xml.lstrip())
    for element in _ended(parser):
        kind = element.tag.rpartition("}")[2]
        if kind in {"sitemap", "url"}:
            for child in element:
                if child.tag.rpartition("}")[2] == "loc" and child.text:
                    yield kind, child.text.strip()


def _ended(parser: XMLPullParser[Element]) -> Iterator[Element]:
    with contextlib.suppress(ParseError):  # the break itself comes last
        for event in parser.read_events():
            yield cast("tuple[str, Element]", event)[1]
