"""The gate: never more on the wire than there are slots, never more at a host than it is granted; nobody forgotten."""

import asyncio
from collections import Counter
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.errors import PoolTimeout
from scraper.gate import Gate
from scraper.politeness import HostClock
from scraper.protocols import Limits
from tests.frontiers.simulation import now, simulated, simulated_loop, turns_of_the_loop

EASY = Limits(1_000_000, 0.0)


class CountingClock(HostClock):
    """A politeness clock that counts how often it is asked."""

    asked = 0

    def wait(self, lane: str) -> float:
        self.asked += 1
        return super().wait(lane)


class Wire:
    """A gate, and a note of who was let in when."""

    def __init__(self, limits: dict[str, Limits] | None = None, *, slots: int = 100, patience: float = 10.0):
        limits = limits or {}
        self.clock = CountingClock(lambda lane: limits.get(lane, EASY), now=now)
        self.gate = Gate(self.clock, slots=slots, patience=patience)
        self.began = now()
        self.entered: list[tuple[str, float]] = []  # name, seconds since the start
        self.most = 0
        self.most_of: Counter[str] = Counter()
        self._of: Counter[str] = Counter()

    async def exchange(self, lane: str, seconds: float = 1.0, name: str = "") -> None:
        await self.gate.enter(lane)
        self.entered.append((name or lane, round(now() - self.began, 6)))
        self._of[lane] += 1
        self.most = max(self.most, self.gate.in_flight)
        self.most_of[lane] = max(self.most_of[lane], self._of[lane])
        try:
            await asyncio.sleep(seconds)
        finally:
            self._of[lane] -= 1
            self.gate.leave(lane)

    def start(self, lane: str, seconds: float = 1.0, name: str = "") -> asyncio.Task[None]:
        return asyncio.create_task(self.exchange(lane, seconds, name))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.entered]

    @property
    def times(self) -> list[float]:
        return [at for _, at in self.entered]


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_nobody_waits_while_there_are_slots_and_turns():
    wire = Wire()
    await asyncio.gather(*(wire.start("a") for _ in range(100)))
    assert set(wire.times) == {0.0}


