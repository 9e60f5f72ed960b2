"""A page that takes its process with it costs three processes and nothing else."""

import json
import signal

import pytest

from scraper.frontiers.archive import Archive
from scraper.frontiers.delivered import KILLED, LIVES
from tests.kills.martyr import CRASHES, KILLS, NOTES, WORDS
from tests.kills.maze import Maze

pytestmark = pytest.mark.timeout(180)  # a second or two a process, on a machine that has nothing else to do

KILLERS = (KILLS, CRASHES)


@pytest.mark.long
async def test_pages_that_kill_are_buried_after_three_lives_and_only_they(crawl):
    async with Maze(rooms=0, links=0) as site:
        told = ["-a", f"url={site.url}", "-s", "frontier.page_in_memory=10"]
        martyr = crawl("martyr", "martyr.py", site, *told, kind="Word")
        ends = []
        while not martyr.done and len(ends) <= 2 * LIVES:
            await martyr.begin()
            ends.append(await martyr.end())
        found = martyr.harvest
    print(*martyr.story, sep="\n")
    *deaths, last = ends
    assert last == 0
    assert set(deaths) == {-signal.SIGKILL, -signal.SIGSEGV}
    assert len(deaths) in (2 * LIVES - 1, 2 * LIVES)  # one is often out when the other strikes
    assert set(found["dead letters"]) == {(f"/note/{number}", KILLED, None, 1) for number in KILLERS}
    assert found["counters"]["done"] == 2 * (NOTES - len(KILLERS))
    words = [json.loads(line) for line in found["items.jsonl"].elements()]
    innocent = [number for number in range(NOTES) if number not in KILLERS]
    assert sorted((word["number"], word["nth"]) for word in words) == [
        (number, nth) for number in innocent for nth in range(WORDS + 1)
    ]
    for feed in martyr.feeds:
        assert found[feed.name].total() == len(words) + (feed.suffix == ".csv")


@pytest.mark.long
async def test_a_page_that_waits_on_the_wire_at_three_deaths_is_no_killer(crawl):
    async with Maze(rooms=0, links=0) as site:
        told = ["-a", f"url={site.url}", "-a", "things=10"]
        patient = crawl("patient", "hoarder.py", site, *told, kind="Thing")
        for _ in range(LIVES):
            site.hold("/note/last")
            await patient.begin()
            await patient.reach(site.until(lambda: site.held))
            patient.process.kill()
            assert await patient.end() == -signal.SIGKILL
            site.release()
            await site.until(lambda: not site.held)
        await patient.begin()
        assert await patient.end() == 0
    assert list(Archive(patient.run.database).dead_letters()) == []
