"""The scheduler: one lease for each seat as soon as there is both, and an end when nothing is left."""

import asyncio

import pytest

from scraper.bell import Bell
from scraper.frontiers.memory import MemoryFrontier
from scraper.politeness import HostClock
from scraper.protocols import Counts, Lease, Leases, Limits
from scraper.request import Request
from scraper.scheduler import SOON, Scheduler
from tests.frontiers.fakes import EASY, Crawl, child, lane, name_of, page
from tests.frontiers.simulation import now, simulated, turns_of_the_loop

HOUR = 3600.0


class Machine:
    """A scheduler over a frontier in memory, and pages that end when a test says so."""

    def __init__(self, *, seats: int = 10, max_wait: float = 600.0, limits: Limits = EASY, frontier=None):
        clock = HostClock(lambda lane: limits, now=now)
        self.frontier = frontier or MemoryFrontier(clock, now=now)
        self.crawl = Crawl(self.frontier, clock, now)
        self.bell = Bell()
        self.coming = False
        self.scheduler = Scheduler(
            self.frontier,
            self.bell,
            seats=seats,
            max_wait=max_wait,
            more_to_come=lambda: self.coming,
            now=now,
        )
        self.out: list[Lease] = []
        self.began = now()
        self.ended: float | None = None  # seconds after the start

    def start(self) -> asyncio.Task[None]:
        return asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for lease in self.scheduler:
            self.out.append(lease)
        self.ended = now() - self.began

    async def end(self, lease: Lease, *children: str) -> None:
        """As the machine does it: the seat first, the commit later."""
        self.scheduler.leave()
        await self.crawl.commit(page(lease, children=[child(name) for name in children]))
        self.bell.ring()

    @property
    def names(self) -> list[str]:
        return [name_of(lease) for lease in self.out]


# ── leases and seats ─────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_every_lease_has_a_seat():
    machine = Machine(seats=3)
    await machine.crawl.seed(*range(10))
    running = machine.start()
    await turns_of_the_loop()
    assert machine.names == ["0", "1", "2"]
    await machine.end(machine.out[1])
    await turns_of_the_loop()
    assert machine.names == ["0", "1", "2", "3"]
    running.cancel()


@simulated
async def test_everything_is_fetched_through_one_seat():
    machine = Machine(seats=1)
    await machine.crawl.seed(*range(20))
    async for lease in machine.scheduler:
        machine.out.append(lease)
        await machine.end(lease)
    assert machine.names == [str(n) for n in range(20)]


@simulated
async def test_children_are_fetched_as_soon_as_their_page_is_committed():
    machine = Machine()
    await machine.crawl.seed("parent")
    running = machine.start()
    await turns_of_the_loop()
    await machine.end(machine.out[0], "x", "y")
    await turns_of_the_loop()
    assert machine.names == ["parent", "x", "y"]
    running.cancel()


@simulated
async def test_seats_that_came_back_are_given_again():
    machine = Machine(seats=2)
    await machine.crawl.seed(*"abcd")
    for _ in range(2):
        lease = await anext(machine.scheduler)
        await machine.end(lease)
    assert [name_of(await anext(machine.scheduler)) for _ in range(2)] == ["c", "d"]


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_it_ends_when_nothing_is_left():
    machine = Machine()
    await machine.start()
    assert (machine.out, machine.ended, machine.scheduler.waiting_until) == ([], 0.0, None)


@simulated
async def test_it_ends_after_the_commit_of_the_last_page_not_before():
    machine = Machine()
    await machine.crawl.seed("last")
    running = machine.start()
    await asyncio.sleep(5)
    assert not running.done()
    machine.scheduler.leave()  # its commit is still to come
    await asyncio.sleep(5)
    assert not running.done()
    await machine.crawl.commit(page(machine.out[0]))
    machine.bell.ring()
    await running
    assert machine.ended == 10.0


@simulated
async def test_it_does_not_end_while_more_may_come():
    machine = Machine()
    machine.coming = True
    running = machine.start()
    await asyncio.sleep(50)
    await machine.crawl.seed("late")
    machine.bell.ring()
    await turns_of_the_loop()
    assert machine.names == ["late"]
    machine.coming = False
    await machine.end(machine.out[0])
    await running


@simulated
async def test_it_ends_when_told_that_no_more_comes():
    machine = Machine()
    machine.coming = True
    running = machine.start()
    await asyncio.sleep(50)
    machine.coming = False
    machine.bell.ring()
    await running
    assert machine.ended == 50.0


# ── later work ───────────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_it_waits_for_a_request_whose_time_comes():
    machine = Machine()
    await machine.crawl.seed(child("later", not_before=now() + 60))
    running = machine.start()
    await asyncio.sleep(59)
    assert machine.names == []
    await asyncio.sleep(2)
    assert machine.names == ["later"]
    running.cancel()


@simulated
async def test_it_waits_for_the_turn_of_a_slow_host():
    machine = Machine(limits=Limits(8, 10.0))
    await machine.crawl.seed(*"abc")
    async for lease in machine.scheduler:
        machine.out.append(lease)
        await machine.end(lease)
    assert machine.names == ["a", "b", "c"]
    assert now() - machine.began == pytest.approx(20)


