"""The first spider: every book of a shop.

scrape crawl books -o books.jsonl                                        the bundled shop, on this machine
scrape crawl books -o books.jsonl -a url=https://books.toscrape.com/     the real one
"""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

from scraper import Item, Request, Response, Spider
from scraper.demo import bookshop

RATINGS = ["Zero", "One", "Two", "Three", "Four", "Five"]


class Book(Item):
    title: str
    price: Decimal
    rating: int
    stock: int
    upc: str
    category: str
    description: str | None
    url: str


class Books(Spider):
    """Every book of a shop: catalogue pages, then a page for each book."""

    name = "books"
    url: str = ""

    async def open(self) -> None:
        if not self.url:  # nobody named a shop: serve the bundled one while the crawl lasts
            self.url = await self.enter(bookshop(self.state))

    async def start(self) -> AsyncIterator[Request]:
        yield Request(self.url)

    def parse(self, response: Response) -> Iterator[Request]:
        yield from response.follow_all("article.product_pod h3 a", callback=self.parse_book)
        yield from response.follow_all("li.next a")

    def parse_book(self, response: Response) -> Iterator[Book]:
        info = response.css("table.table-striped td::text").getall()
        yield Book(
            title=response.css("div.product_main h1::text").get(),
            price=info[2].removeprefix("£"),
            rating=RATINGS.index(
                response.css("div.product_main p.star-rating::attr(class)").re(r"[A-Z]\w+")[0]
            ),
            stock=response.css("div.product_main p.instock").re(r"\((\d+) available\)")[0],
            upc=info[0],
            category=response.css("ul.breadcrumb li:nth-child(3) a::text").get(),
            description=response.css("#product_description + p::text").get(),
            url=response.url,
        )
