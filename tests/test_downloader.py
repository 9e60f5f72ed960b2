"""The downloader: middlewares around the wire, a turn at the gate for each exchange, retries in place."""

import asyncio

import pytest

from scraper.door import Door
from scraper.downloader import Downloader, chain
from scraper.errors import ConnectionLost, DropRequest, FetchError, RetryLater
from scraper.gate import Gate
from scraper.middlewares.retry import Retry
from scraper.politeness import HostClock
from scraper.protocols import Handler, Limits
from scraper.request import Request
from scraper.response import Response
from scraper.settings import Timeouts
from scraper.testing import FakeClient, Page

URL = "https://site.example/"


class Layer:
    """A middleware that notes what passes it."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self._name = name
        self._seen = seen

    async def __call__(self, request: Request, call_next: Handler) -> Response:
        self._seen.append(f"{self._name} in")
        response = await call_next(request.replace(headers={**request.headers, self._name: "was here"}))
        self._seen.append(f"{self._name} out")
        return response


def a_downloader(
    client: FakeClient, *middlewares, slots: int = 4, per_host: int = 4
) -> tuple[Downloader, Gate]:
    gate = Gate(HostClock(lambda lane: Limits(per_host, 0.0)), slots=slots, patience=5)
    door = Door(timeouts=Timeouts(), max_body=1_000_000)
    return Downloader(middlewares, gate=gate, door=door, client=client), gate


def a_retry(attempts: int) -> Retry:
    layer = Retry(attempts=attempts, statuses=[503], wait=0, max_wait=0, jitter=0)
    layer.clock = HostClock(lambda lane: Limits(4, 0.0))
    return layer


# ── the chain ────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_middleware_sees_the_request_first_and_the_response_last():
    seen: list[str] = []
    client = FakeClient({URL: "home"})
    downloader, _ = a_downloader(client, Layer("first", seen), Layer("second", seen))
    response = await downloader.fetch(Request(URL))
    assert seen == ["first in", "second in", "second out", "first out"]
    assert dict(client.requests[0].headers) == {"first": "was here", "second": "was here"}
    assert response.body == b"home"


async def test_without_middlewares_there_is_the_wire():
    downloader, _ = a_downloader(FakeClient({URL: "home"}))
    assert (await downloader.fetch(Request(URL))).body == b"home"


async def test_a_middleware_may_answer_by_itself():
    async def cached(request: Request, call_next: Handler) -> Response:
        return Response(request.url, 200, {}, b"from the cache", request)

    client = FakeClient()
    downloader, gate = a_downloader(client, cached, slots=1)
    await gate.enter("site.example:443")  # no turn is left, and none is needed
    assert (await downloader.fetch(Request(URL))).body == b"from the cache"
    assert client.requests == []


async def test_a_slot_is_given_back_when_the_exchange_fails():
    downloader, gate = a_downloader(FakeClient({URL: ConnectionLost("gone")}), slots=1)
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            await downloader.fetch(Request(URL))
    assert gate.in_flight == 0


async def test_a_chain_may_be_made_of_functions():
    async def shout(request: Request, call_next: Handler) -> Response:
        return (await call_next(request)).replace(body=b"HOME")

    async def wire(request: Request) -> Response:
        return Response(request.url, 200, {}, b"home", request)

    assert (await chain([shout], wire)(Request(URL))).body == b"HOME"


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────────────


class Held:
    """A page that is on the wire until somebody lets it go."""

    def __init__(self) -> None:
        self.most = self.now = 0
        self.go = asyncio.Event()

    async def __call__(self, request: Request) -> str:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.go.wait()
        self.now -= 1
        return "done"


async def settled() -> None:
    """Everything has gone as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("slots", "per_host", "most"), [(2, 4, 2), (4, 2, 2), (4, 4, 4)])