@simulated
async def test_no_more_are_on_the_wire_than_there_are_slots():
    wire = Wire(slots=3, patience=1000)
    await asyncio.gather(*(wire.start(f"host{n % 5}") for n in range(30)))
    assert wire.most == 3
    assert wire.times == [float(n // 3) for n in range(30)]
    assert wire.gate.in_flight == 0


@simulated
async def test_no_more_are_at_a_host_than_it_is_granted():
    wire = Wire({"a": Limits(2, 0.0)})
    await asyncio.gather(*(wire.start("a") for _ in range(10)), *(wire.start("b") for _ in range(10)))
    assert (wire.most_of["a"], wire.most_of["b"]) == (2, 10)
    assert [at for name, at in wire.entered if name == "a"] == [float(n // 2) for n in range(10)]


# ── turns of a host ──────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_two_turns_of_a_host_are_a_delay_apart():
    wire = Wire({"a": Limits(8, 2.0)}, patience=1)
    await asyncio.gather(*(wire.start("a", 0.5) for _ in range(5)))
    assert wire.times == [0.0, 2.0, 4.0, 6.0, 8.0]


@simulated
async def test_a_delay_holds_for_who_comes_later_too():
    wire = Wire({"a": Limits(8, 2.0)})
    await wire.exchange("a", 0.5)
    await wire.exchange("a", 0.5)
    assert wire.times == [0.0, 2.0]


@simulated
async def test_a_long_exchange_and_a_delay_both_hold():
    wire = Wire({"a": Limits(1, 2.0)})
    await asyncio.gather(*(wire.start("a", 3) for _ in range(3)))
    assert wire.times == [0.0, 3.0, 6.0]


@simulated
async def test_a_parked_host_waits_and_the_others_go_on():
    wire = Wire()
    wire.clock.park("a", now() + 60)
    await asyncio.gather(wire.start("a"), wire.start("b"))
    assert wire.entered == [("b", 0.0), ("a", 60.0)]


@simulated
async def test_a_host_that_is_parked_while_somebody_waits_keeps_him_waiting():
    wire = Wire({"a": Limits(8, 5.0)})
    tasks = [wire.start("a"), wire.start("a")]
    await asyncio.sleep(1)
    wire.clock.park("a", now() + 30)
    await asyncio.gather(*tasks)
    assert wire.times == [0.0, 31.0]


@simulated
async def test_a_host_that_slows_down_is_asked_at_its_new_pace():
    wire = Wire()
    wire.clock.slow_down("a", 3.0)
    await asyncio.gather(*(wire.start("a") for _ in range(3)))
    assert wire.times == [0.0, 3.0, 6.0]


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_within_a_host_who_comes_first_goes_first():
    wire = Wire({"a": Limits(1, 0.0)})
    await asyncio.gather(*(wire.start("a", name=str(n)) for n in range(20)))
    assert wire.names == [str(n) for n in range(20)]


@simulated
async def test_who_comes_while_others_wait_does_not_push_in():
    wire = Wire({"a": Limits(1, 0.0)})
    tasks = [wire.start("a", name="on the wire"), wire.start("a", name="waiting")]
    await turns_of_the_loop()
    async with asyncio.TaskGroup() as group:
        group.create_task(_after(tasks[0], lambda: wire.exchange("a", name="late")))
    await asyncio.gather(*tasks)
    assert wire.names == ["on the wire", "waiting", "late"]


async def _after(task: asyncio.Task[None], step) -> None:
    await task
    await step()


@simulated
async def test_a_host_with_many_waiting_does_not_keep_another_from_the_slots():
    wire = Wire(slots=1, patience=1000)
    crowd = [wire.start("crowd") for _ in range(50)]
    await turns_of_the_loop()
    single = wire.start("single")
    await single
    assert wire.names.index("single") <= 2
    for task in crowd:
        task.cancel()


@simulated
async def test_hosts_that_wait_for_a_slot_take_turns():
    wire = Wire(slots=1, patience=1000)
    await asyncio.gather(*(wire.start(host) for host in "aaabbbccc"))
    assert "".join(wire.names) == "a" + "abc" + "abc" + "bc"


@simulated
async def test_a_host_whose_turn_has_not_come_takes_no_slot_from_the_others():
    wire = Wire({"slow": Limits(8, 100.0)}, slots=1, patience=1000)
    await asyncio.gather(*(wire.start("slow") for _ in range(3)), *(wire.start("b") for _ in range(5)))
    assert [at for name, at in wire.entered if name == "b"] == [1.0, 2.0, 3.0, 4.0, 5.0]


# ── patience ─────────────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_who_waits_too_long_for_a_slot_is_sent_away():
    wire = Wire(slots=1, patience=10)
    holder = wire.start("a", 100)
    await turns_of_the_loop()
    began = now()
    with pytest.raises(PoolTimeout, match="10 s"):
        await wire.exchange("b")
    assert now() - began == pytest.approx(10)
    assert wire.gate.in_flight == 1
    await holder
    await wire.exchange("b")


@simulated
async def test_patience_is_for_slots_not_for_the_turn_of_a_host():
    wire = Wire({"a": Limits(1, 0.0), "slow": Limits(8, 50.0)}, patience=10)
    await asyncio.gather(wire.start("a", 40), wire.start("a"), wire.start("slow"), wire.start("slow"))
    assert sorted(wire.entered) == [("a", 0.0), ("a", 40.0), ("slow", 0.0), ("slow", 50.0)]


@simulated
async def test_patience_begins_when_the_hosts_turn_has_come():
    wire = Wire({"slow": Limits(8, 50.0)}, slots=1, patience=10)
    await wire.exchange("slow")
    holder, late = wire.start("a", 55), wire.start("slow")
    await asyncio.gather(holder, late)
    assert wire.times == [0.0, 1.0, 56.0]


@simulated
async def test_after_one_was_sent_away_the_next_has_patience_of_his_own():
    wire = Wire(slots=1, patience=10)
    tasks = [wire.start("a", 15), *(wire.start("b") for _ in range(2))]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), PoolTimeout, type(None)]
    assert wire.entered == [("a", 0.0), ("b", 15.0)]


# ── those who give up ────────────────────────────────────────────────────────────────────────────────────


@simulated
async def test_who_gives_up_while_waiting_leaves_his_place_to_the_next():
    wire = Wire({"a": Limits(1, 0.0)})
    first, second, third = (wire.start("a", name=name) for name in ("first", "second", "third"))
    await turns_of_the_loop()
    second.cancel()
    await asyncio.gather(first, third)
    assert wire.entered == [("first", 0.0), ("third", 1.0)]
    assert wire.gate.in_flight == 0


@pytest.mark.parametrize(
    "limits", [{"a": Limits(1, 0.0)}, {}], ids=["waits for the host", "waits for a slot"]
)
@simulated
async def test_who_gives_up_in_the_moment_of_being_let_in_gives_the_slot_on(limits):
    wire = Wire(limits, slots=1, patience=1000)
    await wire.gate.enter("a")
    second, third = wire.start("a", name="second"), wire.start("a", name="third")
    await turns_of_the_loop()
    wire.gate.leave("a")  # lets the second in, who has not run yet
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await third
    assert wire.names == ["third"]
    assert (wire.gate.in_flight, wire.clock.wait("a")) == (0, 0.0)


@simulated
async def test_who_gives_up_in_the_moment_of_being_sent_away_disturbs_nobody():
    wire = Wire(slots=1, patience=10)
    await wire.gate.enter("a")
    waiting = wire.start("b")
    await turns_of_the_loop()
    asyncio.get_running_loop().call_later(10, waiting.cancel)
    with suppress(asyncio.CancelledError, PoolTimeout):
        await waiting
    wire.gate.leave("a")
    await wire.exchange("b")
    assert wire.gate.in_flight == 0


@simulated
async def test_when_all_who_waited_have_given_up_the_next_is_let_in():
    wire = Wire({"a": Limits(1, 0.0)})
    holder = wire.start("a", 5)
    waiting = [wire.start("a") for _ in range(10)]
    await turns_of_the_loop()
    for task in waiting:
        task.cancel()
    late = wire.start("a", name="late")
    await asyncio.gather(holder, late)
    await wire.exchange("a", name="later")
    assert wire.entered == [("a", 0.0), ("late", 5.0), ("later", 6.0)]


@simulated
async def test_who_is_cancelled_on_the_wire_gives_his_slot_back():
    wire = Wire(slots=1)
    holder = wire.start("a", 100)
    next_one = wire.start("b")
    await turns_of_the_loop()
    holder.cancel()
    await next_one
    assert wire.entered == [("a", 0.0), ("b", 0.0)]


# ── many ─────────────────────────────────────────────────────────────────────────────────────────────────

MANY = 10_000


@pytest.mark.parametrize("hosts", [1, 100, MANY])
@simulated
async def test_ten_thousand_are_let_in_without_asking_the_clock_again_and_again(hosts):
    wire = Wire(slots=50, patience=1e9)
    await asyncio.gather(*(wire.start(f"host{n % hosts}") for n in range(MANY)))
    assert len(wire.entered) == MANY
    assert wire.clock.asked < 5 * MANY


@simulated
async def test_ten_thousand_at_a_slow_host_are_let_in_one_by_one():
    wire = Wire({"a": Limits(8, 1.0)}, slots=50, patience=1e9)
    await asyncio.gather(*(wire.start("a", 0.1) for _ in range(MANY)))
    assert wire.times == [float(n) for n in range(MANY)]
    assert wire.clock.asked < 5 * MANY


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 5), st.floats(0, 3), st.none() | st.floats(0, 5)),
        max_size=25,
    ),
    st.integers(1, 4),
)
def test_whatever_happens_the_bounds_hold_and_everything_is_given_back(visits, slots):
    """Each visit: host, when it comes, how long it takes, when it gives up."""

    async def visit(wire: Wire, host: str, comes: float, takes: float, gives_up: float | None) -> None:
        await asyncio.sleep(comes)
        with suppress(TimeoutError, PoolTimeout):
            async with asyncio.timeout(gives_up):
                await wire.exchange(host, takes)

    async def day() -> None:
        limits = {"a": Limits(1, 0.0), "b": Limits(2, 0.5)}
        wire = Wire(limits, slots=slots, patience=4)
        await asyncio.gather(*(visit(wire, *one) for one in visits))
        assert wire.most <= slots
        assert wire.most_of["a"] <= 1
        assert wire.most_of["b"] <= 2
        of_b = [at for name, at in wire.entered if name == "b"]
        assert all(later - sooner >= 0.499 for sooner, later in pairwise(of_b))
        assert wire.gate.in_flight == 0
        await asyncio.wait_for(asyncio.gather(*(wire.exchange(host) for host in "abc")), 10)

    with asyncio.Runner(loop_factory=simulated_loop) as runner:
        runner.run(day())
