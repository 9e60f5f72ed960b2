"""Whatever happens in whatever order, a frontier does what thirty lines of Python say that it should."""

import asyncio
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from scraper.errors import StorageError
from scraper.frontiers.memory import MemoryFrontier
from scraper.frontiers.sqlite import SqliteFrontier
from scraper.item import Record
from scraper.politeness import HostClock
from scraper.protocols import Batch, Buried, Child, Deferred, Lease, Limits, Page, Refused, Seeds
from scraper.request import Request
from tests.frontiers.fakes import EASY, Time, child, item, lane, name_of, page

LIVES = 3  # processes that a page may take with it: with others about, then alone, its response at hand
OUTS = 10  # processes that may end while it is on its way
GRANTED = {lane("a"): EASY, lane("b"): Limits(2, 0.0)}

paths = st.sampled_from([f"{host}{n}" for host in "aab" for n in range(9)])
outputs = st.lists(
    st.tuples(paths, st.integers(-1, 1), st.sampled_from([0, 0, 0, -5, 5])) | st.just("item"), max_size=9
)
outcomes = st.sampled_from(["done", "done", "deferred now", "deferred", "deferred free", "buried", "refused"])


@dataclass(frozen=True)
class Waiting:
    """A request as the model keeps it; `order` is None where the contract does not say."""

    host: str
    priority: int
    order: int | None
    due: float
    attempt: int = 1
    outs: int = 0
    began: int = 0

    def before(self, other: "Waiting") -> bool:
        """Whether it has to be leased before the other."""
        if self.host != other.host or self.priority != other.priority:
            return self.host == other.host and self.priority > other.priority
        return self.order is not None and other.order is not None and self.order < other.order


class FrontierMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.time = Time(1000.0)
        self.clock = HostClock(GRANTED.__getitem__, now=self.time)
        self.parked: dict[str, float] = {}
        self.seen: set[str] = set()
        self.waiting: dict[str, Waiting] = {}
        self.leased: dict[str, tuple[Lease, Waiting]] = {}
        self.staged: dict[str, list[Child | Record]] = {}
        self.suspects: set[str] = set()
        self.stale: list[Lease] = []
        self.ended: list[str] = []
        self.items: list[Record] = []
        self.item = 0
        self.order = 0
        self.interrupting = False  # whether a process ends before what it made live is drained
        self.open()

    def open(self) -> None:
        self.frontier = MemoryFrontier(self.clock, now=self.time)

    def end_process(self, *, closed: bool) -> None:
        """Where a store has more than one life, its process ends and another goes on."""

    def do(self, coroutine):
        return self.loop.run(coroutine)

    # ── what comes in ────────────────────────────────────────────────────────────────────────────────

    def made(self, drawn) -> list[Child | Record]:
        made = []
        for one in drawn:
            if one == "item":
                self.item += 1
                made.append(item(self.item))
            else:
                path, priority, delay = one
                due = self.time() + delay if delay else 0.0
                made.append(child(path, host=path[0], priority=priority, not_before=due))
        return made

    def queue(self, children: list[Child], *, ordered: bool) -> int:
        """What the model does with children; how many of them are duplicates."""
        fresh = 0
        for one in children:
            name = Request.decode(one.request).url.rpartition("/")[2]
            if name not in self.seen:
                fresh += 1
                self.order += 1
                self.seen.add(name)
                order = self.order if ordered else None
                self.waiting[name] = Waiting(one.lane, one.priority, order, one.not_before)
        return len(children) - fresh

    def take(self, batch: Batch, committed, children: list[Child], records: list[Record], live) -> None:
        """Holds a commit's answer, and those that drain what it made live, against the model."""
        duplicates = self.queue(children, ordered=True)
        staged = [output for stage in live for output in stage]
        duplicates += self.queue([one for one in staged if isinstance(one, Child)], ordered=len(live) < 2)
        queued = len(children) + sum(isinstance(one, Child) for one in staged) - duplicates
        numbered, counters = list(committed.items), Counter(committed.counters)
        if live and self.interrupting:
            self.end_process(closed=False)
        for _ in range(len(live) + 1):
            if self.frontier.counts().staged:
                committed = self.do(self.frontier.commit(Batch()))
                numbered += committed.items
                counters.update(committed.counters)
        assert counters["queued"] == queued
        assert counters["dropped/duplicate"] == duplicates
        assert [n for n, _ in numbered] == list(
            range(len(self.items) + 1, len(self.items) + 1 + len(numbered))
        )
        assert [record for _, record in numbered][: len(records)] == records
        expected = [*records, *(one for one in staged if isinstance(one, Record))]
        assert Counter(record for _, record in numbered) == Counter(expected)
        self.items += [record for _, record in numbered]

    @rule(drawn=outputs)
    def seeds_arrive(self, drawn) -> None:
        children = [one for one in self.made(drawn) if isinstance(one, Child)]
        batch = Batch(seeds=Seeds(children))
        self.take(batch, self.do(self.frontier.commit(batch)), children, [], [])

    # ── what goes out ────────────────────────────────────────────────────────────────────────────────

    def ready_at(self, waiting: Waiting) -> float:
        return max(waiting.due, self.parked.get(waiting.host, 0.0))

    @rule(n=st.integers(1, 6))
    def pages_are_leased(self, n) -> None:
        found = self.do(self.frontier.lease(n))
        given = [name_of(lease) for lease in found.leases]
        assert set(given) <= set(self.waiting)
        assert found.finished == (not self.waiting and not self.leased)
        if self.suspects or any(waiting.outs > 1 for _, waiting in self.leased.values()):
            assert len(given) == (0 if self.leased else 1)
            assert self.suspects.issuperset(given)
        else:
            self.check_choice(given, n, found.next_due)
        for lease, name in zip(found.leases, given, strict=True):
            waiting = self.waiting.pop(name)
            assert (lease.request.attempt, lease.lane) == (waiting.attempt, waiting.host)
            self.leased[name] = lease, replace(waiting, outs=waiting.outs + 1)
            self.suspects.discard(name)

    def check_choice(self, given: list[str], n: int, next_due: float | None) -> None:
        ready = {name for name, one in self.waiting.items() if self.ready_at(one) <= self.time()}
        least, most = self.given_now(ready)
        assert min(n, least) <= len(given) <= min(n, most)
        assert set(given) <= ready
        for first, second in pairwise(given):
            assert not self.waiting[second].before(self.waiting[first])
        for name in given:
            for other in ready - set(given):
                assert not self.waiting[other].before(self.waiting[name])
        due = [self.ready_at(one) for one in self.waiting.values() if not self.is_full(one.host)]
        if due and not given:
            assert next_due is not None
            assert self.time() < next_due <= min(due)

    def given_now(self, ready: set[str]) -> tuple[int, int]:
        """How many have to be given: of each host what it is granted, and few more."""
        least = most = 0
        for host, limits in GRANTED.items():
            there = sum(self.waiting[name].host == host for name in ready)
            out = self.out(host)
            least += min(there, max(0, limits.in_flight - out))
            most += min(there, max(0, limits.in_flight * 3 // 2 - out))
        return least, most

    def is_full(self, host: str) -> bool:
        return self.out(host) >= GRANTED[host].in_flight

    def out(self, host: str) -> int:
        return sum(one.host == host for _, one in self.leased.values())

    # ── what comes of it ─────────────────────────────────────────────────────────────────────────────

    def outcome(self, name: str):
        match name:
            case "deferred now":
                return Deferred(self.time(), "why")
            case "deferred":
                return Deferred(self.time() + 5, "why")
            case "deferred free":
                return Deferred(self.time() + 1, "why", counted=False)
            case "buried":
                return Buried("why", 404)
            case "refused":
                return Refused("robots")
        return None

    def drawn_pages(self, data) -> list[Page]:
        names = data.draw(st.lists(st.sampled_from(sorted(self.leased)), unique=True, min_size=1, max_size=4))
        pages = []
        for name in names:
            made = self.made(data.draw(outputs))
            pages.append(
                page(
                    self.leased[name][0],
                    self.outcome(data.draw(outcomes)),
                    children=[one for one in made if isinstance(one, Child)],
                    items=[one for one in made if isinstance(one, Record)],
                    staged=name in self.staged,
                )
            )
        return pages

    @precondition(lambda self: self.leased)
    @rule(data=st.data())
    def pages_are_committed(self, data) -> None:
        pages = self.drawn_pages(data)
        late = [page(lease, items=[item(0)], children=[child("a0")]) for lease in self.stale[-1:]]
        batch = Batch([*late, *pages])
        committed = self.do(self.frontier.commit(batch))
        assert committed.refused == late
        children, records, live = [], [], []
        for one in pages:
            name = name_of(one.lease)
            lease, waiting = self.leased.pop(name)
            stage = self.staged.pop(name, [])
            self.stale.append(lease)
            if isinstance(one.outcome, Deferred):
                attempt = waiting.attempt + one.outcome.counted
                due = one.outcome.not_before
                self.waiting[name] = replace(waiting, attempt=attempt, due=due, outs=0, began=0)
                self.stale.remove(lease)
            else:
                self.ended.append(name)
                children += one.children
                records += one.items
                live += [stage] if stage else []
        self.take(batch, committed, children, records, live)

    @precondition(lambda self: self.leased)
    @rule(data=st.data())
    def a_response_comes(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.leased)))
        lease, waiting = self.leased[name]
        alone = waiting.outs > 1
        if alone and waiting.began == waiting.outs - 1:
            return  # it has come in this life
        self.do(self.frontier.began(lease))
        self.leased[name] = lease, replace(waiting, began=waiting.began + alone)

    @precondition(lambda self: self.leased)
    @rule(data=st.data(), drawn=outputs)
    def a_page_stages(self, data, drawn) -> None:
        name = data.draw(st.sampled_from(sorted(self.leased)))
        made = self.made(drawn)
        if made:
            self.do(self.frontier.stage(self.leased[name][0], made))
            self.staged.setdefault(name, []).extend(made)

    @precondition(lambda self: self.staged)
    @rule(data=st.data())
    def a_page_unstages(self, data) -> None:
        name = data.draw(st.sampled_from(sorted(self.staged)))
        self.do(self.frontier.unstage(self.leased[name][0]))
        del self.staged[name]

    @precondition(lambda self: self.leased)
    @rule(data=st.data())
    def pages_are_given_back(self, data) -> None:
        names = data.draw(st.lists(st.sampled_from(sorted(self.leased)), unique=True, min_size=1))
        self.do(self.frontier.give_back([self.leased[name][0] for name in names]))
        for name in names:
            self.waiting[name] = replace(self.leased.pop(name)[1], outs=0, began=0)
            self.staged.pop(name, None)

    # ── the world ────────────────────────────────────────────────────────────────────────────────────

    @rule(seconds=st.sampled_from([1, 3, 10]))
    def time_passes(self, seconds) -> None:
        self.time.at += seconds

    @rule(host=st.sampled_from("ab"), seconds=st.integers(1, 9))
    def a_host_is_parked(self, host, seconds) -> None:
        until = self.time() + seconds
        self.clock.park(lane(host), until)
        self.parked[lane(host)] = max(until, self.parked.get(lane(host), 0.0))

    # ── always ───────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def the_counts_agree(self) -> None:
        counts = self.frontier.counts()
        assert (counts.queued, counts.leased) == (len(self.waiting), len(self.leased))
        assert counts.staged == 0

    @invariant()
    def leases_are_held_until_they_end(self) -> None:
        held = [lease for lease, _ in self.leased.values()]
        assert self.do(self.frontier.renew([*self.stale, *held])) == self.stale

    def everything_drains(self) -> None:
        """The end: each request that was ever queued has ended once."""
        self.time.at += 1000
        for _ in range(2 * len(self.seen) + 1):
            if self.leased:
                self.do(self.frontier.commit(Batch([page(lease) for lease, _ in self.leased.values()])))
                self.ended += self.leased
                self.leased.clear()
            self.staged.clear()
            self.pages_are_leased(5)
        assert self.do(self.frontier.lease(1)).finished
        assert sorted(self.ended) == sorted(self.seen)

    def teardown(self) -> None:
        try:
            self.do(self.drop_stages())
            self.everything_drains()
        finally:
            self.do(self.frontier.close())
            self.loop.close()

    async def drop_stages(self) -> None:
        for name in self.staged:
            await self.frontier.unstage(self.leased[name][0])


