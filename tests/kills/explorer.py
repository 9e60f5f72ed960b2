"""Explores the maze: every kind of output, and nothing that depends on who came where first."""

from decimal import Decimal
from urllib.parse import urlsplit

from scraper import Item, Request, Response, Spider

MEMBERS = ("alice", "bob")


class Room(Item):
    number: int
    title: str
    at: str
    text: str | None
    price: Decimal
    doors: list[str]


class Shelf(Item):
    number: int
    link: str


class Note(Item):
    title: str
    number: int
    nth: int


class Member(Item):
    name: str
    number: int


class Failure(Item):
    at: str
    why: str
    status: int | None


class Explorer(Spider):
    name = "explorer"
    allowed_domains = ("127.0.0.1",)
    url: str
    seeds: int
    pause: int  # doors of the hub after which it is looked up whether the maze is still there

    async def start(self):
        if "place" not in self.state:
            for name in MEMBERS:
                login = {"method": "POST", "form": {"name": name}, "session": name}
                yield self.request("/login", **login, callback="parse_login", data={"name": name})
            yield self.request("/room/0")
        for place in range(self.state.get("place", 0), self.seeds):
            self.state["place"] = place + 1
            yield self.request(f"/note/{place}", callback="parse_note", data={"number": place})

    def request(self, path, **how):
        return Request(self.url + path, errback="failed", **how)

    async def parse(self, response):
        number = int(urlsplit(response.request.url).path.rpartition("/")[2])
        doors = response.css("a::attr(href)").getall()
        price = "not for sale" if number % 30 == 11 else Decimal(number) / 4
        yield Room(
            number=number,
            title=response.css("h1::text").get(),
            at=path(response),
            text=response.css("p::text").get() if number % 7 else None,
            price=price,
            doors=doors,
        )
        if number % 12 == 2:
            self.state.setdefault("marks", {})[str(number)] = True
        for door in doors:
            callback = "parse_hub" if door == "/hub" else "parse"
            yield response.follow(door, callback=callback, errback="failed")
        async for output in self.more(number):
            yield output

    async def more(self, number):
        if number % 25 == 1:
            for nth in range(2):
                data = {"number": number, "nth": nth}
                yield self.request("/note/same", dont_filter=True, callback="parse_note", data=data)
        if number % 35 == 6:
            data = {"number": number}
            yield self.request(f"/note/late-{number}", delay=0.05, callback="parse_note", data=data)
        if number % 50 == 7:
            note = await self.fetch(self.request(f"/note/fetched-{number % 3}"))
            yield Note(title=note.css("h1::text").get(), number=number, nth=0)

    async def parse_hub(self, response):
        for number, link in enumerate(response.css("a::attr(href)").getall()):
            if number % 100 == 0:
                yield Shelf(number=number, link=link)
            if number % self.pause == self.pause - 1:
                await self.fetch(self.request(f"/note/hub-{number}"))
            yield response.follow(link, errback="failed")

    def parse_note(self, response):
        yield Note(
            title=response.css("h1::text").get(),
            number=response.data["number"],
            nth=response.data.get("nth", 0),
        )

    def parse_login(self, response):
        name = response.data["name"]
        yield from self.member(response)
        for number in range(1, 40):
            how = {"session": name, "priority": -1, "data": {"name": name, "number": number}}
            yield self.request(f"/members/{name}/{number}", callback="member", **how)

    def member(self, response):
        greeted = response.css("h1::text").get().removeprefix("Hello ")
        yield Member(name=greeted, number=response.data.get("number", 0))

    def failed(self, error):
        at = urlsplit(error.request.url).path
        yield Failure(at=at, why=error.reason, status=getattr(error, "status", None))


def path(response: Response) -> str:
    return urlsplit(response.url).path
