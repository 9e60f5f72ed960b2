"""Lines: a connection is found again, shared where it may be, and never kept beyond the bound."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from scraper.clients.lines import IDLE_SECONDS, Lines


class Connection:
    def __init__(self, room: int = 1) -> None:
        self.room = room
        self.usable = True
        self.open = True

    def hang_up(self) -> asyncio.Future[None]:
        self.open = False
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class World:
    """Dials by number: what a place holds is said before."""

    def __init__(self) -> None:
        self.made: list[Connection] = []
        self.room = 1
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.dials = 0
        self.time = 0.0

    async def dial(self, place: str) -> Connection:
        self.dials += 1
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        self.made.append(Connection(self.room))
        return self.made[-1]

    @property
    def open(self) -> int:
        return sum(connection.open for connection in self.made)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def lines(world: World) -> AsyncIterator[Lines]:
    lines = Lines(
        world.dial, shared=lambda place: place.startswith("many"), most_idle=5, now=lambda: world.time
    )
    yield lines
    await lines.close()
    assert world.open == 0


async def test_the_last_one_used_is_used_again(lines: Lines, world: World):
    one, two = await lines.take("a"), await lines.take("a")
    lines.give_back(one)
    lines.give_back(two)
    assert await lines.take("a") is two
    assert await lines.take("a") is one
    assert len(world.made) == 2
    lines.give_back(one)
    lines.give_back(two)


async def test_another_place_has_its_own(lines: Lines, world: World):
    lines.give_back(await lines.take("a"))
    lines.give_back(await lines.take("b"))
    assert len(world.made) == 2


async def test_ten_thousand_places_leave_no_more_than_the_bound(lines: Lines, world: World):
    for n in range(10_000):
        lines.give_back(await lines.take(f"{n}"))
    assert (len(world.made), world.open) == (10_000, 5)
    assert [connection.open for connection in world.made[-5:]] == [True] * 5


async def test_one_that_is_no_use_any_more_is_left(lines: Lines, world: World):
    line = await lines.take("a")
    lines.give_back(line)
    line.connection.usable = False
    other = await lines.take("a")
    assert other is not line
    assert not line.connection.open
    lines.give_back(other)


async def test_one_that_nobody_used_for_long_is_left(lines: Lines, world: World):
    line = await lines.take("a")
    lines.give_back(line)
    world.time = IDLE_SECONDS + 1
    other = await lines.take("a")
    assert other is not line
    assert not line.connection.open
    lines.give_back(other)


async def test_many_share_a_connection_that_has_room(lines: Lines, world: World):
    world.room = 3
    taken = [await lines.take("many") for _ in range(7)]
    assert len(world.made) == 3
    assert max(line.in_use for line in taken) == 3
    for line in taken:
        lines.give_back(line)


async def test_who_comes_while_it_is_dialled_waits_for_it(lines: Lines, world: World):
    world.room = 10
    world.may_answer.clear()
    taking = [asyncio.create_task(lines.take("many")) for _ in range(10)]
    await asyncio.sleep(0)
    world.may_answer.set()
    taken = await asyncio.gather(*taking)
    assert (world.dials, len(set(taken))) == (1, 1)
    for line in taken:
        lines.give_back(line)


async def test_if_it_is_for_one_after_all_each_dials_for_himself_at_once(lines: Lines, world: World):
    world.may_answer.clear()
    taking = [asyncio.create_task(lines.take("many")) for _ in range(4)]
    await asyncio.sleep(0)
    world.may_answer.set()
    taken = await asyncio.gather(*taking)
    assert (world.dials, len(set(taken))) == (4, 4)
    for line in taken:
        lines.give_back(line)


async def test_a_dial_that_fails_fails_for_all_who_wait(lines: Lines, world: World):
    world.error = ConnectionRefusedError("no")
    world.may_answer.clear()
    taking = [asyncio.create_task(lines.take("many")) for _ in range(4)]
    await asyncio.sleep(0)
    world.may_answer.set()
    outcomes = await asyncio.gather(*taking, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionRefusedError] * 4
    assert world.dials == 1


async def test_a_dial_that_is_given_up_is_taken_over(lines: Lines, world: World):
    world.room = 10
    world.may_answer.clear()
    first, *rest = [asyncio.create_task(lines.take("many")) for _ in range(4)]
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    world.may_answer.set()
    taken = await asyncio.gather(*rest)
    assert (world.dials, len(set(taken))) == (2, 1)
    for line in taken:
        lines.give_back(line)


async def test_one_that_ends_is_closed_when_its_last_exchange_is_over(lines: Lines, world: World):
    world.room = 10
    line = await lines.take("many")
    assert await lines.take("many") is line
    line.connection.usable = False  # the site said so
    lines.give_back(line)
    assert line.connection.open
    other = await lines.take("many")
    assert other is not line
    lines.give_back(line)
    assert not line.connection.open
    lines.give_back(other)


async def test_room_that_shrinks_is_kept_to(lines: Lines, world: World):
    world.room = 10
    line = await lines.take("many")
    line.connection.room = 1
    other = await lines.take("many")
    assert other is not line
    lines.give_back(line)
    lines.give_back(other)


async def test_what_comes_back_after_the_end_is_closed(lines: Lines, world: World):
    line = await lines.take("a")
    await lines.close()
    lines.give_back(line)
    assert world.open == 0
