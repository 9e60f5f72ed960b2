"""The durable frontier: what was committed is there after any end, what was not is as if it had never been."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scraper.errors import RunError, StorageError
from scraper.frontiers import checkpoints
from scraper.frontiers.sqlite import SqliteFrontier
from scraper.item import Record
from scraper.protocols import Batch, Deferred, Lease, Saved, Seeds
from tests.frontiers.fakes import Crawl, Time, child, children, item, name_of, names, page

HOUR = 3600.0


def crashed(path: Path, *, log_bytes: int | None = None) -> Path:
    """The files as a kill at this moment leaves them; with `log_bytes`, as a power cut may."""
    copy = path.with_name("crashed.db")
    log = copy.with_name(copy.name + "-wal")
    shutil.copyfile(path, copy)
    shutil.copyfile(path.with_name(path.name + "-wal"), log)
    if log_bytes is not None:
        with log.open("r+b") as file:
            file.truncate(log_bytes)
    return copy


def log_size(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "frontier.db"


# ── a second life ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("end", ["closed", "crashed"])
async def test_pages_that_were_out_come_back(opened, path, end):
    async with opened() as crawl:
        await crawl.seed("done", "out", "waiting")
        done, _ = await crawl.lease(2)
        await crawl.commit(page(done))
        crashed(path)
    async with opened(path if end == "closed" else path.with_name("crashed.db")) as crawl:
        assert (crawl.frontier.counts().queued, crawl.frontier.counts().leased) == (2, 0)
        assert await crawl.crawl_to_the_end() == ["out", "waiting"]
        assert (await crawl.look()).finished


async def test_the_order_and_the_attempts_are_as_before(opened):
    async with opened() as crawl:
        await crawl.seed(child("low", priority=-1), "again", "b", child("high", priority=1))
        high, again = await crawl.lease(2)
        await crawl.commit(page(again, Deferred(crawl.time() + 1, "why")))
        await crawl.frontier.give_back([high])
        crawl.time.at += 1
    async with opened() as crawl:
        leases = await crawl.lease()
        assert names(leases) == ["high", "again", "b", "low"]
        assert [lease.request.attempt for lease in leases] == [1, 2, 1, 1]


async def test_a_long_queue_of_many_hosts_comes_back_whole(opened):
    async with opened() as crawl:
        for host in range(30):
            await crawl.seed(*(f"{host}-{n}" for n in range(20)), host=f"h{host}")
        await crawl.lease(77)
    async with opened(window=40) as crawl:
        assert len(set(await crawl.crawl_to_the_end(at_once=50))) == 600


async def test_what_waits_for_its_time_waits_on(opened):
    async with opened() as crawl:
        await crawl.seed(child("later", not_before=crawl.time() + HOUR), "now")
        await crawl.commit(page(await crawl.one(), Deferred(crawl.time() + 60, "why")))
    async with opened() as crawl:
        assert crawl.frontier.counts().delayed == 2
        found = await crawl.look()
        assert (found.leases, found.next_due) == ([], crawl.time() + 60)
        crawl.time.at += HOUR
        assert sorted(await crawl.names()) == ["later", "now"]


async def test_duplicates_of_an_earlier_life_are_recognised(opened):
    async with opened() as crawl:
        await crawl.seed(*range(100))
    async with opened() as crawl:
        await crawl.seed(*range(90, 110))
        assert (crawl.queued, crawl.duplicates) == (10, 10)


async def test_items_are_numbered_on(opened):
    async with opened() as crawl:
        await crawl.seed("a", "b")
        await crawl.commit(page(await crawl.one(), items=[item(1), item(2)]))
    async with opened() as crawl:
        committed = await crawl.commit(page(await crawl.one(), items=[item(3)]))
        assert committed.items == [(3, item(3))]


async def test_a_new_run_has_nothing_saved(opened):
    async with opened() as crawl:
        assert await crawl.frontier.saved() == Saved()


async def test_what_the_parts_remember_is_saved_key_by_key(opened):
    async with opened() as crawl:
        await crawl.commit(changes={"cookies": {"a": {"x": "1"}, "b": [2]}, "hosts": {"h": None}})
        await crawl.commit(changes={"cookies": {"a": {"x": "3"}, "b": None}, "state": {"state": {"page": 7}}})
    async with opened() as crawl:
        saved = await crawl.frontier.saved()
        assert saved.memory == {"cookies": {"a": {"x": "3"}}, "state": {"state": {"page": 7}}}


async def test_marks_counters_and_the_end_of_the_seeds_are_saved(opened):
    async with opened() as crawl:
        await crawl.commit(marks={"a.jsonl": {"seq": 1, "sink": 10}, "b.csv": {"seq": 1, "sink": [2]}})
        await crawl.commit(seeds=children("aab"), counters={"requested": 3})
        assert not (await crawl.frontier.saved()).seeds_ended
    async with opened() as crawl:
        await crawl.commit(counters={"requested": 1}, marks={"a.jsonl": {"seq": 5, "sink": 50}})
        await crawl.frontier.commit(Batch(seeds=Seeds(ended=True)))
        await crawl.commit()
    async with opened() as crawl:
        saved = await crawl.frontier.saved()
        assert saved.marks == {"a.jsonl": {"seq": 5, "sink": 50}, "b.csv": {"seq": 1, "sink": [2]}}
        assert saved.counters == {"requested": 4, "queued": 2, "dropped/duplicate": 1}
        assert saved.seeds_ended


# ── pages that may have killed the process ───────────────────────────────────────────────────────────────


async def begin(crawl: Crawl) -> None:
    await crawl.frontier.began(await crawl.one())


async def lives(opened, path: Path, count: int, lease=begin) -> Path:
    """So many processes that each die with a page out; returns what they leave."""
    for _ in range(count):
        async with opened(path) as crawl:
            await lease(crawl)
            copy = crashed(path)
        copy.replace(path)
        copy.with_name(copy.name + "-wal").replace(path.with_name(path.name + "-wal"))
    return path


async def test_after_a_crash_what_was_out_runs_alone_and_first(opened):
    async with opened() as crawl:
        await crawl.seed(*range(9))
        await crawl.seed("of another host", host="b")
        assert await crawl.names(3) == ["0", "of another host", "1"]
    async with opened() as crawl:
        alone = []
        for _ in range(3):
            lease = await crawl.one()
            alone.append(name_of(lease))
            assert (await crawl.look()).leases == []
            await crawl.commit(page(lease))
        assert sorted(alone) == ["0", "1", "of another host"]
        assert await crawl.names() == [str(n) for n in range(2, 9)]


async def test_what_was_given_back_is_no_suspect(opened):
    async with opened() as crawl:
        await crawl.seed(*range(5))
        await crawl.frontier.give_back(await crawl.lease(4))
    async with opened() as crawl:
        assert await crawl.names() == [str(n) for n in range(5)]


@pytest.mark.parametrize("what", ["deferred", "given back"])
async def test_a_suspect_that_comes_back_has_its_place_among_the_others(opened, what):
    async with opened() as crawl:
        await crawl.seed(*range(5))
        await crawl.one()
    async with opened() as crawl:
        suspect = await crawl.one()
        if what == "deferred":
            await crawl.commit(page(suspect, Deferred(0, "why")))
        else:
            await crawl.frontier.give_back([suspect])
        assert await crawl.crawl_to_the_end() == [str(n) for n in range(5)]
        assert (await crawl.look()).finished


async def test_a_suspect_that_came_back_is_none_any_more(opened):
    async with opened() as crawl:
        await crawl.seed(*range(5))
        await crawl.one()
    async with opened() as crawl:
        await crawl.frontier.give_back([await crawl.one()])
        assert await crawl.names(1) == ["0"]
        assert await crawl.names() == ["1", "2", "3", "4"]


async def test_a_page_that_was_out_at_three_deaths_is_buried(opened, path):
    async with opened() as crawl:
        await crawl.seed("killer", "innocent")
    await lives(opened, path, 3)
    async with opened() as crawl:
        assert await crawl.names() == ["innocent"]
        counters = (await crawl.frontier.saved()).counters
        assert (counters["failed"], counters["failed/killed the process"]) == (1, 1)


async def test_a_page_that_was_out_at_two_deaths_is_given_another_chance(opened, path):
    async with opened() as crawl:
        await crawl.seed("unlucky", "innocent")
    await lives(opened, path, 2)
    async with opened() as crawl:
        assert await crawl.crawl_to_the_end() == ["unlucky", "innocent"]


async def test_what_only_waited_beside_a_killer_is_never_buried(opened, path):
    async with opened() as crawl:
        await crawl.seed("killer", "near", "waiting")

    async def two(crawl: Crawl) -> None:
        for lease in await crawl.lease(2):
            await crawl.frontier.began(lease)

    await lives(opened, path, 3, two)
    async with opened() as crawl:
        assert await crawl.crawl_to_the_end() == ["near", "waiting"]
        assert (await crawl.look()).finished


async def test_a_page_that_only_waits_for_its_site_is_out_at_many_deaths(opened, path):
    async with opened() as crawl:
        await crawl.seed("slow")
    await lives(opened, path, 9, Crawl.one)
    async with opened() as crawl:
        assert await crawl.names() == ["slow"]


async def test_a_page_that_dies_on_its_way_again_and_again_is_buried_in_the_end(opened, path):
    async with opened() as crawl:
        await crawl.seed("killer of the client's library")
    await lives(opened, path, 10, Crawl.one)
    async with opened() as crawl:
        assert (await crawl.look()).finished


async def test_the_last_page_of_a_run_may_be_buried_too(opened, path):
    async with opened() as crawl:
        await crawl.seed("killer")
    await lives(opened, path, 3)
    async with opened() as crawl:
        assert (await crawl.look()).finished
        assert crawl.frontier.counts().queued == 0


# ── stages ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_stage_whose_page_was_out_is_dropped(opened):
    async with opened() as crawl:
        await crawl.seed("page")
        await crawl.frontier.stage(await crawl.one(), [*children(range(3_000)), item(1)])
    async with opened() as crawl:
        again = await crawl.one()
        assert (await crawl.commit(page(again))).items == []
        assert (await crawl.look()).finished


async def test_a_page_that_stages_again_in_its_next_life_brings_each_output_once(opened):
    async with opened() as crawl:
        await crawl.seed("page")
        await crawl.frontier.stage(await crawl.one(), [child("old"), child("older"), item(1)])
    async with opened() as crawl:
        again = await crawl.one()
        await crawl.frontier.stage(again, [child("new"), item(2)])
        assert (await crawl.commit(page(again, staged=True))).items == [(1, item(2))]
        assert await crawl.crawl_to_the_end() == ["new"]


async def test_a_live_stage_is_drained_on(opened, path):
    async with opened() as crawl:
        await crawl.seed("page")
        lease = await crawl.one()
        await crawl.frontier.stage(lease, [*children(range(4_500)), item(1)])
        await crawl.commit(page(lease, staged=True))
        left = crawl.frontier.counts()
        assert 0 < left.staged < 4_501
        copy = crashed(path)
    async with opened(copy) as crawl:
        assert crawl.frontier.counts() == left
        await crawl.drain()
        assert await crawl.names(9_999) == [str(n) for n in range(4_500)]
        assert await crawl.frontier.items(0, 9) == [(1, item(1))]


# ── items ────────────────────────────────────────────────────────────────────────────────────────────────


async def committed_items(crawl: Crawl, count: int) -> None:
    await crawl.seed("page")
    await crawl.commit(page(await crawl.one(), items=[item(n) for n in range(1, count + 1)]))


async def test_items_are_read_from_where_a_feed_ends(opened):
    async with opened() as crawl:
        await committed_items(crawl, 10)
        assert await crawl.frontier.items(0, 3) == [(n, item(n)) for n in (1, 2, 3)]
        assert await crawl.frontier.items(8, 100) == [(9, item(9)), (10, item(10))]
        assert await crawl.frontier.items(10, 100) == []


async def test_items_stay_where_they_are_kept(opened):
    async with opened() as crawl:
        await committed_items(crawl, 3)
        await crawl.commit(marks={"feed": {"seq": 3, "sink": None}})
        assert len(await crawl.frontier.items(0, 100)) == 3


async def test_items_are_forgotten_once_every_feed_has_them(opened):
    async with opened(keep_items=False) as crawl:
        await committed_items(crawl, 5)
        await crawl.commit(marks={"a": {"seq": 4, "sink": None}, "b": {"seq": 2, "sink": None}})
        assert [seq for seq, _ in await crawl.frontier.items(0, 100)] == [3, 4, 5]


async def test_a_mark_of_one_feed_forgets_nothing_that_another_lacks(opened):
    async with opened(keep_items=False) as crawl:
        await committed_items(crawl, 5)
        await crawl.commit(marks={"a": {"seq": 1, "sink": None}, "b": {"seq": 1, "sink": None}})
        await crawl.commit(marks={"a": {"seq": 5, "sink": None}})
        assert [seq for seq, _ in await crawl.frontier.items(0, 100)] == [2, 3, 4, 5]


async def test_numbers_of_forgotten_items_are_not_given_again(opened):
    async with opened(keep_items=False) as crawl:
        await committed_items(crawl, 2)
        await crawl.commit(marks={"a": {"seq": 2, "sink": None}})
    async with opened(keep_items=False) as crawl:
        await crawl.seed("next")
        committed = await crawl.commit(page(await crawl.one(), items=[item(3)]))
        assert committed.items == [(3, item(3))]


# ── whole commits, never halves ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tenth", range(11))
async def test_a_power_cut_takes_back_whole_commits(opened, path, tenth):
    async with opened() as crawl:
        await crawl.seed(*(f"p{n}" for n in range(20)))
        start = log_size(path)
        for n, lease in enumerate(await crawl.lease()):
            await crawl.commit(page(lease, items=[item(n)], children=[child(f"c{n}")]))
        copy = crashed(path, log_bytes=start + (log_size(path) - start) * tenth // 10)
    async with opened(copy) as crawl:
        kept = len(await crawl.frontier.items(0, 100))
        assert crawl.frontier.counts().queued == 20
        left = [f"p{n}" for n in range(kept, 20)] + [f"c{n}" for n in range(kept)]
        assert await crawl.crawl_to_the_end() == left


class Unsteady(Time):
    """A clock that may break, as anything may, in the middle of a commit."""

    broken = False

    def __call__(self) -> float:
        if self.broken:
            raise RuntimeError("no time")
        return self.at


async def eventful(crawl: Crawl) -> Batch:
    """A batch in which everything happens that a commit does."""
    await crawl.seed(
        "done", "deferred", "staged", "also waiting", child("later", not_before=crawl.time() + 9)
    )
    done, deferred, staged = await crawl.lease(3)
    await crawl.frontier.stage(staged, [*children(["s1", "s2"]), item(3)])
    return Batch(
        [
            page(done, items=[item(1)], children=[*children("xy"), child("z", not_before=crawl.time() + 9)]),
            page(deferred, Deferred(crawl.time() + 9, "why")),
            page(staged, staged=True),
        ],
        Seeds(children(["s1", "another"]), ended=True),
        marks={"feed": {"seq": 0, "sink": None}},
        changes={"cookies": {"a": 1}},
        counters={"requested": 7},
    )


async def remembered(crawl: Crawl) -> tuple:
    found = await crawl.look(0)
    return (
        crawl.frontier.counts(),
        await crawl.frontier.saved(),
        found.finished,
        await crawl.frontier.items(0, 9),
    )


async def check_repeated(crawl: Crawl, batch: Batch) -> None:
    committed = await crawl.frontier.commit(batch)
    assert (committed.refused, committed.items) == ([], [(1, item(1)), (2, item(3))])
    assert dict(committed.counters) == {"requested": 7, "queued": 6, "dropped/duplicate": 1}
    crawl.time.at += 9
    assert sorted(await crawl.crawl_to_the_end()) == sorted(
        ["also waiting", "later", "x", "y", "z", "deferred", "s1", "s2", "another"]
    )
    assert (await crawl.look()).finished


@pytest.mark.parametrize("where", ["an item", "a mark", "the clock"])
async def test_a_commit_that_failed_changed_nothing_and_can_be_repeated(opened, where):
    time = Unsteady()
    async with opened(now=time) as crawl:
        crawl.time = time
        good = await eventful(crawl)
        before = await remembered(crawl)
        bad = good
        if where == "an item":
            bad = Batch([page(p.lease, p.outcome, staged=p.staged) for p in good.pages], good.seeds)
            bad.pages[0].items = [item(1), Record(b"2", "Book", object())]
        elif where == "a mark":
            bad = Batch(
                good.pages, good.seeds, {"feed": {"seq": 0, "sink": object()}}, good.changes, {"a": 1}
            )
        time.broken = where == "the clock"
        with pytest.raises((StorageError, TypeError, RuntimeError)):
            await crawl.frontier.commit(bad)
        time.broken = False
        assert await remembered(crawl) == before
        waiting = await crawl.lease()
        assert names(waiting) == ["also waiting"]
        await crawl.frontier.give_back(waiting)
        await check_repeated(crawl, good)


async def test_a_stage_outlives_a_commit_that_failed_to_drop_it(opened):
    async with opened() as crawl:
        await crawl.seed("page")
        lease = await crawl.one()
        await crawl.frontier.stage(lease, [child("x"), item(1)])
        bad = Batch(
            [page(lease, Deferred(0, "why"), staged=True)], marks={"feed": {"seq": 0, "sink": object()}}
        )
        with pytest.raises(TypeError):
            await crawl.frontier.commit(bad)
        committed = await crawl.commit(page(lease, staged=True))
        assert committed.items == [(1, item(1))]
        assert await crawl.crawl_to_the_end() == ["x"]


# ── a disk that fails ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pages_of_the_disk(monkeypatch):
    """Sets how many pages the databases opened in this test may have."""
    bases: list[sqlite3.Connection] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: bases.append(connect(*a, **k)) or bases[-1])

    def limit(pages: int) -> None:
        for base in bases:
            base.execute(f"PRAGMA max_page_count = {pages}")

    return limit


async def test_a_full_disk_is_said_in_words_and_the_commit_can_be_repeated(opened, path, pages_of_the_disk):
    async with opened() as crawl:
        good = await eventful(crawl)
        before = await remembered(crawl)
        pages_of_the_disk(1)
        large = [Record(bytes(16), "Book", b'"' + b"x" * 100_000 + b'"')]
        with pytest.raises(StorageError, match=r"frontier\.db.* full.* resume"):
            await crawl.frontier.commit(Batch([page(good.pages[0].lease, items=large)], good.seeds))
        pages_of_the_disk(1_000_000)
        assert await remembered(crawl) == before
        await check_repeated(crawl, good)


@contextmanager
def no_room_in_the_log(path: Path) -> Iterator[None]:
    """The log can't grow by more than a page: what does not fit fails when it is committed."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log_size(path) + 2_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_log_that_can_not_grow_is_said_in_words_and_the_commit_can_be_repeated(opened, path):
    async with opened() as crawl:
        good = await eventful(crawl)
        before = await remembered(crawl)
        with no_room_in_the_log(path), pytest.raises(StorageError, match=r"frontier\.db"):
            await crawl.frontier.commit(good)
        assert await remembered(crawl) == before
        await check_repeated(crawl, good)


