"""What stands around a middleware in its tests: the rest of the chain, the clock, the time."""

from collections.abc import Iterable, Mapping

from multidict import CIMultiDict

from scraper.errors import FetchError
from scraper.protocols import Limits
from scraper.request import Request
from scraper.response import Response

Answer = tuple[int, Mapping[str, str] | Iterable[tuple[str, str]], bytes] | FetchError


def answer(status: int = 200, headers=(), body: bytes = b"") -> Answer:
    return status, headers, body


class Web:
    """A `call_next`: per URL its answers in turn, the last one for ever; everything else is an empty 200."""

    def __init__(self, pages: Mapping[str, Answer | list[Answer]] | None = None) -> None:
        self.asked: list[Request] = []
        self._pages = {
            url: list(answers) if isinstance(answers, list) else [answers]
            for url, answers in (pages or {}).items()
        }

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        answers = self._pages.get(request.url.partition("#")[0], [answer()])
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(found, FetchError):
            raise found
        status, headers, body = found
        return Response(request.url, status, CIMultiDict(headers), body, request)

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.asked]

    @property
    def last(self) -> Request:
        return self.asked[-1]


class Time:
    """Unix seconds that pass only when a test says so."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


class NotedClock:
    """A politeness clock that notes what it is told."""

    def __init__(self) -> None:
        self.parked: dict[str, float] = {}
        self.slowed: dict[str, float] = {}

    def park(self, lane: str, until: float) -> None:
        self.parked[lane] = until

    def slow_down(self, lane: str, delay: float) -> None:
        self.slowed[lane] = delay

    def wait(self, lane: str) -> float:
        return 0.0

    def turn(self, lane: str) -> None: ...

    def leave(self, lane: str) -> None: ...

    def limits(self, lane: str) -> Limits:
        return Limits(8, 0.0)
