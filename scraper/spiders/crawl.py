"""CrawlSpider: follows links by rules, for sites where every page may lead anywhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scraper.item import is_item
from scraper.request import Request
from scraper.response import Response
from scraper.spider import Spider

LINKS = "a[href]::attr(href), area[href]::attr(href)"


@dataclass(frozen=True, slots=True)
class Rule:
    """Links whose URL matches `allow` and not `deny` (regular expressions, searched), found within `within` (CSS).

    `callback`: a method's name for what is taken from such a page. `follow`: whether the rules apply to that
    page's links too; by default they do where there is no callback.
    """

    allow: str | Collection[str] = ()
    deny: str | Collection[str] = ()
    within: str = ""
    callback: str | None = None
    follow: bool | None = None

    @property
    def follows(self) -> bool:
        return self.callback is None if self.follow is None else self.follow

    def matches(self, url: str) -> bool:
        allowed = not self.allow or any(re.search(pattern, url) for pattern in _patterns(self.allow))
        return allowed and not any(re.search(pattern, url) for pattern in _patterns(self.deny))

    def links(self, response: Response) -> Iterator[str]:
        """The page's links within the rule's part of it, joined, as they stand in the page."""
        parts = response.css(self.within) if self.within else (response,)
        for part in parts:
            for href in part.css(LINKS).getall():
                request = response.follow(href)
                if self.matches(request.url):
                    yield request.url


class CrawlSpider(Spider):
    """Subclass it with `rules`, tried in order; a link belongs to the first rule that matches it:

    class Docs(CrawlSpider):
        name = "docs"
        start_urls = ["https://docs.example/"]
        rules = [Rule(allow=r"/page/", callback="parse_page"), Rule()]
    """

    rules: ClassVar[Sequence[Rule]] = ()

    async def parse(self, response: Response) -> AsyncIterator[Any]:
        for request in self.follow_rules(response):
            yield request

    async def on_rule(self, response: Response) -> AsyncIterator[Any]:
        """A page that a rule led to: its callback's outputs, and its links where the rule follows."""
        rule = self.rules[response.data["rule"]]
        if rule.callback is not None:
            async for output in self.outputs_of(getattr(self, rule.callback), response):
                yield output
        if rule.follows:
            for request in self.follow_rules(response):
                yield request

    def follow_rules(self, response: Response) -> Iterator[Request]:
        taken: set[str] = set()
        for n, rule in enumerate(self.rules):
            for url in rule.links(response):
                if url not in taken:
                    taken.add(url)
                    yield Request(url, callback=self.on_rule, data={"rule": n})

    async def outputs_of(self, callback: Callable[..., Any], response: Response) -> AsyncIterator[Any]:
        given = callback(response)
        if hasattr(given, "__await__"):
            given = await given
        if hasattr(given, "__aiter__"):
            async for output in given:
                yield output
        elif isinstance(given, Iterable) and not (is_item(given) or isinstance(given, str | bytes)):
            for output in given:
                yield output
        elif given is not None:
            yield given


def _patterns(given: str | Collection[str]) -> Collection[str]:
    return (given,) if isinstance(given, str) else given
