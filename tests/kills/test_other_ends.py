"""Whatever else happens to the process: stopped and continued, killed while it shuts down or catches up."""

import asyncio
import signal
from pathlib import Path

import pytest

from scraper.frontiers.archive import Archive
from tests.kills import moments
from tests.kills.harvest import READERS, check_same
from tests.kills.lives import until
from tests.kills.maze import Maze
from tests.kills.sizes import CALM, SMALL

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(180),
]  # a second or two a process, on a machine that has nothing else to do

ON_THE_WIRE = 8  # requests to one host
SILENCE = 0.4  # seconds after which a request without an answer is given up
STOPS = 4
THINGS = 12_000


async def test_a_process_that_is_stopped_and_continued_times_out_and_loses_nothing(exploring, chance):
    async with exploring(CALM) as (crawl, known):  # what fails anyway would fail for another reason
        site = crawl.site
        await crawl.begin("-s", f"timeouts.connect={SILENCE / 2}", "-s", f"timeouts.read={SILENCE / 2}")
        for targets in sorted(chance.sample(range(100, 300), STOPS)):
            await crawl.reach(moments.asked(targets, chance.uniform(0, 0.01))(crawl))
            site.hold()
            await crawl.reach(site.until(lambda: site.held >= ON_THE_WIRE))
            crawl.process.send_signal(signal.SIGSTOP)
            before = site.requests
            await asyncio.sleep(SILENCE)
            crawl.process.send_signal(signal.SIGCONT)
            await crawl.reach(site.until(lambda before=before: site.requests > before))
            site.release()
        assert await crawl.end() == 0
        found = crawl.harvest
    assert Archive(crawl.run.database).counters()["retried/read timeout"] > 0
    check_same(known.harvest, found)


async def test_a_process_that_is_killed_while_it_shuts_down_loses_nothing(exploring, chance):
    async with exploring(SMALL) as (crawl, known):
        site = crawl.site
        for released, targets in enumerate(sorted(chance.sample(range(100, 400), 2))):
            await crawl.begin()
            await crawl.reach(moments.asked(targets, 0)(crawl))
            site.hold()
            await crawl.reach(site.until(lambda: site.held))
            crawl.process.terminate()
            await crawl.reach(until(lambda: "stopping" in crawl.said))
            if released:
                site.release()
            await asyncio.sleep(chance.uniform(0, 0.03))
            await crawl.kill()
        check_same(known.harvest, await crawl.finished())
    assert crawl.deaths


async def test_a_resume_that_is_killed_while_its_feeds_catch_up_is_as_good_as_none(crawl, chance):
    async with Maze(rooms=0, links=0) as site:
        told = ["-a", f"url={site.url}", "-a", f"things={THINGS}", "-s", "feeds.sync=1h"]
        hoard = crawl("hoard", "hoarder.py", site, *told, kind="Thing")
        all_but_the_last = until(lambda: hoard.evidence.rows("SELECT count(*) FROM items") == [(THINGS - 1,)])
        site.hold("/note/last")
        await hoard.killed(all_but_the_last)
        for feed in chance.sample(hoard.feeds, 2):
            site.hold("/note/last")
            await hoard.killed(catching_up(feed, site, chance.uniform(0, 0.02)))
            print(*(f"{feed.name}: {feed.stat().st_size} bytes" for feed in hoard.feeds))
        await hoard.finished()
    print(*hoard.story, sep="\n")
    for feed in hoard.feeds:
        found = READERS[feed.suffix](feed)
        assert (len(found), found.total()) == (THINGS + (feed.suffix == ".csv"),) * 2


async def catching_up(feed: Path, site: Maze, later: float) -> None:
    """A resume has begun to write the feed, or had nothing to write and has gone on to the last page."""
    before = written(feed)
    await until(lambda: written(feed) > before or site.held)
    await asyncio.sleep(later)


def written(feed: Path) -> int:
    """When the file was changed last, or the log that a database has beside it; in nanoseconds."""
    log = feed.with_name(feed.name + "-wal")
    try:
        return max(feed.stat().st_mtime_ns, log.stat().st_mtime_ns)
    except FileNotFoundError:  # a log comes and goes
        return feed.stat().st_mtime_ns
