"""A job that is followed: its news as they come, until it has ended."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import orjson
import pytest

from scraper.errors import StorageError
from scraper.worker.board import Snapshot
from scraper.worker.http.events import Pace
from tests.worker.http.asking import Asking, asking, check

SOON = 0.02  # seconds
BOUND = 10.0  # seconds in which whatever is waited for must come


@pytest.fixture
async def worker(desk) -> AsyncIterator[Asking]:
    async with asking(desk.office, pace=Pace(look_again=SOON)) as client:
        yield client


@pytest.fixture
async def beating(desk) -> AsyncIterator[Asking]:
    """A worker with many heartbeats."""
    async with asking(desk.office, pace=Pace(look_again=SOON, heartbeat=SOON)) as client:
        yield client


class Stream:
    """What a client reads: (event, data), and "" for a heartbeat."""

    def __init__(self, response: aiohttp.ClientResponse, description: Mapping[str, Any]) -> None:
        self.response = response
        self._description = description

    async def next(self) -> tuple[str, Any]:
        """("gone", None) when the stream has ended."""
        async with asyncio.timeout(BOUND):
            lines = [line async for line in self._lines()]
        if not lines:
            return "gone", None
        if lines[0].startswith(":"):
            return "", None
        kind, data = lines[0].removeprefix("event: "), orjson.loads(lines[1].removeprefix("data: "))
        name = {"stats": "StatsView", "problem": "ProblemView"}.get(kind, "JobView")
        check(data, {"$ref": f"#/components/schemas/{name}"}, self._description)
        return kind, data

    async def _lines(self) -> AsyncIterator[str]:
        while line := (await self.response.content.readline()).decode().rstrip("\n"):
            yield line

    async def kinds(self) -> list[str]:
        """What still comes, to the end."""
        found: list[str] = []
        while (kind := (await self.next())[0]) != "gone":
            found.append(kind)
        return found


@asynccontextmanager
async def following(worker: Asking, job: str = "1") -> AsyncIterator[Stream]:
    description = await worker.description()
    async with worker.session.get(f"{worker.base}/api/jobs/{job}/events", headers=worker.bearer) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        yield Stream(response, description)


def snapshot(done: int, **more: Any) -> Snapshot:
    return Snapshot(job="1", run="run-1", spider="shop", counters={"done": done}, **more)


async def test_a_running_job_is_followed_to_its_end(worker, desk):
    await worker.add()
    desk.begin()
    async with following(worker) as stream:
        kind, job = await stream.next()
        assert (kind, job["state"]) == ("job", "running")
        for done in (1, 2):
            desk.office.board.publish(snapshot(done))
            kind, stats = await stream.next()
            assert (kind, stats["counters"], stats["run"]) == ("stats", {"done": done}, "run-1")
        desk.store.end("1", "me", "finished", "")
        desk.office.board.publish(snapshot(3, ended=True))
        kind, job = await stream.next()
        assert (kind, job["state"]) == ("end", "finished")
        assert await stream.next() == ("gone", None)


async def test_a_job_that_waits_is_followed_through_its_beginning(worker, desk):
    await worker.add()
    async with following(worker) as stream:
        assert (await stream.next())[1]["state"] == "queued"
        desk.begin()
        desk.office.board.publish(snapshot(1))
        assert {(await stream.next())[0], (await stream.next())[0]} == {"job", "stats"}
        await worker.post("/api/jobs/1/cancel")
        desk.store.end("1", "me", "cancelled", "cancelled")
        desk.office.board.lost("1")
        kinds = await stream.kinds()
        assert kinds[-1] == "end"


async def test_a_job_that_is_given_back_is_followed_on(worker, desk):
    await worker.add()
    desk.begin()
    desk.office.board.publish(snapshot(1))
    async with following(worker) as stream:
        assert [(await stream.next())[0] for _ in range(2)] == ["job", "stats"]
        desk.store.give_back("1", "me", died="it was killed")
        desk.office.board.lost("1")
        kind, job = await stream.next()
        assert (kind, job["state"], job["deaths"]) == ("job", "queued", 1)


async def test_a_job_that_has_ended_says_so_at_once(worker):
    await worker.add()
    await worker.post("/api/jobs/1/cancel")
    async with following(worker) as stream:
        assert await stream.kinds() == ["job", "end"]


async def test_a_silent_job_has_a_heartbeat(beating, desk):
    await beating.add()
    desk.begin()
    desk.office.board.publish(snapshot(1))
    async with following(beating) as stream:
        kinds = [(await stream.next())[0] for _ in range(5)]
        assert kinds == ["job", "stats", "", "", ""]
        desk.office.board.publish(snapshot(2))
        while (told := await stream.next())[0] == "":
            pass
        assert told[1]["counters"] == {"done": 2}


async def test_several_may_follow_one_job(worker, desk):
    await worker.add()
    desk.begin()
    async with following(worker) as one, following(worker) as other:
        for stream in (one, other):
            await stream.next()
        desk.office.board.publish(snapshot(1))
        for stream in (one, other):
            assert (await stream.next())[1]["counters"] == {"done": 1}


async def test_a_client_that_goes_leaves_nothing_behind(beating, desk):
    await beating.add()
    desk.begin()
    before = asyncio.all_tasks()
    for _ in range(5):
        async with following(beating) as stream:
            await stream.next()
            stream.response.close()
    if left := asyncio.all_tasks() - before:
        _, pending = await asyncio.wait(left, timeout=BOUND)
        assert pending == set()
    assert (await beating.get("/healthz")).status == 200


async def test_a_client_that_reads_nothing_is_let_go(desk, log):
    async with asking(desk.office, pace=Pace(patience=0.2)) as worker:
        await worker.add()
        desk.begin()
        reader, wire = await _followed_raw(worker)
        wire.transport.pause_reading()
        large = {f"failed/{n}": n for n in range(20_000)}
        async with asyncio.timeout(BOUND):
            while not any(event["event"] == "a client reads nothing" for event in log):
                desk.office.board.publish(Snapshot(job="1", run="run-1", spider="shop", counters=large))
                await asyncio.sleep(0)
        wire.transport.resume_reading()
        with suppress(ConnectionError):
            assert not (await reader.read()).endswith(b"0\r\n\r\n")
        wire.close()
        assert (await worker.get("/healthz")).status == 200


async def test_streams_have_an_end_when_the_worker_stops(desk):
    async with asyncio.timeout(BOUND):
        async with asking(desk.office) as worker:
            await worker.add()
            reader, wire = await _followed_raw(worker)
            await reader.readuntil(b"event: job\n")
        assert (await reader.read()).endswith(b"0\r\n\r\n")  # its end, not a connection that broke
        wire.close()


async def _followed_raw(worker: Asking) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = worker.base.removeprefix("http://").partition(":")
    reader, wire = await asyncio.open_connection(host, int(port), limit=65_536)
    wire.write(b"GET /api/jobs/1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return reader, wire


async def test_too_many_streams_are_refused(desk):
    async with asking(desk.office, pace=Pace(most=2)) as worker:
        await worker.add()
        async with following(worker), following(worker):
            said = await worker.get("/api/jobs/1/events")
            assert (said.status, said.headers["Retry-After"]) == (503, "10")


async def test_a_stream_that_has_ended_makes_room_for_the_next(desk):
    async with asking(desk.office, pace=Pace(most=1)) as worker:
        await worker.add()
        await worker.post("/api/jobs/1/cancel")
        for _ in range(3):
            async with following(worker) as stream:
                assert await stream.kinds() == ["job", "end"]


async def test_a_store_that_fails_ends_the_stream_in_words(worker, desk, monkeypatch):
    await worker.add()

    def refuse(job_id):
        raise StorageError("The disk is full.")

    async with following(worker) as stream:
        assert (await stream.next())[0] == "job"
        monkeypatch.setattr(desk.store, "get", refuse)
        kind, problem = await stream.next()
        assert (kind, problem["status"], problem["detail"]) == ("problem", 503, "The disk is full.")
        assert (await stream.next())[0] == "gone"
