"""The second spider: logs in through a form, then pages through a JSON API.

scrape crawl quotes -o quotes.jsonl -a author=Japanese
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from scraper import Item, Request, Response, Spider
from scraper.demo import quotes


class Quote(Item):
    text: str
    author: str
    tags: list[str]


class Quotes(Spider):
    """Quotes behind a login, as JSON; `-a author=…` keeps only some."""

    name = "quotes"
    user: str = "reader"
    author: str = ""

    async def open(self) -> None:
        self.url = await self.enter(quotes(self.state))

    async def start(self) -> AsyncIterator[Request]:
        yield Request(f"{self.url}login")

    def parse(self, response: Response) -> Request:
        token = response.css("input[name=csrf_token]::attr(value)").get()
        form = {"csrf_token": token, "username": self.user, "password": "secret"}
        return response.follow("/login", self.parse_home, method="POST", form=form)

    def parse_home(self, response: Response) -> Iterator[Request]:
        if not response.css("a[href='/logout']"):
            raise ValueError("The login was refused.")
        yield response.follow("/api/quotes?page=1", self.parse_quotes)

    def parse_quotes(self, response: Response) -> Iterator[Any]:
        page = response.json()
        for quote in page["quotes"]:
            if self.author in quote["author"]:
                yield Quote(**quote)
        if page["has_next"]:
            yield response.follow(f"?page={page['page'] + 1}", self.parse_quotes)
