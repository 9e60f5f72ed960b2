"""One contract, every store: what is queued is leased exactly once, in order, until its commit; nothing is lost."""

import random
from collections import Counter
from itertools import pairwise

import pytest

from scraper.protocols import Batch, Buried, Deferred, Limits, Ongoing, Refused, Seeds
from tests.frontiers.fakes import Crawl, child, children, item, lane, name_of, names, page

HOUR = 3600.0

# ── in and out ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_frontier_is_finished(crawl: Crawl):
    found = await crawl.look()
    assert (found.leases, found.next_due, found.finished) == ([], None, True)


async def test_a_seed_is_queued_then_leased(crawl: Crawl):
    await crawl.seed("start")
    assert crawl.frontier.counts().queued == 1
    assert await crawl.names() == ["start"]
    assert (crawl.frontier.counts().queued, crawl.frontier.counts().leased) == (0, 1)


async def test_a_lease_carries_the_request_its_identity_and_its_lane(crawl: Crawl):
    await crawl.seed(start := child("start", host="b", priority=3))
    lease = await crawl.one()
    request = lease.request
    assert (request.url, request.callback, request.priority) == ("http://b.example/start", "parse", 3)
    assert (request.id, request.attempt, lease.lane) == (start.id, 1, "b.example:80")


async def test_a_leased_request_is_never_leased_again(crawl: Crawl):
    await crawl.seed("a", "b")
    assert await crawl.names(1) == ["a"]
    assert await crawl.names() == ["b"]
    assert await crawl.names() == []


async def test_no_more_are_leased_than_asked_for(crawl: Crawl):
    await crawl.seed(*range(20))
    assert len(await crawl.lease(3)) == 3


async def test_children_are_leased_once_their_page_is_committed(crawl: Crawl):
    await crawl.seed("parent")
    parent = await crawl.one()
    await crawl.commit(page(parent, children=children(["x", "y"])))
    assert await crawl.names() == ["x", "y"]


async def test_items_are_numbered_in_the_order_of_the_commits(crawl: Crawl):
    await crawl.seed("a", "b", "c")
    a, b, c = await crawl.lease()
    first = await crawl.commit(page(a, items=[item(1), item(2)]), page(b, items=[item(3)]))
    second = await crawl.commit(page(c, items=[item(4)]))
    assert [*first.items, *second.items] == [(n, item(n)) for n in (1, 2, 3, 4)]


async def test_the_bytes_for_the_feeds_come_back_beside_their_items(crawl: Crawl):
    await crawl.seed("a", "b")
    a, b = await crawl.lease()
    with_lines, without = page(a, items=[item(1)]), page(b, items=[item(2)])
    with_lines.lines = [(b"csv", b"json")]
    assert (await crawl.commit(with_lines, without)).lines == [(b"csv", b"json"), None]


async def test_the_increments_of_a_batch_come_back_with_what_only_the_frontier_knows(crawl: Crawl):
    committed = await crawl.commit(seeds=children("aab"), counters={"requested": 3})
    assert +Counter(committed.counters) == {"requested": 3, "queued": 2, "dropped/duplicate": 1}


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("outcome", [None, Buried("status 404", 404), Refused("robots")])
async def test_a_page_that_ended_is_gone_and_what_it_brought_is_kept(crawl: Crawl, outcome):
    await crawl.seed("page")
    committed = await crawl.commit(
        page(await crawl.one(), outcome, children=[child("of its errback")], items=[item(1)])
    )
    assert committed.items == [(1, item(1))]
    assert await crawl.crawl_to_the_end() == ["of its errback"]
    assert (await crawl.look()).finished


async def test_what_a_part_of_a_page_brings_is_kept_while_the_page_goes_on(crawl: Crawl):
    await crawl.seed("socket")
    socket = await crawl.one()
    for n in range(3):
        part = page(socket, Ongoing(), children=children([f"page {n}"]), items=[item(n)])
        committed = await crawl.commit(part)
        assert (committed.refused, [record for _, record in committed.items]) == ([], [item(n)])
    assert crawl.frontier.counts().leased == 1
    assert sorted(await crawl.names()) == ["page 0", "page 1", "page 2"]
    await crawl.commit(page(socket, Ongoing(), items=[item(3)]), page(socket))
    assert crawl.frontier.counts().leased == 3