@simulated
async def test_the_bell_wakes_it_before_its_time():
    machine = Machine()
    await machine.crawl.seed(child("later", not_before=now() + 60))
    running = machine.start()
    await asyncio.sleep(5)
    await machine.crawl.seed("now")
    machine.bell.ring()
    await turns_of_the_loop()
    assert machine.names == ["now"]
    running.cancel()


@simulated
async def test_where_only_work_for_much_later_is_left_it_ends_and_says_until_when():
    machine = Machine(max_wait=600)
    due = now() + HOUR
    await machine.crawl.seed(child("later", not_before=due))
    await machine.start()
    assert (machine.ended, machine.scheduler.waiting_until) == (0.0, due)


@simulated
async def test_a_host_parked_for_long_ends_it_too():
    machine = Machine(max_wait=600)
    machine.crawl.clock.park(lane("a"), now() + HOUR)
    await machine.crawl.seed("parked")
    await machine.start()
    assert machine.scheduler.waiting_until == now() + HOUR


@simulated
async def test_it_waits_as_long_as_it_may():
    machine = Machine(max_wait=600)
    await machine.crawl.seed(child("later", not_before=now() + 600))
    running = machine.start()
    await asyncio.sleep(601)
    assert machine.names == ["later"]
    running.cancel()


@simulated
async def test_it_does_not_end_for_later_work_while_a_page_is_out():
    machine = Machine(max_wait=600)
    await machine.crawl.seed(child("later", not_before=now() + HOUR), "page")
    running = machine.start()
    await asyncio.sleep(5)
    assert not running.done()
    await machine.end(machine.out[0])
    await running
    assert machine.scheduler.waiting_until is not None


class Slept:
    """A frontier with one request for much later, on a machine whose clock is set forward meanwhile."""

    def __init__(self) -> None:
        self.due = now() + 100 * HOUR
        self.asked_at: list[float] = []

    def counts(self) -> Counts:
        return Counts(queued=1, leased=0, staged=0, delayed=1)

    async def lease(self, n: int) -> Leases:
        self.asked_at.append(now())
        if len(self.asked_at) < 3:
            return Leases([], self.due, False)
        return Leases([Lease(Request("http://a.example/later"), lane("a"), None)], None, False)


@simulated
async def test_a_long_wait_is_looked_at_again_in_between():
    machine = Machine(max_wait=1000 * HOUR, frontier=Slept())
    lease = await anext(machine.scheduler)
    assert name_of(lease) == "later"
    assert [at - machine.began for at in machine.frontier.asked_at] == pytest.approx([0, SOON, 2 * SOON])


@simulated
async def test_nobody_polls():
    machine = Machine(max_wait=1000 * HOUR, frontier=Slept())
    running = machine.start()
    await asyncio.sleep(SOON - 1)
    assert len(machine.frontier.asked_at) == 1
    running.cancel()


# ── stop ─────────────────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_stop_ends_it_although_there_is_more():
    machine = Machine(seats=2)
    await machine.crawl.seed(*range(10))
    running = machine.start()
    await turns_of_the_loop()
    machine.scheduler.stop()
    await running
    assert machine.names == ["0", "1"]


@simulated
async def test_stop_wakes_it_from_a_wait():
    machine = Machine()
    await machine.crawl.seed(child("later", not_before=now() + 60))
    running = machine.start()
    await asyncio.sleep(5)
    machine.scheduler.stop()
    await running
    assert (machine.ended, machine.scheduler.waiting_until) == (5.0, None)


@simulated
async def test_what_was_leased_and_found_no_seat_is_given_back():
    machine = Machine(seats=5)
    await machine.crawl.seed(*range(5))
    await anext(machine.scheduler)
    assert machine.frontier.counts().leased == 5
    machine.scheduler.stop()
    await machine.scheduler.give_back()
    assert (machine.frontier.counts().leased, machine.frontier.counts().queued) == (1, 4)


# ── the bell ─────────────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_a_ring_before_the_wait_is_not_missed():
    bell = Bell()
    heard = bell.rung
    bell.ring()
    began = now()
    await bell.wait(heard, 60)
    assert now() == began


@simulated
async def test_a_ring_wakes_everybody_who_waits():
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait(bell.rung)) for _ in range(5)]
    await turns_of_the_loop()
    bell.ring()
    await asyncio.wait_for(asyncio.gather(*waiting), 1)


@simulated
async def test_a_wait_ends_after_its_time():
    bell = Bell()
    began = now()
    await bell.wait(bell.rung, 60)
    assert now() - began == pytest.approx(60)


@simulated
async def test_a_wait_that_is_cancelled_is_cancelled():
    bell = Bell()
    waiting = asyncio.create_task(bell.wait(bell.rung, 60))
    await turns_of_the_loop()
    waiting.cancel()
    bell.ring()
    with pytest.raises(asyncio.CancelledError):
        await waiting
