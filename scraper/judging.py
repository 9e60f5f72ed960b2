"""Judging: what a crawl says of a URL that it never queued, asked again of the functions that said it then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from protego import Protego

from scraper import stats
from scraper.admission import Rule, length, offsite, scheme
from scraper.middlewares.robots import restricts, spoken
from scraper.request import Request
from scraper.settings import Settings
from scraper.spider import Spider
from scraper.urls import InvalidURL, host, normalize, origin


@dataclass(frozen=True, slots=True)
class Judgement:
    """`says` why in words; `certain`: whether it holds wherever the URL was found; `others`: how many requests of
    the run have met the same."""

    reason: str
    says: str
    others: int
    certain: bool = True


class Judge:
    """`spider`: None where it can't be loaded; then nobody knows what is off its site.

    `robots`: what the run remembers of robots.txt, by origin.
    """

    def __init__(
        self,
        settings: Settings,
        counters: Mapping[str, int],
        robots: Mapping[str, Any],
        spider: Spider | None,
    ) -> None:
        self._settings = settings
        self._counters = counters
        self._robots = robots
        self._spider = spider

    def against(self, url: str) -> Judgement | None:
        """Why it was dropped, if a page has yielded it; None where nothing stands against it."""
        try:
            url = normalize(url)
        except InvalidURL as error:
            return self._dropped("invalid url", str(error))
        for reason, rule, words in self._rules(url):
            if rule(Request(url)):
                return self._dropped(reason, words)
        if self.forbidden(url):
            others = self._counters.get(f"{stats.REFUSED}/robots", 0)
            return Judgement("robots", f"{origin(url)}/robots.txt disallows it", others)
        depth, too_deep = self._settings.max_depth, self._counters.get(f"{stats.DROPPED}/depth", 0)
        if depth and too_deep:
            return Judgement("depth", f"max_depth is {depth}", too_deep, certain=False)
        return None

    def _rules(self, url: str) -> Iterator[tuple[str, Rule, str]]:
        yield "scheme", scheme, f"{url.partition(':')[0]} is no scheme to fetch, only http and https are"
        most = self._settings.max_url_length
        yield "length", length(most), f"it has {len(url):,} characters; max_url_length is {most:,}"
        domains = self._spider.allowed_domains if self._spider else ()
        if domains:
            words = f"{host(url)} is not in allowed_domains ({', '.join(sorted(domains))})"
            yield "offsite", offsite(domains), words

    def forbidden(self, url: str) -> bool:
        """By the robots.txt that the run has read."""
        names = [use if isinstance(use, str) else use.get("use") for use in self._settings.middlewares]
        text = self._robots.get(origin(url), {}).get("text", "")
        if "robots" not in names or not self._settings.obey_robots or not restricts(text):
            return False
        return not Protego.parse(text).can_fetch(url, spoken(self._settings.user_agent))

    def _dropped(self, reason: str, says: str) -> Judgement:
        return Judgement(reason, says, self._counters.get(f"{stats.DROPPED}/{reason}", 0))
