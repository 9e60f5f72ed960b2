"""Reads the pages of a club, each as the member that it is for."""

from scraper import Request, Retry, Spider

STRANGER = "Please log in"


class Members(Spider):
    """`refused`: what it does with a page that wants a login: `rotate`, `expire`, or take it as it is."""

    name = "members"
    url: str
    members: list[str] = ["anna", "bert"]  # noqa: RUF012  # an argument
    pages: int = 10
    password: str = "right"
    refused: str = ""

    async def start(self):
        for number in range(self.pages):
            for name in self.members:
                yield Request(f"{self.url}/members/{name}/{number}", session=name)

    async def login(self, session):
        form = {"user": session, "password": self.password}
        page = await self.fetch(Request(f"{self.url}/login", form=form))
        if not page.css("a.logout"):
            raise Retry("the password was refused")

    def parse(self, response):
        seen = response.css("h1::text").get()
        if seen == STRANGER and self.refused:
            if self.refused == "expire":
                self.expire(response.request.session)
            raise Retry("logged out", rotate_session=self.refused == "rotate")
        yield {"page": response.url.removeprefix(self.url), "seen": seen}
