"""The spider of the page benchmark: six fields and the links of each page, as many pages as asked.

scrape run benchmarks/pages.py -a port=8081 -a pages=5000 -o out.jsonl -s concurrency=100 -s per_host=100
"""

from collections.abc import Iterator
from typing import Any

from scraper import Request, Response, Spider


def fields(response: Response) -> Iterator[dict[str, Any]]:
    yield {
        "url": response.url,
        "title": response.css("h1::text").get(),
        "price": float(response.css("p.price_color::text").get()[1:]),
        "upc": response.css("table.info tr td::text").get(),
        "stock": response.css("table.info tr td::text").getall()[1],
        "desc": response.css("#desc::text").get(),
    }


class Pages(Spider):
    name = "pages"
    port: int = 8081
    pages: int = 5000

    async def start(self) -> Any:
        self.queued = 1
        yield Request(f"http://127.0.0.1:{self.port}/p/0")

    def parse(self, response: Response) -> Iterator[Any]:
        yield from fields(response)
        for href in response.css("a.next::attr(href)").getall():
            if self.queued < self.pages:
                self.queued += 1
                yield response.follow(href)
