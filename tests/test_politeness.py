"""Whose turn it is: the one clock that the choice of requests and the gate both ask."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper import politeness
from scraper.politeness import HostClock
from scraper.protocols import Limits, Memory
from tests.frontiers.fakes import Time

HOST = "site.example:80"


def a_clock(in_flight: int = 8, delay: float = 0.0, now: Time | None = None) -> HostClock:
    return HostClock(lambda lane: Limits(in_flight, delay), now=now or Time())


def test_an_unknown_host_may_be_asked_now():
    assert a_clock().wait(HOST) == 0.0


def test_limits_are_the_hosts_own():
    clock = HostClock({"a:80": Limits(1, 5.0), "b:80": Limits(2, 0.0)}.__getitem__)
    assert (clock.limits("a:80"), clock.limits("b:80")) == (Limits(1, 5.0), Limits(2, 0.0))


def test_after_a_turn_the_delay_passes():
    time = Time()
    clock = a_clock(delay=2.0, now=time)
    clock.turn(HOST)
    clock.leave(HOST)
    assert clock.wait(HOST) == 2.0
    time.at += 1.5
    assert clock.wait(HOST) == 0.5
    time.at += 0.5
    assert clock.wait(HOST) == 0.0


def test_a_full_host_waits_for_one_to_come_back():
    clock = a_clock(in_flight=2)
    clock.turn(HOST)
    assert clock.wait(HOST) == 0.0
    clock.turn(HOST)
    assert clock.wait(HOST) == math.inf
    clock.leave(HOST)
    assert clock.wait(HOST) == 0.0


def test_hosts_do_not_wait_for_each_other():
    clock = a_clock(in_flight=1, delay=9.0)
    clock.turn("a:80")
    clock.park("b:80", 2_000_000_000.0)
    assert clock.wait("c:80") == 0.0


def test_a_parked_host_waits_until_its_time():
    time = Time()
    clock = a_clock(now=time)
    clock.park(HOST, time() + 60)
    assert clock.wait(HOST) == 60.0
    time.at += 61
    assert clock.wait(HOST) == 0.0


def test_parking_never_shortens_a_wait():
    time = Time()
    clock = a_clock(now=time)
    clock.park(HOST, time() + 60)
    clock.park(HOST, time() + 5)
    assert clock.wait(HOST) == 60.0


def test_a_turn_of_a_parked_host_does_not_shorten_its_wait():
    time = Time()
    clock = a_clock(delay=1.0, now=time)
    clock.park(HOST, time() + 60)
    clock.turn(HOST)  # it was let in before the park
    clock.leave(HOST)
    assert clock.wait(HOST) == 60.0


def test_slowing_down_only_ever_slows_down():
    clock = a_clock(in_flight=4, delay=3.0)
    clock.slow_down(HOST, 1.0)
    assert clock.limits(HOST) == Limits(4, 3.0)
    clock.slow_down(HOST, 10.0)
    assert clock.limits(HOST) == Limits(4, 10.0)


def test_it_is_a_part_that_remembers():
    assert isinstance(a_clock(), Memory)


def test_what_it_learned_is_told_once():
    time = Time()
    clock = a_clock(now=time)
    clock.turn(HOST)
    assert clock.changes() is None
    clock.park(HOST, time() + 60)
    clock.slow_down("slow:80", 5.0)
    assert clock.changes() == {
        HOST: {"until": time() + 60, "delay": 0.0},
        "slow:80": {"until": 0.0, "delay": 5.0},
    }
    assert clock.changes() is None


def test_what_it_learned_holds_in_the_next_life():
    time = Time()
    clock = a_clock(now=time)
    clock.park(HOST, time() + 60)
    clock.slow_down(HOST, 5.0)
    second = a_clock(now=time)
    second.restore(clock.changes())
    assert (second.wait(HOST), second.limits(HOST).delay) == (60.0, 5.0)
    assert second.changes() is None


def test_a_slower_setting_of_the_next_life_holds_too():
    clock = a_clock(delay=1.0)
    clock.slow_down(HOST, 5.0)
    second = a_clock(delay=8.0)
    second.restore(clock.changes())
    assert second.limits(HOST).delay == 8.0


def test_an_idle_host_is_forgotten_before_memory_grows(monkeypatch):
    monkeypatch.setattr(politeness, "KEPT", 3)
    time = Time()
    asked = []
    clock = HostClock(lambda lane: asked.append(lane) or Limits(8, 0.0), now=time)
    clock.turn("busy:80")
    clock.park("parked:80", time() + 60)
    for lane in ("idle:80", "new:80", "busy:80", "parked:80", "idle:80"):
        clock.wait(lane)
    assert asked == ["busy:80", "parked:80", "idle:80", "new:80", "idle:80"]
    assert clock.wait("parked:80") == 60.0


@settings(deadline=None, database=None)
@given(
    st.lists(st.tuples(st.sampled_from(["turn", "leave", "park", "slow", "pass"]), st.integers(0, 9))),
    st.integers(1, 3),
    st.sampled_from([0.0, 2.0]),
)
def test_a_ready_host_is_never_full_parked_or_before_its_delay(steps, in_flight, delay):
    time = Time()
    clock = a_clock(in_flight, delay, time)
    out, last, until = 0, -math.inf, 0.0
    for what, number in steps:
        match what:
            case "turn" if clock.wait(HOST) == 0.0:
                assert out < in_flight
                assert time() >= until
                assert time() - last >= delay
                clock.turn(HOST)
                out, last = out + 1, time()
            case "leave" if out:
                clock.leave(HOST)
                out -= 1
            case "park":
                clock.park(HOST, time() + number)
                until = max(until, time() + number)
            case "slow":
                clock.slow_down(HOST, delay)
            case "pass":
                time.at += number
        assert (clock.wait(HOST) == math.inf) == (out == in_flight)


@pytest.mark.parametrize("times", [1, 5])
def test_a_host_comes_back_to_where_it_was(times):
    clock = a_clock(in_flight=5)
    for _ in range(times):
        clock.turn(HOST)
    for _ in range(times):
        clock.leave(HOST)
    assert clock.wait(HOST) == 0.0
