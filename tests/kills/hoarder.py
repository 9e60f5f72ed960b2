"""Takes very much from its first page, and then has one more to ask for."""

from scraper import Item, Request, Spider


class Thing(Item):
    number: int
    text: str


class Hoarder(Spider):
    name = "hoarder"
    url: str
    things: int

    async def start(self):
        yield Request(self.url + "/note/first")

    def parse(self, response):
        for number in range(1, self.things):
            yield Thing(number=number, text=f'thing "{number}", {"x" * 40}')
        yield Request(self.url + "/note/last", callback="parse_last")

    def parse_last(self, response):
        yield Thing(number=0, text="the last one")
