"""The durable frontier: one SQLite database a run, one transaction a commit."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scraper import stats
from scraper.errors import StorageError
from scraper.frontiers.checkpoints import Checkpoints
from scraper.frontiers.delivered import Delivered
from scraper.frontiers.lanes import Entry, Lane, Lanes
from scraper.frontiers.ledger import Ledger
from scraper.frontiers.schema import connect, in_words
from scraper.frontiers.seen import Seen
from scraper.frontiers.stages import AT_ONCE, Part, Stages
from scraper.item import Record
from scraper.protocols import (
    Batch,
    Buried,
    Child,
    Clock,
    Committed,
    Counts,
    Deferred,
    Done,
    Lease,
    Leases,
    Ongoing,
    Output,
    Page,
    Refused,
    Saved,
)
from scraper.request import Request
from scraper.transactions import Transaction

PROMOTED_AT_ONCE = 500  # delayed requests that one lease puts back into their lanes


@dataclass(frozen=True, slots=True)
class Row:
    """A leased request's place in the queue."""

    lane: str
    rank: int
    seq: int
    id: bytes
    parent: int
    attempts: int
    request: bytes


@dataclass(slots=True)
class Work:
    """What one transaction has gathered for memory to follow once it is committed."""

    ledger: Ledger
    counters: Counter[str]
    delayed: int
    added: list[tuple[Any, ...]] = field(default_factory=list)  # rows of the queue
    fresh: list[bytes] = field(default_factory=list)
    items: list[tuple[int, Record]] = field(default_factory=list)
    lines: list[tuple[bytes, ...] | None] = field(default_factory=list)


