"""The durable frontier: one SQLite database a run, one transaction a commit."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from scraper import stats
from scraper.frontiers.checkpoints import Checkpoints
from scraper.frontiers.lanes import Entry, Lane, Lanes
from scraper.frontiers.schema import connect, in_words
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
    Output,
    Page,
    Refused,
    Saved,
)
from scraper.request import Request

DRAINED_AT_ONCE = 2_000  # staged outputs that one commit makes visible
PROMOTED_AT_ONCE = 500  # delayed requests that one lease puts back into their lanes
REMEMBERED = 100_000  # committed identities kept in memory, twice
ASKED_AT_ONCE = (1, 8, 64, 512)  # sizes of the IN (…) lists: few, so that SQLite keeps the statements


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
class Ledger:
    """The one row that every commit rewrites: counters, and where the sequences stand."""

    seq: int = 0
    item_seq: int = 0
    queued: int = 0  # in queue or delayed, leased or not
    staged: int = 0  # live, not yet drained
    seeds_ended: bool = False
    counters: Counter[str] = field(default_factory=Counter)

    def encode(self) -> bytes:
        return orjson.dumps(
            [self.seq, self.item_seq, self.queued, self.staged, self.seeds_ended, dict(self.counters)]
        )

    @classmethod
    def decode(cls, stored: bytes) -> Ledger:
        seq, item_seq, queued, staged, seeds_ended, counters = orjson.loads(stored)
        return cls(seq, item_seq, queued, staged, seeds_ended, Counter(counters))

    def copy(self) -> Ledger:
        return Ledger.decode(self.encode())


class Remembered:
    """Identities known to be committed: answers most duplicates without asking the disk, in bounded memory."""

    def __init__(self) -> None:
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._young or identity in self._old

    def update(self, identities: Iterable[bytes]) -> None:
        self._young.update(identities)
        if len(self._young) > REMEMBERED:
            self._old, self._young = self._young, set()


@dataclass(slots=True)
class Work:
    """What one transaction has gathered for memory to follow once it is committed."""

    ledger: Ledger
    counters: Counter[str]
    added: list[tuple[str, Entry]] = field(default_factory=list)
    fresh: list[bytes] = field(default_factory=list)
    items: list[tuple[int, Record]] = field(default_factory=list)
    lines: list[tuple[bytes, ...] | None] = field(default_factory=list)


class SqliteFrontier:
    """`path`: the database; `window`: requests kept in memory as a read cache of the queue."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        window: int = 20_000,
        keep_items: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._now = now
        self._keep_items = keep_items
        self._lanes = Lanes(clock, refill=self._read_on, window=window)
        self._leased: dict[int, Lease] = {}
        self._stages: dict[int, int] = {}  # page's seq → outputs staged so far
        self._remembered = Remembered()
        self._ledger = Ledger()
        self._delayed = 0

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────

    async def __aenter__(self) -> SqliteFrontier:
        self._base = connect(self._path)
        self._checkpoints = Checkpoints(self._path)
        with in_words(self._path):
            self._read_back()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._checkpoints.close()
        self._base.close()

    def _read_back(self) -> None:
        row = self._base.execute("SELECT state FROM ledger").fetchone()
        if row:
            self._ledger = Ledger.decode(row[0])
        self._base.execute("UPDATE stages SET state = 'dropped' WHERE state = 'open'")  # their pages never ended
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
            marks = {feed: orjson.loads(mark) for feed, mark in self._base.execute("SELECT feed, mark FROM marks")}
        return Saved(memory, marks, dict(self._ledger.counters), self._ledger.seeds_ended)

    # ── leasing ──────────────────────────────────────────────────────────────────────────────────────

    async def lease(self, n: int) -> Leases:
        now = self._now()
        with in_words(self._path):
            next_delayed = self._promote(now) if self._delayed else None
            leases = [self._leased_out(lane, *entry) for lane, entry in self._lanes.take(n, now)]
        due = [at for at in (self._lanes.next_due, next_delayed) if at is not None]
        finished = not (self._ledger.queued or self._ledger.staged or self._leased)
        return Leases(leases, min(due, default=None), finished)

    def _leased_out(self, lane: str, rank: int, seq: int, stored: Any) -> Lease:
        identity, parent, attempts, request = stored
        row = Row(lane, rank, seq, identity, parent, attempts, request)
        lease = Lease(Request.decode(request, id=identity, attempt=attempts + 1), lane, row)
        self._leased[seq] = lease
        return lease

    def _read_on(self, lane: Lane, limit: int) -> list[Entry]:
        rows = self._base.execute(
            "SELECT rank, seq, id, parent, attempts, request FROM queue WHERE lane = ? AND (rank, seq) > (?, ?)"
            " ORDER BY rank, seq LIMIT ?",
            (lane.name, *lane.top, limit),
        )
        return [(rank, seq, tuple(stored)) for rank, seq, *stored in rows]

    def _promote(self, now: float) -> float | None:
        """Puts what is due back into its lane; returns when the next one is due."""
        rows = self._base.execute(
            "SELECT due, seq, lane, rank, id, parent, attempts, request FROM delayed WHERE due <= ? ORDER BY due LIMIT ?",
            (now, PROMOTED_AT_ONCE),
        ).fetchall()
        if rows:
            with self._transaction():
                self._base.executemany("DELETE FROM delayed WHERE due = ? AND seq = ?", [row[:2] for row in rows])
                self._base.executemany(
                    "INSERT INTO queue (seq, lane, rank, id, parent, attempts, request) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [row[1:] for row in rows],
                )
            self._delayed -= len(rows)
            for _, seq, lane, rank, *stored in rows:
                self._lanes.add(lane, (rank, seq, tuple(stored)))
        following = self._base.execute("SELECT min(due) FROM delayed").fetchone()[0]
        return None if following is None else float(following)

    async def give_back(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            row: Row = lease.key
            if self._leased.pop(row.seq, None) is not None:
                if self._stages.pop(row.seq, 0):
                    with in_words(self._path):
                        self._base.execute("UPDATE stages SET state = 'dropped' WHERE page = ?", (row.seq,))
                self._lanes.left(row.lane)
                self._lanes.add(row.lane, (row.rank, row.seq, (row.id, row.parent, row.attempts, row.request)))

    async def renew(self, leases: Sequence[Lease]) -> Sequence[Lease]:
        return [lease for lease in leases if lease.key.seq not in self._leased]

    # ── the commit ───────────────────────────────────────────────────────────────────────────────────

    async def commit(self, batch: Batch) -> Committed:
        """One transaction; memory follows only when it is through. Raises StorageError: then nothing happened."""
        refused = [page for page in batch.pages if page.lease.key.seq not in self._leased]
        pages = [page for page in batch.pages if page.lease.key.seq in self._leased]
        work = Work(self._ledger.copy(), Counter(batch.counters))
        before = self._delayed
        try:
            with in_words(self._path), self._transaction():
                self._write(batch, pages, work)
        except BaseException:
            self._delayed = before
            raise
        self._ledger = work.ledger
        self._remembered.update(work.fresh)
        for page in pages:
            del self._leased[page.lease.key.seq]
            self._stages.pop(page.lease.key.seq, None)
            self._lanes.left(page.lease.lane)
        for lane, entry in work.added:
            self._lanes.add(lane, entry)
        self._checkpoints.committed()
        return Committed(refused, work.items, work.lines, work.counters)

    def _write(self, batch: Batch, pages: Sequence[Page], work: Work) -> None:
        children: list[tuple[int, Child]] = [(0, child) for child in batch.seeds.children]
        work.ledger.seeds_ended |= batch.seeds.ended
        self._settle(pages, work)
        for page in pages:
            if not isinstance(page.outcome, Deferred):
                seq = page.lease.key.seq
                children += [(seq, child) for child in page.children]
                self._keep(page.items, page.lines or [None] * len(page.items), work)
        self._queue(children, work)
        if work.ledger.staged:
            self._drain(work)
        self._remember(batch)
        work.ledger.counters.update(work.counters)
        self._base.execute("INSERT OR REPLACE INTO ledger VALUES (1, ?)", (work.ledger.encode(),))

    def _settle(self, pages: Sequence[Page], work: Work) -> None:
        """Takes the pages out of the queue and writes down what became of them."""
        base = self._base
        base.executemany(
            "DELETE FROM queue WHERE lane = ? AND rank = ? AND seq = ?",
            [(page.lease.key.lane, page.lease.key.rank, page.lease.key.seq) for page in pages],
        )
        work.ledger.queued -= len(pages)
        ended = []
        for page in pages:
            row: Row = page.lease.key
            if isinstance(page.outcome, Deferred):
                self._defer(row, page.outcome, work)
            else:
                ended.append(self._history(page))
            if isinstance(page.outcome, Buried):
                self._bury(page, page.outcome)
            if page.staged:
                self._end_stage(page, work)
        base.executemany("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ended)

    def _defer(self, row: Row, outcome: Deferred, work: Work) -> None:
        attempts = row.attempts + outcome.counted
        self._base.execute(
            "INSERT INTO delayed VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (outcome.not_before, row.seq, row.lane, row.rank, row.id, row.parent, attempts, row.request),
        )
        self._delayed += 1
        work.ledger.queued += 1

    def _history(self, page: Page) -> tuple[Any, ...]:
        row: Row = page.lease.key
        outcome = page.outcome
        name = {Done: "done", Buried: "failed", Refused: "refused"}[type(outcome)]
        why = "" if isinstance(outcome, Done) else outcome.why
        return (
            row.seq,
            row.id,
            row.parent,
            page.lease.request.url,
            name,
            why,
            page.status,
            row.attempts + 1,
            len(page.items),
            self._now(),
        )

    def _bury(self, page: Page, outcome: Buried) -> None:
        row: Row = page.lease.key
        self._base.execute(
            "INSERT OR REPLACE INTO dead VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row.seq,
                row.id,
                row.parent,
                page.lease.request.url,
                outcome.why,
                outcome.status,
                row.attempts + 1,
                self._now(),
                row.request,
            ),
        )

    def _keep(
        self, records: Sequence[Record], lines: Sequence[tuple[bytes, ...] | None], work: Work
    ) -> None:
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
        fresh = self._unseen(children, work)
        now = self._now()
        queue, delayed, seen = [], [], []
        for parent, child in fresh:
            work.ledger.seq += 1
            seq, rank = work.ledger.seq, -child.priority
            seen.append((child.id, seq))
            if child.not_before > now:
                delayed.append((child.not_before, seq, child.lane, rank, child.id, parent, 0, child.request))
            else:
                queue.append((child.lane, rank, seq, child.id, parent, 0, child.request))
                work.added.append((child.lane, (rank, seq, (child.id, parent, 0, child.request))))
        seen.sort()  # neighbours share pages of the tree
        self._base.executemany("INSERT INTO seen VALUES (?, ?)", seen)
        self._base.executemany("INSERT INTO queue VALUES (?, ?, ?, ?, ?, ?, ?)", queue)
        self._base.executemany("INSERT INTO delayed VALUES (?, ?, ?, ?, ?, ?, ?, ?)", delayed)
        self._delayed += len(delayed)
        work.ledger.queued += len(fresh)
        work.fresh += [child.id for _, child in fresh]
        work.counters[stats.QUEUED] += len(fresh)

    def _unseen(self, children: Sequence[tuple[int, Child]], work: Work) -> list[tuple[int, Child]]:
        first: dict[bytes, tuple[int, Child]] = {}
        here = set(work.fresh)
        for parent, child in children:
            if child.id not in self._remembered and child.id not in here:
                first.setdefault(child.id, (parent, child))
        for known in self._known(list(first)):
            del first[known]
        work.counters[f"{stats.DROPPED}/duplicate"] += len(children) - len(first)
        return list(first.values())

    def _known(self, identities: list[bytes]) -> list[bytes]:
        known: list[bytes] = []
        start = 0
        while start < len(identities):
            left = len(identities) - start
            size = next((size for size in ASKED_AT_ONCE if size >= left), ASKED_AT_ONCE[-1])
            asked = identities[start : start + size]
            start += size
            asked += asked[-1:] * (size - len(asked))
            marks = ",".join("?" * size)
            known += (row[0] for row in self._base.execute(f"SELECT id FROM seen WHERE id IN ({marks})", asked))  # noqa: S608  # question marks only
        return known

    def _remember(self, batch: Batch) -> None:
        for owner, changed in batch.changes.items():
            self._base.executemany(
                "INSERT OR REPLACE INTO memory VALUES (?, ?, ?)",
                [(owner, key, orjson.dumps(value)) for key, value in changed.items() if value is not None],
            )
            self._base.executemany(
                "DELETE FROM memory WHERE owner = ? AND key = ?",
                [(owner, key) for key, value in changed.items() if value is None],
            )
        self._base.executemany(
            "INSERT OR REPLACE INTO marks VALUES (?, ?)",
            [(feed, orjson.dumps(mark)) for feed, mark in batch.marks.items()],
        )
        if batch.marks and not self._keep_items:
            covered = min(mark["seq"] for mark in batch.marks.values())
            self._base.execute("DELETE FROM items WHERE seq <= ?", (covered,))

    # ── stages ───────────────────────────────────────────────────────────────────────────────────────

    async def stage(self, lease: Lease, outputs: Sequence[Output]) -> None:
        seq = lease.key.seq
        first = self._stages.get(seq, 0)
        with in_words(self._path), self._transaction():
            if not first:
                self._base.execute("DELETE FROM staged WHERE page = ?", (seq,))  # of an earlier, dropped attempt
                self._base.execute("INSERT OR REPLACE INTO stages VALUES (?, 'open', ?, 0, 0)", (seq, seq))
            self._base.executemany(
                "INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [_staged(seq, ordinal, output) for ordinal, output in enumerate(outputs, first)],
            )
        self._stages[seq] = first + len(outputs)
        self._checkpoints.committed()

    async def unstage(self, lease: Lease) -> None:
        if self._stages.pop(lease.key.seq, 0):
            with in_words(self._path):
                self._base.execute("UPDATE stages SET state = 'dropped' WHERE page = ?", (lease.key.seq,))

    def _end_stage(self, page: Page, work: Work) -> None:
        seq = page.lease.key.seq
        total = self._stages.get(seq, 0)
        state = "dropped" if isinstance(page.outcome, Deferred) else "live"
        self._base.execute("UPDATE stages SET state = ?, total = ? WHERE page = ?", (state, total, seq))
        if state == "live":
            work.ledger.staged += total

    def _drain(self, work: Work) -> None:
        """Makes the next outputs of the oldest live stage visible, in bounded transactions."""
        stage = self._base.execute("SELECT page, drained FROM stages WHERE state = 'live' ORDER BY page LIMIT 1").fetchone()
        if stage is None:
            return
        page, drained = stage
        rows = self._base.execute(
            "SELECT ordinal, kind, id, lane, rank, due, body FROM staged WHERE page = ? AND ordinal >= ?"
            " ORDER BY ordinal LIMIT ?",
            (page, drained, DRAINED_AT_ONCE),
        ).fetchall()
        self._queue([(page, _child(row)) for row in rows if row[1] is None], work)
        records = [Record(row[2], row[1], row[6]) for row in rows if row[1] is not None]
        self._keep(records, [None] * len(records), work)
        work.ledger.staged -= len(rows)
        self._base.execute("DELETE FROM staged WHERE page = ? AND ordinal < ?", (page, drained + len(rows)))
        if len(rows) < DRAINED_AT_ONCE:
            self._base.execute("DELETE FROM stages WHERE page = ?", (page,))
        else:
            self._base.execute("UPDATE stages SET drained = ? WHERE page = ?", (drained + len(rows), page))

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

    def _transaction(self) -> Transaction:
        return Transaction(self._base)


class Transaction:
    """BEGIN … COMMIT, or ROLLBACK when anything in between raises."""

    __slots__ = ("_base",)

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._base.execute("COMMIT")
        elif self._base.in_transaction:
            self._base.execute("ROLLBACK")


def _staged(page: int, ordinal: int, output: Output) -> tuple[Any, ...]:
    if isinstance(output, Record):
        return (page, ordinal, output.kind, output.item_id, None, 0, 0.0, output.json)
    return (page, ordinal, None, output.id, output.lane, -output.priority, output.not_before, output.request)


def _child(row: Sequence[Any]) -> Child:
    _, _, identity, lane, rank, due, body = row
    return Child(identity, lane, -rank, due, "", body)
