"""A site for members: who logs in gets a key; each page is for one of them, and says whose key it saw."""

import asyncio
from collections import Counter
from urllib.parse import parse_qs

from tests.faulty import FaultySite
from tests.faulty.message import Answer, Request, page
from tests.faulty.wire import Wire

BANNED = page("Are you a robot?", status=403)
STRANGER = page("Please log in")


class Club(FaultySite):
    """/login takes `user` and `password` ("right"); /members/USER/N wants the key of USER's latest login.

    Every key is good for `patience` pages; then it is banned (403), or, where `lapses`, logged out. 0 = for ever.
    """

    def __init__(self, *, patience: int = 0, lapses: bool = False) -> None:
        super().__init__()
        self.patience = patience
        self.lapses = lapses
        self.logins: Counter[str] = Counter()
        self.came_with: list[str] = []
        """The Cookie header of each login."""
        self.held = 0
        self._uses: Counter[str] = Counter()
        self._let_in = asyncio.Event()
        self._let_in.set()

    def hold_logins(self) -> None:
        self._let_in.clear()

    def release_logins(self) -> None:
        self._let_in.set()

    async def _answer(self, request: Request, wire: Wire) -> Answer | None:
        match request.name, request.method:
            case "login", "POST":
                return await self._log_in(request)
            case "home", _:
                return page("Welcome", '<a class="logout" href="/logout">Leave</a>')
            case "members", _:
                return self._member(request)
        return await super()._answer(request, wire)

    async def _log_in(self, request: Request) -> Answer:
        form = parse_qs(request.body.decode())
        self.came_with.append(request.headers.get("Cookie", ""))
        self.held += not self._let_in.is_set()
        self._changed.set()
        await self._let_in.wait()
        if form["password"] != ["right"]:
            return page("Wrong password")
        user = form["user"][0]
        self.logins[user] += 1
        key = ("Set-Cookie", f"key={user}-{self.logins[user]}; Path=/; HttpOnly")
        return Answer(status=303, headers=(("Location", "/home"), key))

    def _member(self, request: Request) -> Answer:
        key = request.headers.get("Cookie", "").removeprefix("key=")
        user = key.partition("-")[0]
        if user != request.rest.partition("/")[0] or key != f"{user}-{self.logins[user]}":
            return STRANGER
        self._uses[key] += 1
        if self.patience and self._uses[key] > self.patience:
            return STRANGER if self.lapses else BANNED
        return page(user, f"<b>{key}</b>")
