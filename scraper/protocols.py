"""Contracts: what each part promises the others, on one page.

A part that holds a resource is also an async context manager; the crawler enters it once. Parts get plain
arguments, `cls(**options)` from settings.toml, or write `from_settings(cls, settings, **options)`, which may
return None where the settings leave it nothing to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from multidict import CIMultiDict

from scraper.item import Record, Source
from scraper.job_spec import JobSpec
from scraper.request import Request
from scraper.response import Response
from scraper.sockets import Handshake, Socket

# ── the web ──────────────────────────────────────────────────────────────────────────────────────────────

Handler = Callable[[Request], Awaitable[Response]]
Admission = Callable[[Request], str | None]  # the reason not to fetch, or None


class Middleware(Protocol):
    """One layer of the onion around the wire. One that fetches for itself also has `fetch: Handler`, which
    the crawler sets to the head of the chain.

    Usually `async def`. One that only looks at requests may be a plain function that returns `call_next(request)`:
    it costs a page a quarter of that."""

    def __call__(self, request: Request, call_next: Handler) -> Awaitable[Response]: ...


@runtime_checkable
class Forgets(Protocol):
    """A middleware that keeps something for each session, and lets go of it when the session becomes somebody else."""

    def forget(self, session: str) -> None: ...


class Incoming(Protocol):
    """An answer whose body has not been read: bytes as they are on the wire, still encoded."""

    status: int
    headers: CIMultiDict[str]

    def chunks(self) -> AsyncIterator[bytes]: ...
    async def close(self) -> None:
        """Gives the connection back, or drops it where the body was not read to its end."""


class Client(Protocol):
    """Sends exactly one request: no redirects, cookies, retries, decoding. Raises FetchError only."""

    async def open(self, request: Request) -> Incoming: ...


@runtime_checkable
class Connects(Protocol):
    """A client that opens WebSockets too."""

    async def connect(self, request: Handshake, *, silence: float, max_size: int) -> Socket | Refusal:
        """`silence`: seconds after which it pings; `max_size`: bytes of a message. A Refusal is the site's answer where
        it opens none. Raises FetchError only."""


class Refusal(NamedTuple):
    status: int
    headers: CIMultiDict[str]


# ── items ────────────────────────────────────────────────────────────────────────────────────────────────


class Pipeline(Protocol):
    """Returns the item, changed or not, or raises DropItem. Anything else that it raises fails the page.

    Optional: `async process_batch(items: Sequence[tuple[item, Source]])`, given a commit's items just before
    the commit. Until that commit the same items may come again: `source.item_id` tells them apart.
    """

    async def process_item(self, item: Any, source: Source) -> Any: ...


class Sink(Protocol):
    """A file that items are appended to. A mark is JSON that says how far it got; `rewind` goes back there."""

    def encode(self, record: Record) -> bytes:
        """The record's bytes. Raises ValueError, in words, for one that does not fit this file."""

    def take_columns(self, kind: str, names: Sequence[str] | None) -> None:
        """The fields that the items of a kind have; None for dicts, which promise nothing."""

    def start(self) -> None: ...
    def append(self, lines: Sequence[bytes]) -> None: ...
    def mark(self) -> Any:
        """Where the file ends, after handing every byte to the operating system."""

    def sync(self) -> None:
        """Blocks until what was handed over is on the disk (fdatasync)."""

    def rewind(self, mark: Any) -> None: ...
    def finish(self) -> None:
        """Writes what a finished file ends with; `rewind` takes it away again."""

    def close(self) -> None: ...


# ── the frontier ─────────────────────────────────────────────────────────────────────────────────────────


class Child(NamedTuple):
    """A request on its way into the frontier: identified, admitted, encoded."""

    id: bytes
    lane: str  # host:port, the key of politeness
    priority: int
    not_before: float  # Unix time; 0 = now
    request: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """A request that this process may fetch now. `key` is the frontier's own."""

    request: Request
    lane: str
    key: Any


@dataclass(frozen=True, slots=True)
class Leases:
    """`next_due`: Unix time at which more may be ready (None: only a commit brings more).
    `finished`: nothing is queued, staged or leased."""

    leases: Sequence[Lease]
    next_due: float | None
    finished: bool


@dataclass(frozen=True, slots=True)
class Done:
    pass


@dataclass(frozen=True, slots=True)
class Deferred:
    """To be fetched again, not before this Unix time. `counted`: whether this attempt is used up."""

    not_before: float
    why: str
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Buried:
    """A dead letter: `scrape failed` lists it, `scrape retry` puts it back."""

    why: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A middleware dropped it (robots, offsite redirect …): counted, not a failure."""

    why: str


@dataclass(frozen=True, slots=True)
class Ongoing:
    """A part of a page whose lease goes on: one message of a WebSocket."""


Outcome = Done | Deferred | Buried | Refused | Ongoing
Output = Child | Record


@dataclass(slots=True, eq=False)
class Page:
    """A request's life in memory: what came of it, committed as one. `request`: whose identity its outputs have."""

    lease: Lease
    outcome: Outcome = field(default_factory=Done)
    status: int | None = None
    proxy: str = ""  # its name
    children: list[Child] = field(default_factory=list)
    items: list[Record] = field(default_factory=list)
    lines: list[tuple[bytes, ...]] = field(default_factory=list)  # per item, its bytes for each feed
    batch: list[tuple[Any, Source]] = field(default_factory=list)  # items for pipelines with process_batch
    counters: Counter[str] = field(default_factory=Counter)
    staged: bool = False
    stop: str | None = None  # the reason of a StopCrawl
    request: Request = field(init=False)

    def __post_init__(self) -> None:
        self.request = self.lease.request