class SqliteMachine(FrontierMachine):
    """The same, and ends of the process in between."""

    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.lives = 0
        self.frontier = self.do(self.opened())

    async def opened(self) -> SqliteFrontier:
        path = self.folder / f"life{self.lives}.db"
        return await SqliteFrontier(path, self.clock, window=4, now=self.time).__aenter__()

    @rule(interrupting=st.booleans())
    def processes_become_fragile_or_steady(self, interrupting) -> None:
        self.interrupting = interrupting

    @rule(closed=st.booleans())
    def the_process_ends(self, closed) -> None:
        self.end_process(closed=closed)

    def end_process(self, *, closed: bool) -> None:
        if closed:
            self.do(self.frontier.close())
        for end in ("", "-wal"):
            left = self.folder / f"life{self.lives}.db{end}"
            if left.exists():
                shutil.copyfile(left, self.folder / f"life{self.lives + 1}.db{end}")
        if not closed:
            self.do(self.frontier.close())
        self.lives += 1
        self.frontier = self.do(self.opened())
        self.come_back()

    def come_back(self) -> None:
        for name, (_, waiting) in self.leased.items():
            if waiting.began >= LIVES - 1 or waiting.outs >= OUTS:
                self.ended.append(name)
            else:
                self.waiting[name] = waiting
                self.suspects.add(name)
        self.leased.clear()
        self.staged.clear()
        self.stale.clear()

    @precondition(lambda self: self.leased)
    @rule(data=st.data())
    def a_commit_fails(self, data) -> None:
        pages = self.drawn_pages(data)
        bad = {"feed": {"seq": 0, "sink": object()}}
        with pytest.raises((StorageError, TypeError)):
            self.do(self.frontier.commit(Batch(pages, marks=bad)))

    @invariant()
    def every_item_is_kept_in_order(self) -> None:
        kept = self.do(self.frontier.items(0, 10_000))
        assert [record for _, record in kept] == self.items

    def teardown(self) -> None:
        super().teardown()
        shutil.rmtree(self.folder)


# a failure is shown as it was found: to shrink it takes minutes
STEPS = settings(
    stateful_step_count=40,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],
)


@pytest.mark.parametrize(("machine", "examples"), [(FrontierMachine, 25), (SqliteMachine, 12)])
def test_a_frontier_does_what_its_model_does(machine, examples):
    run_state_machine_as_test(machine, settings=settings(STEPS, max_examples=examples))
