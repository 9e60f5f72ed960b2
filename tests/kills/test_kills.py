"""However often and whenever its process is killed, a crawl brings what an undisturbed one brings, once."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.kills import moments
from tests.kills.conftest import Exploring
from tests.kills.harvest import ENDINGS, READERS, check_same
from tests.kills.moments import Moment
from tests.kills.sizes import LARGE, SMALL, Known, Size

pytestmark = pytest.mark.timeout(180)  # a second or two a process, on a machine that has nothing else to do

LATER = 0.03  # seconds that a kill may come after its sign
NEAR_THE_END = 60  # addresses: more than a crawl asks for in that time
MOST_OUT = 11 * 3 + 7  # requests: 8 on the wire and 3 beside it, each with two redirects; the hub's notes


class Schedule:
    """Random moments for a crawl of which an undisturbed one is known."""

    def __init__(self, size: Size, known: Known, chance: Random) -> None:
        self._size = size
        self._known = known
        self._chance = chance

    def moments(self, *, early: int, staging: int, draining: int, anywhere: int) -> list[Moment]:
        """In this order, but for `early` ones: these are spread among the others. The last is at the very end."""
        drawn = [*self._staging(staging), *self._draining(draining), *self._anywhere(anywhere)]
        for _ in range(early):
            moment = moments.starting_up(self._chance.uniform(0, self._known.start_up))
            drawn.insert(self._chance.randint(0, len(drawn)), moment)
        return [*drawn, moments.nothing_new(self._known.asked, self._later())]

    def _later(self) -> float:
        return self._chance.uniform(0, LATER)

    def _staging(self, count: int) -> Iterator[Moment]:
        notes = range(self._size.pause - 1, self._size.links, self._size.pause)
        staged = [number for number in notes if number > self._size.page_in_memory]
        for number in self._chance.choices(staged, k=count):
            yield moments.staging(f"/note/hub-{number}")

    def _draining(self, count: int) -> Iterator[Moment]:
        parts = self._size.links // self._size.page_in_memory
        for left in sorted(self._chance.sample(range(parts // 3, parts), count), reverse=True):
            yield moments.draining(left)

    def _anywhere(self, count: int) -> Iterator[Moment]:
        asked = range(100, len(self._known.asked) - NEAR_THE_END)
        for targets in sorted(self._chance.sample(asked, count)):
            yield moments.asked(targets, self._later())


async def is_proved(exploring: Exploring, size: Size, chance: Random, **kills: int) -> set[str]:
    """Kills and compares; the states of the hub's stage that a kill has met."""
    async with exploring(size) as (crawl, known):
        for moment in Schedule(size, known, chance).moments(**kills):
            await crawl.killed(moment(crawl))
        check_same(known.harvest, await crawl.finished())
    assert not any(known.harvest["left to do"].values())
    assert crawl.deaths >= sum(kills.values())  # the one at the very end may come a moment late
    assert crawl.site.requests - known.requests <= MOST_OUT * crawl.deaths
    return crawl.stages_met


async def test_a_crawl_that_is_killed_five_times_brings_what_an_undisturbed_one_brings(exploring, chance):
    await is_proved(exploring, SMALL, chance, early=1, staging=1, draining=0, anywhere=2)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_crawl_that_is_killed_thirty_times_brings_what_an_undisturbed_one_brings(exploring, chance):
    met = await is_proved(exploring, LARGE, chance, early=4, staging=2, draining=2, anywhere=21)
    assert met >= {"open", "live"}


def test_every_format_is_among_the_feeds_that_are_compared():
    assert sorted(ENDINGS) == sorted(READERS)