async def test_a_page_that_is_given_back_in_the_middle_keeps_its_parts(crawl: Crawl):
    await crawl.seed("socket")
    socket = await crawl.one()
    await crawl.commit(page(socket, Ongoing(), items=[item(1)]))
    await crawl.frontier.give_back([socket])
    again = await crawl.one()
    assert name_of(again) == "socket"
    late = page(socket, Ongoing(), items=[item(2)])
    assert (await crawl.commit(late)).refused == [late]


async def test_a_deferred_page_comes_back_when_its_time_has_come(crawl: Crawl):
    await crawl.seed("page")
    await crawl.commit(page(await crawl.one(), Deferred(crawl.time() + 60, "status 503")))
    found = await crawl.look()
    assert (found.leases, found.next_due, found.finished) == ([], crawl.time() + 60, False)
    crawl.time.at += 60
    assert await crawl.names() == ["page"]


@pytest.mark.parametrize(("counted", "attempt"), [(True, 2), (False, 1)])
async def test_a_deferral_uses_up_an_attempt_only_where_it_is_counted(crawl: Crawl, counted, attempt):
    await crawl.seed("page")
    await crawl.commit(page(await crawl.one(), Deferred(0, "why", counted)))
    assert (await crawl.one()).request.attempt == attempt


async def test_a_deferred_page_keeps_nothing_of_what_it_brought(crawl: Crawl):
    await crawl.seed("page")
    committed = await crawl.commit(
        page(await crawl.one(), Deferred(0, "why"), children=[child("x")], items=[item(1)])
    )
    assert committed.items == []
    assert await crawl.crawl_to_the_end() == ["page"]


async def test_a_page_may_be_deferred_many_times_and_still_ends_once(crawl: Crawl):
    await crawl.seed("page")
    for attempt in range(1, 6):
        lease = await crawl.one()
        assert lease.request.attempt == attempt
        await crawl.commit(page(lease, Deferred(crawl.time() + 1, "why")))
        crawl.time.at += 1
    assert await crawl.crawl_to_the_end() == ["page"]
    assert crawl.queued == 1


# ── duplicates ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_that_yields_a_request_twice_queues_it_once(crawl: Crawl):
    await crawl.seed("page")
    await crawl.commit(page(await crawl.one(), children=children("xxy")))
    assert await crawl.names() == ["x", "y"]
    assert (crawl.queued, crawl.duplicates) == (3, 1)


async def test_two_pages_of_one_commit_queue_their_common_child_once(crawl: Crawl):
    await crawl.seed("a", "b")
    a, b = await crawl.lease()
    await crawl.commit(page(a, children=children("xy")), page(b, children=children("yz")))
    assert await crawl.names() == ["x", "y", "z"]
    assert (crawl.queued, crawl.duplicates) == (5, 1)


async def test_a_seed_and_a_child_of_one_commit_are_queued_once(crawl: Crawl):
    await crawl.seed("a")
    await crawl.commit(page(await crawl.one(), children=[child("x")]), seeds=[child("x")])
    assert await crawl.names() == ["x"]
    assert (crawl.queued, crawl.duplicates) == (2, 1)


async def test_what_was_queued_long_ago_is_a_duplicate_whatever_became_of_it(crawl: Crawl):
    await crawl.seed("done", "buried", "leased", "waiting", "deferred")
    done, buried, leased, _, deferred = await crawl.lease()
    await crawl.frontier.give_back([])
    later = Deferred(crawl.time() + HOUR, "why")
    await crawl.commit(page(done), page(buried, Buried("why")), page(deferred, later))
    await crawl.commit(
        page(leased, children=children(["done", "buried", "leased", "waiting", "deferred", "new"]))
    )
    assert await crawl.names() == ["new"]
    assert (crawl.queued, crawl.duplicates) == (6, 5)


