"""A site whose every answer is a function of its URL: whoever asks again, in whatever order, ends up with the same."""

import asyncio
from collections import Counter
from html import escape

from tests.faulty import FaultySite, raw
from tests.faulty.message import Answer, Request, page
from tests.faulty.wire import Wire

ROBOTS = "User-agent: *\nDisallow: /private/\n"
FAILURES = {3: 1, 13: 2}  # of every twentieth room, before it is fine
GONE, BROKEN, CUT = range(3)  # how a room fails that never lets anybody in


class Maze(FaultySite):
    """Rooms with doors to other rooms; a hub with `links` doors, which alone leads to the upper half of `rooms`.

    Some rooms have moved. With `faults`, some fail once or twice and are fine ever after, however often they are
    asked for again; some never answer well. /members/NAME/N wants the cookie of NAME's latest login.
    """

    def __init__(self, *, rooms: int, links: int, faults: bool = True) -> None:
        super().__init__(robots=ROBOTS)
        self.rooms = rooms
        self.links = links
        self.faults = faults
        self.requests = 0
        self.asked: set[str] = set()
        """Every target that was asked for, once."""
        self.held = 0
        """Requests that wait for `release`."""
        self._logins: Counter[str] = Counter()
        self._closed = ""
        self._let_go = asyncio.Event()
        self._pages = {
            "room": self._room,
            "hall": self._hall,
            "hub": self._hub,
            "login": self._login,
            "members": self._member,
            "note": self._note,
        }

    def hold(self, beginning: str = "/") -> None:
        """Answers no path that begins so until `release`."""
        self._closed = beginning
        self._let_go.clear()

    def release(self) -> None:
        self._closed = ""
        self._let_go.set()

    def _record(self, request: Request) -> Request:
        self.requests += 1
        self.asked.add(request.target)
        return super()._record(request)

    async def _answer(self, request: Request, wire: Wire) -> Answer | None:
        if self._closed and request.path.startswith(self._closed):
            await self._wait_outside()
        answer = self._pages.get(request.name)
        if answer is None:
            return await super()._answer(request, wire)
        return await answer(request, wire)

    async def _wait_outside(self) -> None:
        self.held += 1
        self._changed.set()
        try:
            await self._let_go.wait()
        finally:
            self.held -= 1

    # ── rooms ────────────────────────────────────────────────────────────────────────────────────────────

    async def _room(self, request: Request, wire: Wire) -> Answer | None:
        """/room/N: what it does depends on N."""
        number = int(request.rest)
        if self.faults and number % 40 == 9:
            return await self._never(number // 40 % 3, request, wire)
        if self.faults and request.visit <= FAILURES.get(number % 20, 0):
            return self._not_yet(request, wire)
        if number % 10 == 5:
            return _moved(f"/hall/{number}/2")
        return self._furnished(number)

    def _not_yet(self, request: Request, wire: Wire) -> Answer | None:
        if request.visit == 1:
            return page("Busy", status=503)
        wire.reset()
        return None

    async def _never(self, how: int, request: Request, wire: Wire) -> Answer | None:
        if how == CUT:
            return await raw.truncated(request, wire)
        return page("Closed", status=404 if how == GONE else 500)

    def _furnished(self, number: int) -> Answer:
        doors = [n for n in range(3 * number + 1, 3 * number + 4) if n < self.rooms // 2]
        doors += [7 * number % self.rooms, 11 * number % self.rooms, 7 * number % self.rooms]
        links = [f"/room/{n}#from-{number}" for n in doors]
        if number == 4:
            links.append("/hub")
        if number % 30 == 8:
            links.append(f"/private/{number % 7}")
        if number % 50 == 0:
            links += ["http://elsewhere.example/", "mailto:someone@elsewhere.example"]
        return page(f"Room {number}", f'<p>A "room", {number}: naïve, 100\u202f% new</p>', *map(_door, links))

    async def _hall(self, request: Request, wire: Wire) -> Answer:
        """/hall/N/H: H more redirects, then where room N has moved to."""
        number, hops = map(int, request.rest.split("/"))
        return _moved(f"/hall/{number}/{hops - 1}") if hops else self._furnished(number)

    async def _hub(self, request: Request, wire: Wire) -> Answer:
        doors = (f"/room/{17 * n % self.rooms}#{n}" for n in range(self.links))
        return page("Hub", *map(_door, doors))

    async def _note(self, request: Request, wire: Wire) -> Answer:
        return page(f"Note {request.rest}")

    # ── members ──────────────────────────────────────────────────────────────────────────────────────────

    async def _login(self, request: Request, wire: Wire) -> Answer:
        """A form with a name: each login makes the cookie of the one before it worthless."""
        name = request.body.decode().removeprefix("name=")
        self._logins[name] += 1
        return Answer(
            status=303,
            headers=(("Location", f"/members/{name}/0"), ("Set-Cookie", f"key={self._key(name)}; Path=/")),
        )

    def _key(self, name: str) -> str:
        return f"{name}-{self._logins[name]}"

    async def _member(self, request: Request, wire: Wire) -> Answer:
        key = request.headers.get("Cookie", "").removeprefix("key=")
        name = key.partition("-")[0]
        if key != self._key(name) or name != request.rest.partition("/")[0]:
            return page("Members only", status=403)
        return page(f"Hello {name}")


def _moved(to: str) -> Answer:
    return Answer(status=302, headers=(("Location", to),))


def _door(link: str) -> str:
    return f'<a href="{escape(link)}">door</a>'
