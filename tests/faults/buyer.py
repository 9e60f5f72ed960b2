"""The spider for the market: it logs in, keeps its place in `state`, and takes something of every page."""

from scraper import Item, Request, Response, Spider

TAIL = " and more" * 50  # an item that a disk writes in several pieces


class Stall(Item):
    title: str
    length: int


class Buyer(Spider):
    name = "buyer"
    url: str = ""

    async def start(self):
        seeds = ["/stall/0", "/stall/1", "/stall/0", "/crates"]
        for place in range(self.state.get("place", 0), len(seeds)):
            yield Request(self.url + seeds[place])
            self.state["place"] = place + 1
        yield Request(self.url + "/login", method="POST", form={"name": "ann"}, callback=self.members)

    def parse(self, response: Response):
        title = response.css("h1::text").get()
        self.state.setdefault("seen", {})[title] = True
        if response.url.rpartition("/")[0].endswith("/stall"):
            yield Stall(title=title, length=None if title == "Stall 6" else len(title))
        else:
            yield {"title": title, "text": f"“{title}”, naïve\nin two lines{TAIL}"}
        yield from response.follow_all("a")
        if title == "Crates":
            yield from ({"title": f"Label {n}", "text": TAIL} for n in range(9))

    def members(self, response: Response):
        for n in range(3):
            yield Request(f"{self.url}/member/{n}")