async def test_a_rival_of_a_deferred_page_brings_the_child_that_both_claimed(crawl: Crawl):
    await crawl.seed("deferred", "rival")
    deferred, rival = await crawl.lease()
    await crawl.commit(
        page(deferred, Deferred(crawl.time() + HOUR, "why"), children=[child("x")]),
        page(rival, children=[child("x")]),
    )
    assert await crawl.names() == ["x"]
    assert crawl.duplicates == 0


async def test_a_rival_of_a_refused_commit_brings_the_child_that_both_claimed(crawl: Crawl):
    await crawl.seed("a", "rival")
    a, rival = await crawl.lease()
    await crawl.commit(page(a))
    await crawl.commit(page(a, children=[child("x")]), page(rival, children=[child("x")]))
    assert await crawl.names() == ["x"]
    assert crawl.duplicates == 0


async def test_requests_that_are_not_filtered_have_identities_of_their_own(crawl: Crawl):
    await crawl.seed(child("x"), child("x", identity="its second"), child("x", identity="its third"))
    assert await crawl.names() == ["x", "x", "x"]


async def test_a_request_is_recognised_among_thousands(crawl: Crawl):
    await crawl.seed(*range(3000))
    await crawl.seed(*range(2900, 3100))
    assert (crawl.queued, crawl.duplicates) == (3100, 100)


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_within_a_host_the_higher_priority_goes_first_and_ties_by_age(crawl: Crawl):
    await crawl.seed(
        child("low", priority=-1), "a", "b", child("high", priority=7), child("high2", priority=7)
    )
    assert await crawl.names() == ["high", "high2", "a", "b", "low"]


async def test_a_high_priority_that_arrives_late_overtakes_what_waits(crawl: Crawl):
    await crawl.seed(*range(30))
    assert await crawl.names(1) == ["0"]
    await crawl.seed(child("late", priority=1))
    assert await crawl.names(2) == ["late", "1"]


async def test_hosts_take_turns(crawl: Crawl):
    for host in "abc":
        await crawl.seed(*(f"{host}{n}" for n in (1, 2, 3)), host=host)
    assert await crawl.names() == ["a1", "b1", "c1", "a2", "b2", "c2", "a3", "b3", "c3"]


async def test_a_priority_counts_within_its_host_only(crawl: Crawl):
    await crawl.seed(child("a1"), child("b1", host="b", priority=9), child("b2", host="b", priority=9))
    assert await crawl.names() == ["a1", "b1", "b2"]


async def test_thousands_of_urls_of_one_host_starve_nobody(crawl: Crawl):
    await crawl.seed(*range(5_000), host="big")
    await crawl.seed("small", host="small")
    assert "small" in await crawl.names(2)


@pytest.mark.parametrize("seed", range(3))
async def test_the_order_holds_while_requests_of_every_priority_arrive(crawl: Crawl, seed):
    draw = random.Random(seed)
    waiting: dict[str, tuple[int, int]] = {}  # name → the order that it should have
    for n in range(400):
        if draw.random() < 0.6:
            priority = draw.randint(-2, 2)
            await crawl.seed(child(str(n), priority=priority))
            waiting[str(n)] = (-priority, n)
        elif waiting:
            lease = await crawl.one()
            assert name_of(lease) == min(waiting, key=waiting.__getitem__)
            del waiting[name_of(lease)]
            await crawl.commit(page(lease))


# ── exactly once ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(3))
async def test_every_request_is_leased_exactly_once_however_long_its_page_takes(crawl: Crawl, seed):
    draw = random.Random(seed)
    arriving = [child(str(n), host=draw.choice("ab"), priority=draw.randint(0, 9)) for n in range(500)]
    out, given = [], []
    for _ in range(500):  # turns: five times what it takes
        await crawl.seed(*arriving[:9])
        del arriving[:9]
        leases = await crawl.lease(draw.randint(1, 6))
        given += names(leases)
        out += leases
        draw.shuffle(out)
        ended, out = out[:4], out[4:]
        await crawl.commit(*map(page, ended))
    assert sorted(given, key=int) == [str(n) for n in range(500)]
    assert (await crawl.look()).finished


