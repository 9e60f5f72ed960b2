"""What stands around a frontier in its tests: time, a clock of politeness, and a crawl in few words."""

from collections import Counter
from collections.abc import Iterable, Sequence

from scraper import stats
from scraper.fingerprints import fingerprint
from scraper.item import Record
from scraper.politeness import HostClock
from scraper.protocols import Batch, Child, Committed, Done, Lease, Leases, Limits, Outcome, Page, Seeds
from scraper.request import Request

EASY = Limits(1_000_000, 0.0)


class Time:
    """Unix seconds that pass only when a test says so."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def lane(host: str) -> str:
    return f"{host}.example:80"


def child(
    name: str, *, host: str = "a", priority: int = 0, not_before: float = 0.0, identity: str | None = None
) -> Child:
    """The request for the page `name` of a host; two with one name are each other's duplicates."""
    url = f"http://{host}.example/{name}"
    request = Request(url, priority=priority, callback="parse")
    id_ = fingerprint("GET", identity or url, b"")
    return Child(id_, lane(host), priority, not_before, request.encode())


def children(names: Iterable[str | int | Child], **options) -> list[Child]:
    return [name if isinstance(name, Child) else child(str(name), **options) for name in names]


def item(n: int) -> Record:
    return Record(n.to_bytes(16, "big"), "Book", b'{"n":%d}' % n)


def name_of(lease: Lease) -> str:
    return lease.request.url.rpartition("/")[2]


def names(leases: Iterable[Lease]) -> list[str]:
    return [name_of(lease) for lease in leases]


def page(
    lease: Lease,
    outcome: Outcome | None = None,
    *,
    children: Sequence[Child] = (),
    items: Sequence[Record] = (),
    staged: bool = False,
) -> Page:
    return Page(lease, outcome or Done(), children=list(children), items=list(items), staged=staged)


class Crawl:
    """A frontier, its clock and its time; what it gives and takes, in few words."""

    def __init__(self, frontier, clock: HostClock, time: Time) -> None:
        self.frontier = frontier
        self.clock = clock
        self.time = time
        self.counters: Counter[str] = Counter()  # what every commit added

    async def commit(self, *pages: Page, seeds: Sequence[Child] = (), **rest) -> Committed:
        committed = await self.frontier.commit(Batch(pages, Seeds(seeds), **rest))
        self.counters.update(committed.counters)
        return committed

    async def seed(self, *names: str | int | Child, **options) -> None:
        await self.commit(seeds=children(names, **options))

    async def look(self, n: int = 1000) -> Leases:
        return await self.frontier.lease(n)

    async def lease(self, n: int = 1000) -> list[Lease]:
        return list((await self.look(n)).leases)

    async def one(self) -> Lease:
        (lease,) = await self.lease(1)
        return lease

    async def names(self, n: int = 1000) -> list[str]:
        return names(await self.lease(n))

    async def drain(self) -> None:
        """The commits with which the machine makes live stages visible."""
        for _ in range(20):
            if self.frontier.counts().staged:
                await self.commit()
        assert self.frontier.counts().staged == 0

    async def crawl_to_the_end(self, *, at_once: int = 7) -> list[str]:
        """Leases and commits until nothing is left; the names in the order of their leases."""
        seen: list[str] = []
        while leases := await self.lease(at_once):
            seen += names(leases)
            await self.commit(*map(page, leases))
        return seen

    @property
    def queued(self) -> int:
        return self.counters[stats.QUEUED]

    @property
    def duplicates(self) -> int:
        return self.counters[f"{stats.DROPPED}/duplicate"]