class SqliteFrontier:
    """`path`: the database; `window`: requests kept in memory as a read cache of the queue.

    `was_killed`: whether the run's last life did not end by itself, so that what was out then may be why.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        window: int = 20_000,
        keep_items: bool = True,
        was_killed: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._now = now
        self._keep_items = keep_items
        self._was_killed = was_killed
        self._failed = False
        self._lanes = Lanes(clock, refill=self._read_on, window=window)
        self._leased: dict[int, Lease] = {}
        self._ledger = Ledger()
        self._delayed = 0
        self._alone = 0  # seq of the suspect that was leased last

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> SqliteFrontier:
        self._base = connect(self._path)
        self._checkpoints = Checkpoints(self._path)
        with in_words(self._path):
            self._seen = Seen(self._base)
            self._stages = Stages(self._base)
            self._delivered = Delivered(self._base)
            with Transaction(self._base):
                self._read_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        try:
            await self._checkpoints.close()
        finally:
            self._base.close()

    def _read_back(self) -> None:
        row = self._base.execute("SELECT state FROM ledger").fetchone()
        if row:
            self._ledger = Ledger.decode(row[0])
        self._delivered.open(self._ledger, was_killed=self._was_killed)
        self._base.execute("INSERT OR REPLACE INTO ledger VALUES (1, ?)", (self._ledger.encode(),))
        self._delayed = self._base.execute("SELECT count(*) FROM delayed").fetchone()[0]
        lane = self._base.execute("SELECT min(lane) FROM queue").fetchone()[0]
        while lane is not None:  # a seek a lane, not a scan of the queue
            self._lanes.on_disk(lane)
            lane = self._base.execute("SELECT min(lane) FROM queue WHERE lane > ?", (lane,)).fetchone()[0]

    async def saved(self) -> Saved:
        with in_words(self._path):
            memory: dict[str, dict[str, Any]] = {}
            for owner, key, value in self._base.execute("SELECT owner, key, value FROM memory"):
                memory.setdefault(owner, {})[key] = orjson.loads(value)
            marks = {
                feed: orjson.loads(mark) for feed, mark in self._base.execute("SELECT feed, mark FROM marks")
            }
        return Saved(memory, marks, dict(self._ledger.counters), self._ledger.seeds_ended)

    # ── leasing ──────────────────────────────────────────────────────────────────────────────────────

    async def lease(self, n: int) -> Leases:
        now = self._now()
        with self._words():
            next_delayed = self._promote(now) if self._delayed else None
            leases = self._suspect() if self._suspecting else self._next(n, now)
        due = [at for at in (self._lanes.next_due, next_delayed) if at is not None]
        finished = not (self._ledger.queued or self._ledger.staged or self._leased)
        return Leases(leases, min(due, default=None), finished)

    def _next(self, n: int, now: float) -> list[Lease]:
        taken = self._lanes.take(n, now)
        if not taken:
            return []
        with Transaction(self._base):  # before they leave: whoever kills the process is known by it
            self._delivered.out((lane, rank, seq) for lane, (rank, seq, _) in taken)
        return [self._leased_out(Row(lane, rank, seq, *stored)) for lane, (rank, seq, stored) in taken]

    @property
    def _suspecting(self) -> bool:
        return bool(self._delivered.suspects or self._alone)

    def _suspect(self) -> list[Lease]:
        """One of those that were out when the last process died, alone."""
        if self._leased:
            return []
        row = Row(*self._delivered.next_suspect())
        with Transaction(self._base):
            self._delivered.out([(row.lane, row.rank, row.seq)])
        self._lanes.joined(row.lane)
        self._alone = row.seq
        return [self._leased_out(row)]

    def _holds(self, lease: Lease) -> bool:
        return self._leased.get(lease.key.seq) is lease

    def _exonerate(self, seq: int) -> None:
        if seq == self._alone:
            self._alone = 0

    def _leased_out(self, row: Row) -> Lease:
        lease = Lease(Request.decode(row.request, id=row.id, attempt=row.attempts + 1), row.lane, row)
        self._leased[row.seq] = lease
        return lease

    def _read_on(self, lane: Lane, limit: int) -> list[Entry]:
        rows = self._base.execute(
            "SELECT rank, seq, id, parent, attempts, request FROM queue WHERE lane = ? AND (rank, seq) > (?, ?)"
            " ORDER BY rank, seq LIMIT ?",
            (lane.name, *lane.top, limit),
        )
        read = [(rank, seq, tuple(stored)) for rank, seq, *stored in rows]
        lane.beyond = len(read) == limit
        if read:
            lane.top = read[-1][:2]
        apart = self._delivered.waiting  # and those that are leased: suspects pass the lanes by
        return [entry for entry in read if entry[1] not in apart and entry[1] not in self._leased]

    def _promote(self, now: float) -> float | None:
        """Puts what is due back into its lane; returns when the next one is due."""
        rows = self._base.execute(
            "SELECT due, seq, lane, rank, id, parent, attempts, request FROM delayed WHERE due <= ?"
            " ORDER BY due, seq LIMIT ?",
            (now, PROMOTED_AT_ONCE),
        ).fetchall()
        if rows:
            with Transaction(self._base):
                self._base.executemany(
                    "DELETE FROM delayed WHERE due = ? AND seq = ?", [row[:2] for row in rows]
                )
                self._base.executemany(
                    "INSERT INTO queue (seq, lane, rank, id, parent, attempts, request) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [row[1:] for row in rows],
                )
            self._delayed -= len(rows)
            for _, seq, lane, rank, *stored in rows:
                self._lanes.add(lane, (rank, seq, tuple(stored)))
        following = self._base.execute("SELECT min(due) FROM delayed").fetchone()[0]
        return None if following is None else float(following)

    async def began(self, lease: Lease) -> None:
        if lease.key.seq == self._alone:
            with in_words(self._path), Transaction(self._base):
                self._delivered.began(self._alone)

    async def give_back(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            row: Row = lease.key
            if self._holds(lease):
                del self._leased[row.seq]
                self._exonerate(row.seq)
                if not self._failed:  # else each page would wait for the same lock
                    await self.unstage(lease)
                    with self._words():
                        self._delivered.ended([row.seq])
                self._lanes.left(row.lane)
                self._lanes.add(
                    row.lane, (row.rank, row.seq, (row.id, row.parent, row.attempts, row.request))
                )

    @contextmanager
    def _words(self) -> Iterator[None]:
        """As `in_words`, and remembers that the disk has failed."""
        try:
            with in_words(self._path):
                yield
        except StorageError:
            self._failed = True
            raise

    async def renew(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        return [lease for lease in leases if not self._holds(lease)]

    async def stage(self, lease: Lease, outputs: Sequence[Output]) -> None:
        with in_words(self._path), Transaction(self._base):
            self._stages.add(lease.key.seq, outputs)
        self._stages.added(lease.key.seq, len(outputs))
        self._checkpoints.committed()

    async def unstage(self, lease: Lease) -> None:
        with in_words(self._path):
            self._stages.drop(lease.key.seq)
        self._stages.forget(lease.key.seq)

    # ── the commit ───────────────────────────────────────────────────────────────────────────────────

    async def commit(self, batch: Batch) -> Committed:
        """One transaction; memory follows only when it is through. Raises StorageError: then nothing happened."""
        self._checkpoints.check()
        refused = [page for page in batch.pages if not self._holds(page.lease)]
        pages = [page for page in batch.pages if self._holds(page.lease)]
        work = Work(self._ledger.copy(), Counter(batch.counters), self._delayed)
        try:
            with self._words(), Transaction(self._base):
                self._write(batch, pages, work)
        except BaseException:
            self._seen.rolled_back(work.fresh)
            raise
        self._follow(pages, _ended(pages), work)
        return Committed(refused, work.items, work.lines, work.counters)

    def _write(self, batch: Batch, pages: Sequence[Page], work: Work) -> None:
        children: list[tuple[int, Child]] = [(0, child) for child in batch.seeds.children]
        work.ledger.seeds_ended |= batch.seeds.ended
        self._delivered.ended(page.lease.key.seq for page in pages)
        self._settle(_ended(pages), work)
        for page in pages:
            if not isinstance(page.outcome, Deferred):
                seq = page.lease.key.seq
                children += [(seq, child) for child in page.children]
                self._keep(page.items, page.lines or [None] * len(page.items), work)
        self._queue(children, work)
        if work.ledger.staged:
            self._drain(work)
        self._seen.move_on(len(work.fresh))
        self._stages.sweep()
        self._remember(batch)
        work.ledger.counters.update(work.counters)
        self._base.execute("INSERT OR REPLACE INTO ledger VALUES (1, ?)", (work.ledger.encode(),))

    def _follow(self, pages: Sequence[Page], ended: Sequence[Page], work: Work) -> None:
        self._ledger = work.ledger
        self._delayed = work.delayed
        self._seen.committed()
        for page in pages:
            self._exonerate(page.lease.key.seq)
        for page in ended:
            del self._leased[page.lease.key.seq]
            self._stages.forget(page.lease.key.seq)
            self._lanes.left(page.lease.lane)
        self._lanes.add_all(work.added)
        self._checkpoints.committed()

    def _settle(self, pages: Sequence[Page], work: Work) -> None:
        """Takes the pages out of the queue and writes down what became of them."""
        self._base.executemany(
            "DELETE FROM queue WHERE lane = ? AND rank = ? AND seq = ?",
            [(page.lease.key.lane, page.lease.key.rank, page.lease.key.seq) for page in pages],
        )
        work.ledger.queued -= len(pages)
        now = self._now()
        ended = []
        for page in pages:
            row: Row = page.lease.key
            if isinstance(page.outcome, Deferred):
                self._defer(row, page.outcome, work)
                self._base.execute(
                    "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?)", _attempt(page, row, now)
                )
                self._stages.drop(row.seq)
                continue
            ended.append(_history(page, row, now))
            if isinstance(page.outcome, Buried):
                self._bury(page, row, page.outcome, now)
            if page.staged:
                work.ledger.staged += self._stages.go_live(row.seq)
        self._base.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ended)

    def _defer(self, row: Row, outcome: Deferred, work: Work) -> None:
        attempts = row.attempts + outcome.counted
        self._base.execute(
            "INSERT INTO delayed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (outcome.not_before, row.seq, row.lane, row.rank, row.id, row.parent, attempts, row.request),
        )
        work.delayed += 1
        work.ledger.queued += 1

    def _bury(self, page: Page, row: Row, outcome: Buried, now: float) -> None:
        url = page.lease.request.url
        self._base.execute(
            "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.seq,
                row.id,
                row.parent,
                url,
                outcome.why,
                outcome.status,
                row.attempts + 1,
                now,
                row.request,
            ),
        )

    def _keep(self, records: Sequence[Record], lines: Sequence[tuple[bytes, ...] | None], work: Work) -> None:
        if not records:
            return
        first = work.ledger.item_seq + 1
        work.ledger.item_seq += len(records)
        self._base.executemany(
            "INSERT INTO items VALUES (?, ?, ?, ?)",
            [(seq, record.item_id, record.kind, record.json) for seq, record in enumerate(records, first)],
        )
        work.items += enumerate(records, first)
        work.lines += lines

    def _queue(self, children: Sequence[tuple[int, Child]], work: Work) -> None:
        """Duplicates are decided here, in the transaction that adds the child."""
        fresh = self._seen.unseen(children)
        if len(children) > len(fresh):
            work.counters[f"{stats.DROPPED}/duplicate"] += len(children) - len(fresh)
        if not fresh:
            return
        now, first, seq = self._now(), work.ledger.seq + 1, work.ledger.seq
        queue: list[tuple[Any, ...]] = []
        delayed: list[tuple[Any, ...]] = []
        for parent, (identity, lane, priority, not_before, request) in fresh:
            seq += 1
            if not_before > now:
                delayed.append((not_before, seq, lane, -priority, identity, parent, 0, request))
            else:
                queue.append((lane, -priority, seq, identity, parent, 0, request))
        identities = [child.id for _, child in fresh]
        self._seen.add(first, identities)
        self._base.executemany("INSERT INTO queue VALUES (?, ?, ?, ?, ?, ?, ?)", queue)
        self._base.executemany("INSERT INTO delayed VALUES (?, ?, ?, ?, ?, ?, ?, ?)", delayed)
        work.fresh += identities
        work.added += queue
        work.delayed += len(delayed)
        work.ledger.seq = seq
        work.ledger.queued += len(fresh)
        work.counters[stats.QUEUED] += len(fresh)

    def _drain(self, work: Work) -> None:
        """Makes the next outputs of the oldest live stages visible: a commit stays bounded."""
        drained = 0
        while drained < AT_ONCE and (part := self._stages.next_part()):
            drained += len(part.outputs)
            self._show(part, work)

    def _show(self, part: Part, work: Work) -> None:
        records = [output for output in part.outputs if isinstance(output, Record)]
        self._keep(records, [None] * len(records), work)
        self._queue([(part.page, output) for output in part.outputs if isinstance(output, Child)], work)
        work.ledger.staged -= len(part.outputs)
        self._stages.done(part)

    def _remember(self, batch: Batch) -> None:
        for owner, changed in batch.changes.items():
            for key, value in changed.items():
                if value is None:
                    self._base.execute("DELETE FROM memory WHERE owner = ? AND key = ?", (owner, key))
                else:
                    row = (owner, key, orjson.dumps(value))
                    self._base.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", row)
        for feed, mark in batch.marks.items():
            self._base.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (feed, orjson.dumps(mark)))
        if batch.marks and not self._keep_items:
            marks = self._base.execute("SELECT mark FROM marks").fetchall()
            covered = min(orjson.loads(mark)["seq"] for (mark,) in marks)
            self._base.execute("DELETE FROM items WHERE seq <= ?", (covered,))

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────

    async def items(self, after: int, limit: int) -> Sequence[tuple[int, Record]]:
        with in_words(self._path):
            rows = self._base.execute(
                "SELECT seq, id, kind, json FROM items WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
            )
            return [(seq, Record(identity, kind, json)) for seq, identity, kind, json in rows]

    def counts(self) -> Counts:
        ledger = self._ledger
        waiting = ledger.queued - len(self._leased)
        return Counts(waiting + ledger.staged, len(self._leased), ledger.staged, self._delayed)


def _ended(pages: Sequence[Page]) -> Sequence[Page]:
    """Those that are through: a socket's messages leave it in the queue."""
    if not any(isinstance(page.outcome, Ongoing) for page in pages):
        return pages
    return [page for page in pages if not isinstance(page.outcome, Ongoing)]


def _history(page: Page, row: Row, now: float) -> tuple[Any, ...]:
    """The row of `pages` that says what became of a request."""
    match page.outcome:
        case Done():
            name, why = "done", ""
        case Buried(why):
            name = "failed"
        case Refused(why):
            name = "refused"
        case _:
            raise ValueError(f"{page.outcome} is not the end of a page.")
    url = page.lease.request.url
    items = page.counters[stats.ITEMS]
    return (
        row.seq,
        row.id,
        row.parent,
        url,
        name,
        why,
        page.status,
        page.proxy,
        row.attempts + 1,
        items,
        now,
    )


def _attempt(page: Page, row: Row, now: float) -> tuple[Any, ...]:
    """The row of `attempts` for one that was not the last."""
    why = page.outcome.why if isinstance(page.outcome, Deferred) else ""
    return (row.seq, now, row.attempts + 1, page.status, why, page.proxy)