async def test_a_slow_page_is_not_leased_again_when_many_overtake_it(crawl: Crawl):
    await crawl.seed(*(f"low{n}" for n in range(4)))
    slow = await crawl.one()
    await crawl.seed(*(f"high{n}" for n in range(12)), priority=1)
    others = await crawl.crawl_to_the_end(at_once=1)
    assert len(others) == 15
    assert name_of(slow) not in others


@pytest.mark.parametrize("kept", range(1, 7))
async def test_whatever_is_given_back_is_leased_again(crawl: Crawl, kept):
    await crawl.seed(*range(10))
    leases = await crawl.lease(kept)
    await crawl.frontier.give_back(leases)
    assert await crawl.crawl_to_the_end() == [str(n) for n in range(10)]


@pytest.mark.parametrize("nth", range(6))
async def test_whatever_is_deferred_is_leased_again(crawl: Crawl, nth):
    await crawl.seed(*range(10))
    leases = await crawl.lease(nth + 1)
    await crawl.commit(*map(page, leases[:nth]), page(leases[nth], Deferred(0, "why")))
    assert sorted(await crawl.crawl_to_the_end()) == [str(n) for n in range(nth, 10)]


# ── whose turn ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_slow_host_starves_nobody(crawl: Crawl, limits):
    limits[lane("slow")] = Limits(8, 10.0)
    await crawl.seed(*(f"slow{n}" for n in range(50)), host="slow")
    await crawl.seed("b", host="b")
    await crawl.seed("c", host="c")
    found = await crawl.look()
    assert sorted(names(found.leases)) == ["b", "c", "slow0"]
    assert found.next_due == crawl.time() + 10


async def test_a_slow_host_gives_one_request_each_delay(crawl: Crawl, limits):
    limits[lane("a")] = Limits(8, 10.0)
    await crawl.seed("0", "1", "2")
    given = []
    for _ in range(3):
        given += await crawl.names()
        assert await crawl.names() == []
        crawl.time.at += 10
    assert given == ["0", "1", "2"]


async def test_a_host_with_enough_pages_out_waits_for_one_to_come_back(crawl: Crawl, limits):
    limits[lane("a")] = Limits(4, 0.0)
    await crawl.seed(*range(50))
    await crawl.seed("b", host="b")
    leases = await crawl.lease()
    of_a = [lease for lease in leases if lease.lane == lane("a")]
    assert 4 <= len(of_a) < 10
    assert len(leases) == len(of_a) + 1
    assert await crawl.names() == []
    await crawl.commit(page(of_a[0]))
    assert await crawl.names() == [str(len(of_a))]


async def test_a_parked_host_waits_and_the_others_go_on(crawl: Crawl):
    crawl.clock.park(lane("parked"), crawl.time() + 60)
    await crawl.seed("p", host="parked")
    await crawl.seed("b", host="b")
    found = await crawl.look()
    assert (names(found.leases), found.next_due, found.finished) == (["b"], crawl.time() + 60, False)
    crawl.time.at += 60
    assert await crawl.names() == ["p"]


async def test_a_host_that_is_parked_again_while_it_waits_waits_on(crawl: Crawl):
    await crawl.seed("a")
    crawl.clock.park(lane("a"), crawl.time() + 60)
    await crawl.look()
    crawl.clock.park(lane("a"), crawl.time() + 90)
    crawl.time.at += 60
    found = await crawl.look()
    assert (found.leases, found.next_due) == ([], crawl.time() + 30)


# ── later work ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_request_for_later_waits_for_its_time(crawl: Crawl):
    await crawl.seed(child("later", not_before=crawl.time() + HOUR), "now")
    counts = crawl.frontier.counts()
    assert (counts.queued, counts.delayed) == (2, 1)
    found = await crawl.look()
    assert (names(found.leases), found.next_due) == (["now"], crawl.time() + HOUR)
    crawl.time.at += HOUR
    assert await crawl.names() == ["later"]
    assert crawl.frontier.counts().delayed == 0