async def check_staged_again(crawl: Crawl, lease: Lease) -> None:
    await crawl.frontier.stage(lease, children(["second"]))
    await crawl.commit(page(lease, staged=True))
    await crawl.drain()
    assert await crawl.crawl_to_the_end() == ["first", "second"]
    assert (await crawl.look()).finished


async def test_a_stage_that_did_not_fit_on_the_disk_can_be_repeated(opened, pages_of_the_disk):
    async with opened() as crawl:
        await crawl.seed("page")
        lease = await crawl.one()
        await crawl.frontier.stage(lease, [child("first")])
        pages_of_the_disk(1)
        with pytest.raises(StorageError):
            await crawl.frontier.stage(lease, children(range(3_000)))
        pages_of_the_disk(1_000_000)
        await check_staged_again(crawl, lease)


async def test_a_stage_that_did_not_fit_in_the_log_can_be_repeated(opened, path):
    async with opened() as crawl:
        await crawl.seed("page")
        lease = await crawl.one()
        await crawl.frontier.stage(lease, [child("first")])
        with no_room_in_the_log(path), pytest.raises(StorageError):
            await crawl.frontier.stage(lease, children(range(3_000)))
        await asyncio.wait_for(check_staged_again(crawl, lease), 5)


@pytest.fixture
def every_checkpoint_fails(monkeypatch):
    """Call it: from then on a checkpoint begins after each commit, and fails."""

    def fails(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    def begin() -> None:
        monkeypatch.setattr(checkpoints, "EVERY", 0.0)
        monkeypatch.setattr(sqlite3, "connect", fails)

    return begin


async def test_a_checkpoint_that_failed_is_said_in_words_by_a_commit_that_did_nothing(
    opened, every_checkpoint_fails
):
    committed = []

    async def go_on(crawl: Crawl) -> None:
        for n in range(1_000):
            await crawl.seed(n)
            committed.append(n)
            await asyncio.sleep(0.001)  # the checkpoint is in a thread

    async with opened() as crawl:
        every_checkpoint_fails()
        with pytest.raises(StorageError, match=r"frontier\.db.* disk I/O error"):
            await go_on(crawl)
        assert crawl.frontier.counts().queued == len(committed)


async def test_a_checkpoint_that_failed_last_is_said_in_words_when_the_frontier_closes(
    path, clock, time, every_checkpoint_fails
):
    frontier = await SqliteFrontier(path, clock, now=time).__aenter__()
    every_checkpoint_fails()
    await Crawl(frontier, clock, time).seed("a")
    with pytest.raises(StorageError, match=r"frontier\.db.* disk I/O error"):
        await frontier.close()


# ── files that are no run's database ─────────────────────────────────────────────────────────────────────


async def refusal(path: Path, clock) -> str:
    with pytest.raises((StorageError, RunError)) as raised:
        await SqliteFrontier(path, clock).__aenter__()
    return str(raised.value)


async def test_a_folder_in_the_databases_place_is_said_in_words(path, clock):
    path.mkdir()
    assert str(path) in await refusal(path, clock)


async def test_a_file_that_is_no_database_is_said_in_words(path, clock):
    path.write_bytes(b"not a database at all" * 1000)
    said = await refusal(path, clock)
    assert "scrape runs check" in said
    assert "not a database" in said
    assert path.read_bytes() == b"not a database at all" * 1000


async def test_a_missing_folder_is_said_in_words(path, clock):
    assert "nowhere" in await refusal(path.parent / "nowhere" / path.name, clock)


async def test_a_database_of_another_version_is_said_in_words(opened, path, clock):
    async with opened() as crawl:
        await crawl.seed("a")
    base = sqlite3.connect(path)
    base.execute("PRAGMA user_version = 99")
    base.close()
    assert "another version" in await refusal(path, clock)


async def test_a_damaged_database_is_said_in_words(opened, path):
    async with opened() as crawl:
        await crawl.seed(*range(2_000))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StorageError, match="malformed"):
        async with opened() as crawl:
            await crawl.crawl_to_the_end()