async def test_no_more_requests_are_on_the_wire_than_may_be(slots: int, per_host: int, most: int):
    held = Held()
    downloader, gate = a_downloader(FakeClient({URL: held}), slots=slots, per_host=per_host)
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(downloader.fetch(Request(URL)))
        await settled()
        assert (held.now, gate.in_flight) == (most, most)
        held.go.set()
    assert (held.most, gate.in_flight) == (most, 0)


@pytest.mark.parametrize("page", [ConnectionLost(), RuntimeError("a bug in a client")])
async def test_an_error_gives_the_turn_back(page):
    downloader, gate = a_downloader(FakeClient({URL: page}), slots=1)
    for _ in range(2):
        with pytest.raises(type(page)):
            await downloader.fetch(Request(URL))
    assert gate.in_flight == 0


async def test_a_fetch_that_is_cancelled_gives_its_turn_back():
    held = Held()
    downloader, gate = a_downloader(FakeClient({URL: held}), slots=1)
    fetching = asyncio.create_task(downloader.fetch(Request(URL)))
    await settled()
    assert gate.in_flight == 1
    fetching.cancel()
    await asyncio.wait([fetching])
    assert gate.in_flight == 0


# ── retries in place ─────────────────────────────────────────────────────────────────────────────────────


async def test_fetch_leaves_a_retry_to_its_caller():
    downloader, _ = a_downloader(FakeClient({URL: Page(503)}), a_retry(3))
    with pytest.raises(RetryLater):
        await downloader.fetch(Request(URL))


@pytest.mark.parametrize("fails", [0, 1, 2])
async def test_fetch_now_tries_again_in_place(fails: int):
    client = FakeClient({URL: [*[ConnectionLost()] * fails, "home"]})
    downloader, _ = a_downloader(client, a_retry(3))
    assert (await downloader.fetch_now(Request(URL))).body == b"home"
    assert [request.attempt for request in client.requests] == list(range(1, fails + 2))


async def test_fetch_now_ends_with_the_last_attempts_error():
    client = FakeClient({URL: ConnectionLost("gone")})
    downloader, _ = a_downloader(client, a_retry(3))
    with pytest.raises(ConnectionLost, match="gone"):
        await downloader.fetch_now(Request(URL))
    assert len(client.requests) == 3


async def test_fetch_now_ends_with_the_last_attempts_response():
    client = FakeClient({URL: Page(503)})
    downloader, _ = a_downloader(client, a_retry(3))
    assert (await downloader.fetch_now(Request(URL))).status == 503
    assert len(client.requests) == 3


async def test_fetch_now_passes_everything_else_on():
    async def no(request: Request, call_next: Handler) -> Response:
        raise DropRequest("robots")

    downloader, _ = a_downloader(FakeClient(), no)
    with pytest.raises(DropRequest):
        await downloader.fetch_now(Request(URL))


async def test_an_attempt_that_does_not_count_is_not_counted():
    asked: list[int] = []

    async def no_slot_at_first(request: Request, call_next: Handler) -> Response:
        asked.append(request.attempt)
        if len(asked) < 4:
            raise RetryLater(0, "pool timeout", counted=False)
        return await call_next(request)

    downloader, _ = a_downloader(FakeClient({URL: "home"}), no_slot_at_first)
    assert (await downloader.fetch_now(Request(URL))).body == b"home"
    assert asked == [1, 1, 1, 1]


async def test_many_retry_at_once_and_each_counts_for_itself():
    pages = {f"{URL}{n}": [*[ConnectionLost()] * (n % 4), str(n)] for n in range(12)}
    client = FakeClient(pages)
    downloader, _ = a_downloader(client, a_retry(3))
    fetches = (downloader.fetch_now(Request(url)) for url in pages)
    results = await asyncio.gather(*fetches, return_exceptions=True)
    for n, result in enumerate(results):
        assert isinstance(result, FetchError) if n % 4 == 3 else result.body == str(n).encode()
        assert client.urls.count(f"{URL}{n}") == min(n % 4 + 1, 3)