async def test_a_time_that_has_passed_is_now(crawl: Crawl):
    await crawl.seed(child("overdue", not_before=crawl.time() - HOUR))
    assert await crawl.names() == ["overdue"]


async def test_next_due_is_the_earliest_of_all_that_wait(crawl: Crawl):
    crawl.clock.park(lane("b"), crawl.time() + 20)
    await crawl.seed("b", host="b")
    await crawl.seed(child("a", not_before=crawl.time() + 30), child("c", not_before=crawl.time() + 10))
    dues = []
    while not (found := await crawl.look()).finished:
        await crawl.commit(*map(page, found.leases))
        if found.next_due is not None:
            dues.append(found.next_due - crawl.time())
            crawl.time.at = found.next_due
    assert dues == [10, 10, 10]


async def test_of_two_whose_time_has_come_the_higher_priority_goes_first(crawl: Crawl):
    soon = crawl.time() + 1
    await crawl.seed(child("low", not_before=soon), child("high", not_before=soon + 1, priority=1))
    crawl.time.at += HOUR
    assert await crawl.names(1) == ["high"]


async def test_thousands_that_become_due_at_once_all_come(crawl: Crawl):
    await crawl.seed(*range(1_500), not_before=crawl.time() + HOUR)
    crawl.time.at += HOUR
    assert sorted(await crawl.crawl_to_the_end(at_once=100), key=int) == [str(n) for n in range(1_500)]


# ── finished ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_finished_while_a_page_is_out(crawl: Crawl):
    await crawl.seed("a")
    lease = await crawl.one()
    found = await crawl.look()
    assert (found.next_due, found.finished) == (None, False)
    await crawl.commit(page(lease))
    assert (await crawl.look()).finished


async def test_what_arrives_after_the_end_is_work_again(crawl: Crawl):
    await crawl.seed("a")
    assert await crawl.crawl_to_the_end() == ["a"]
    await crawl.seed("b")
    assert await crawl.crawl_to_the_end() == ["b"]


# ── leases ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_what_is_given_back_has_its_old_place_and_the_same_attempt(crawl: Crawl):
    await crawl.seed(*range(9))
    leases = await crawl.lease(3)
    await crawl.frontier.give_back(reversed(leases))
    assert (crawl.frontier.counts().queued, crawl.frontier.counts().leased) == (9, 0)
    again = await crawl.lease()
    assert names(again) == [str(n) for n in range(9)]
    assert {lease.request.attempt for lease in again} == {1}


async def test_giving_back_twice_or_after_the_commit_changes_nothing(crawl: Crawl):
    await crawl.seed("a", "b")
    a, b = await crawl.lease()
    await crawl.commit(page(a))
    await crawl.frontier.give_back([a, b, b])
    assert await crawl.crawl_to_the_end() == ["b"]


async def test_renewing_names_the_leases_that_are_no_longer_ours(crawl: Crawl):
    await crawl.seed("held", "done", "given back")
    held, done, given_back = await crawl.lease()
    await crawl.commit(page(done))
    await crawl.frontier.give_back([given_back])
    assert await crawl.frontier.renew([held, done, given_back]) == [done, given_back]


@pytest.mark.parametrize("how", ["committed", "given back"])
async def test_a_page_whose_lease_is_no_longer_ours_is_refused_and_changes_nothing(crawl: Crawl, how):
    await crawl.seed("gone", "held")
    gone, held = await crawl.lease()
    await (crawl.commit(page(gone)) if how == "committed" else crawl.frontier.give_back([gone]))
    before = crawl.frontier.counts()
    late = page(gone, children=[child("x")], items=[item(1)])
    committed = await crawl.commit(late)
    assert (committed.refused, committed.items) == ([late], [])
    assert crawl.frontier.counts() == before
    assert (await crawl.commit(page(held))).refused == []


async def test_an_old_lease_of_a_request_that_is_out_again_is_refused(crawl: Crawl):
    await crawl.seed("page")
    old = await crawl.one()
    await crawl.frontier.give_back([old])
    again = await crawl.one()
    assert await crawl.frontier.renew([old, again]) == [old]
    late = page(old, items=[item(1)])
    assert (await crawl.commit(late)).refused == [late]
    await crawl.frontier.give_back([old])
    assert (await crawl.commit(page(again))).refused == []
    assert (await crawl.look()).finished