@dataclass(frozen=True, slots=True)
class Seeds:
    """What `start()` yielded since the last commit; `ended` with the last of them."""

    children: Sequence[Child] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit: all of it or none of it."""

    pages: Sequence[Page] = ()
    seeds: Seeds = Seeds()
    marks: Mapping[str, Any] = field(default_factory=dict)  # feed → mark
    changes: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  # owner → key → JSON (None: forget)
    counters: Mapping[str, int] = field(default_factory=dict)  # increments


@dataclass(frozen=True, slots=True)
class Committed:
    """`refused`: pages whose lease was no longer ours; they were not committed.
    `items`: what became durable, each with its place in the run's order. `counters`: the increments, with
    what only the frontier knows (queued, duplicates)."""

    refused: Sequence[Page] = ()
    items: Sequence[tuple[int, Record]] = ()
    lines: Sequence[
        tuple[bytes, ...] | None
    ] = ()  # for each of `items`, its feeds' bytes where they are at hand
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counts:
    queued: int  # not leased, staged ones included
    leased: int
    staged: int
    delayed: int  # of the queued, those that wait for their time


@dataclass(frozen=True, slots=True)
class Saved:
    """What a run remembers from its earlier lives."""

    memory: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    marks: Mapping[str, Any] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    seeds_ended: bool = False


class ItemLog(Protocol):
    """A run's items, in the order of their commits."""

    async def items(self, after: int, limit: int) -> Sequence[tuple[int, Record]]: ...


class Frontier(ItemLog, Protocol):
    """What to fetch next, what has been seen, and the one place where results become durable."""

    async def saved(self) -> Saved: ...
    async def lease(self, n: int) -> Leases: ...
    async def commit(self, batch: Batch) -> Committed: ...
    async def stage(self, lease: Lease, outputs: Sequence[Output]) -> None:
        """Keeps outputs of a page on disk, invisible until the page's commit makes them live."""

    async def unstage(self, lease: Lease) -> None:
        """Drops what was staged: the page failed."""

    async def began(self, lease: Lease) -> None:
        """Its response is here, its callback comes next: if the process dies now, it may be the page's doing."""

    async def give_back(self, leases: Sequence[Lease]) -> None: ...
    async def renew(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        """Says that these are still being worked on; returns those that another worker has now."""

    def counts(self) -> Counts: ...
    async def close(self) -> None: ...


# ── politeness and memory ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Limits:
    in_flight: int
    delay: float  # seconds between two turns


class Clock(Protocol):
    """Whose turn it is. Hosts are lanes (host:port); times are Unix seconds."""

    def wait(self, lane: str) -> float:
        """Seconds until the host may be asked again; 0 = now; inf = when one in flight comes back."""

    def turn(self, lane: str) -> None: ...
    def leave(self, lane: str) -> None: ...
    def park(self, lane: str, until: float) -> None: ...
    def slow_down(self, lane: str, delay: float) -> None: ...
    def limits(self, lane: str) -> Limits: ...


@runtime_checkable
class Memory(Protocol):
    """What a part must not forget: committed with the pages that taught it, given back on resume."""

    memory_name: str

    def changes(self) -> Mapping[str, Any] | None: ...
    def restore(self, saved: Mapping[str, Any]) -> None: ...


Ending = Literal["finished", "waiting", "stopped", "interrupted", "crashed"]


# ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────

JobState = Literal["queued", "running", "finished", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Job:
    """One crawl that a worker is asked for. Times are Unix seconds.

    `due`: not before. `run`: the run it points to, once it has begun. `deaths`: how often its process died.
    `series`: the id of the first job of its schedule; "" for a job that does not repeat. `cancelling`: it runs, and
    should stop.
    """

    id: str
    spec: JobSpec
    state: JobState
    created: float
    due: float
    series: str = ""
    run: str = ""
    reason: str = ""
    started: float | None = None
    ended: float | None = None
    deaths: int = 0
    worker: str = ""
    cancelling: bool = False


class JobStore(Protocol):
    """Jobs that outlive every process. A job is leased to one worker at a time; who does not renew in time loses it.

    Methods are transactions that take milliseconds. They raise StorageError, NoSuchJob for an id that is none, and
    JobError for what can't be done.
    """

    def add(self, spec: JobSpec) -> Job: ...
    def get(self, job_id: str) -> Job: ...
    def list(
        self, *, states: Collection[JobState] = (), spider: str = "", limit: int = 100, before: str = ""
    ) -> Sequence[Job]:
        """Newest first; `before`: the id of the last one that has been seen."""

    def counts(self) -> Mapping[JobState, int]: ...
    def claim(self, worker: str) -> Job | None:
        """The next one that is due, leased: running, or queued by priority, due time and age."""

    def renew(self, worker: str) -> Sequence[Job]:
        """Prolongs all leases of this worker; the jobs it still has."""

    def begun(self, job_id: str, worker: str, run: str) -> None:
        """It points to this run from now on."""

    def end(self, job_id: str, worker: str, state: JobState, reason: str) -> Job:
        """Finished, failed, cancelled; the next one of its series is queued with it."""

    def give_back(self, job_id: str, worker: str, *, due: float = 0.0, died: str = "") -> Job:
        """Queued again, to be resumed. `died`: how its process died, which counts: one too many and it has failed."""

    def cancel(self, job_id: str) -> Job:
        """Ends a queued one, and with it its series; asks a running one to stop."""

    def retry(self, job_id: str) -> Job:
        """Queues one again that has failed or was cancelled: it goes on with its run where that can be."""

    def forget(self, spider: str, *, keep: int) -> Sequence[str]:
        """Deletes the spider's jobs that have ended but the `keep` newest; the ids of those it deleted."""

    def close(self) -> None: ...