async def test_a_refused_page_keeps_its_neighbours_from_nothing(crawl: Crawl):
    await crawl.seed("gone", "held")
    gone, held = await crawl.lease()
    await crawl.commit(page(gone))
    late = page(gone, items=[item(1)])
    committed = await crawl.commit(late, page(held, items=[item(2)], children=[child("x")]))
    assert (committed.refused, committed.items) == ([late], [(1, item(2))])
    assert await crawl.names() == ["x"]


# ── stages ───────────────────────────────────────────────────────────────────────────────────────────────

MANY = 5_000


async def staged(crawl: Crawl, *outputs, name: str = "page"):
    await crawl.seed(name)
    lease = await crawl.one()
    await crawl.frontier.stage(lease, outputs)
    return lease


async def test_what_is_staged_is_invisible_until_its_page_is_committed(crawl: Crawl):
    lease = await staged(crawl, child("x"), item(1))
    assert (crawl.frontier.counts().queued, crawl.frontier.counts().staged) == (0, 0)
    assert (await crawl.commit()).items == []
    assert await crawl.names() == []
    committed = await crawl.commit(page(lease, staged=True))
    assert committed.items == [(1, item(1))]
    assert await crawl.names() == ["x"]


async def test_a_large_stage_is_drained_in_bounded_steps(crawl: Crawl):
    lease = await staged(crawl, *children(range(MANY)))
    await crawl.commit(page(lease, staged=True))
    left = [crawl.frontier.counts()]
    while left[-1].staged:
        assert left[-1].queued == MANY  # what is staged counts as queued
        assert not (await crawl.look(0)).finished
        await crawl.commit()
        left.append(crawl.frontier.counts())
    steps = [before.staged - after.staged for before, after in pairwise(left)]
    assert 2 <= len(steps) <= 10
    assert all(0 < step <= MANY / 2 for step in steps)
    assert await crawl.names(2 * MANY) == [str(n) for n in range(MANY)]


@pytest.mark.parametrize("outputs", [2_000, 4_000])
async def test_pages_may_stage_whole_numbers_of_steps_one_after_the_other(crawl: Crawl, outputs):
    for n in range(3):
        lease = await staged(crawl, *children(f"{n}-{m}" for m in range(outputs)), name=f"page{n}")
        await crawl.commit(page(lease, staged=True))
        for _ in range(5):
            await crawl.commit()
        assert crawl.frontier.counts().staged == 0
        assert len(await crawl.crawl_to_the_end(at_once=1000)) == outputs
        assert (await crawl.look()).finished
    assert (crawl.queued, crawl.duplicates) == (3 + 3 * outputs, 0)


async def test_a_stage_grows_over_several_calls_and_keeps_its_order(crawl: Crawl):
    lease = await staged(crawl, child("0"), item(1), child("1"))
    await crawl.frontier.stage(lease, [item(2), child("2")])
    committed = await crawl.commit(page(lease, staged=True))
    assert committed.items == [(1, item(1)), (2, item(2))]
    assert await crawl.names() == ["0", "1", "2"]


async def test_staged_items_are_numbered_after_those_before_them(crawl: Crawl):
    lease = await staged(crawl, *(item(n) for n in range(2, MANY)))
    numbered = list((await crawl.commit(page(lease, items=[item(1)], staged=True))).items)
    while crawl.frontier.counts().staged:
        numbered += (await crawl.commit()).items
    assert numbered == [(n, item(n)) for n in range(1, MANY)]


async def test_duplicates_inside_a_stage_and_of_what_was_seen_are_counted_once_each(crawl: Crawl):
    outputs = [child(str(n % 1500)) for n in range(MANY)]
    lease = await staged(crawl, *outputs, child("page"))
    await crawl.commit(page(lease, children=[child("0")], staged=True))
    await crawl.drain()
    assert (crawl.queued, crawl.duplicates) == (1 + 1500, MANY - 1500 + 1 + 1)
    assert len(await crawl.crawl_to_the_end(at_once=500)) == 1500


async def test_priority_and_time_hold_for_what_was_staged(crawl: Crawl):
    later = child("later", not_before=crawl.time() + HOUR)
    lease = await staged(crawl, child("low"), later, child("high", priority=1))
    await crawl.commit(page(lease, staged=True))
    assert await crawl.names() == ["high", "low"]
    crawl.time.at += HOUR
    assert await crawl.names() == ["later"]


async def test_the_stages_of_two_pages_of_one_commit_both_come(crawl: Crawl):
    one = await staged(crawl, child("x"), item(1), name="one")
    two = await staged(crawl, child("y"), item(2), name="two")
    await crawl.commit(page(one, staged=True), page(two, staged=True))
    await crawl.drain()
    assert sorted(await crawl.names()) == ["x", "y"]


@pytest.mark.parametrize("how", ["deferred", "unstaged", "given back"])
async def test_the_stage_of_a_page_that_failed_is_dropped(crawl: Crawl, how):
    lease = await staged(crawl, *children(range(MANY)), item(1))
    if how == "deferred":
        await crawl.commit(page(lease, Deferred(0, "why"), staged=True))
    elif how == "unstaged":
        await crawl.frontier.unstage(lease)
        await crawl.commit(page(lease, Deferred(0, "why")))
    else:
        await crawl.frontier.give_back([lease])
    assert (crawl.frontier.counts().queued, crawl.frontier.counts().staged) == (1, 0)
    again = await crawl.one()
    committed = await crawl.commit(page(again))
    assert committed.items == []
    assert (await crawl.look()).finished


@pytest.mark.parametrize("dropped", [1, MANY])
async def test_a_page_that_stages_again_after_it_failed_brings_each_output_once(crawl: Crawl, dropped):
    lease = await staged(crawl, *children(range(dropped)), item(1))
    await crawl.commit(page(lease, Deferred(0, "why"), staged=True))
    again = await crawl.one()
    await crawl.frontier.stage(again, [child("x"), item(2)])
    committed = await crawl.commit(page(again, staged=True))
    assert committed.items == [(1, item(2))]
    assert await crawl.crawl_to_the_end() == ["x"]
    assert (await crawl.look()).finished


async def test_the_errback_of_a_page_that_unstaged_may_stage_again(crawl: Crawl):
    lease = await staged(crawl, child("of the callback"))
    await crawl.frontier.unstage(lease)
    await crawl.frontier.stage(lease, [child("of the errback")])
    await crawl.commit(page(lease, Buried("why"), staged=True))
    assert await crawl.names() == ["of the errback"]


async def test_unstaging_where_nothing_was_staged_changes_nothing(crawl: Crawl):
    await crawl.seed("page")
    lease = await crawl.one()
    await crawl.frontier.unstage(lease)
    await crawl.commit(page(lease))
    assert (await crawl.look()).finished


# ── all together ─────────────────────────────────────────────────────────────────────────────────────────


async def test_the_counters_add_up(crawl: Crawl):
    await crawl.seed(*"abc", "a")
    a, b, c = await crawl.lease()
    await crawl.frontier.stage(b, children("xyz"))
    await crawl.commit(
        page(a, children=children("xyaa")),
        page(b, staged=True),
        page(c, Deferred(crawl.time() + HOUR, "why"), children=children("new")),
    )
    await crawl.drain()
    yielded = 4 + 4 + 3  # what the deferred page yielded does not count
    assert crawl.queued + crawl.duplicates == yielded
    counts = crawl.frontier.counts()
    assert counts.queued + counts.leased == crawl.queued - 2  # two pages have ended


async def test_an_empty_commit_changes_nothing(crawl: Crawl):
    await crawl.seed("a")
    before = crawl.frontier.counts()
    committed = await crawl.frontier.commit(Batch(seeds=Seeds()))
    assert (committed.refused, committed.items, +Counter(committed.counters)) == ([], [], Counter())
    assert crawl.frontier.counts() == before
