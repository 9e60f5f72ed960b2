"""Stats: the counters that must add up, and the gauges that only a person watching wants."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

# What the counters are called. They are committed together with the pages they count, so that they add up
# after a kill too:  requested = queued + dropped/*   ·   queued = done + failed + refused/* + waiting
REQUESTED = "requested"  # every request a spider yielded
DROPPED = "dropped"  # dropped/<reason>: not queued (duplicate, offsite, depth, scheme …)
REFUSED = "refused"  # refused/<reason>: queued, then dropped by a middleware (robots, offsite redirect …)
QUEUED = "queued"
DONE = "done"
FAILED = "failed"  # and failed/<reason>
RETRIED = "retried"  # attempts that will be made again, and retried/<reason>
ITEMS = "items"
ITEMS_DROPPED = "items_dropped"  # by a pipeline; and items_dropped/<reason>
ITEMS_REJECTED = "items_rejected"
MESSAGES = "messages"  # of WebSockets
BYTES = "bytes"  # decoded bodies
STATUS = "status"  # status/<code>: of responses that reached a page's end


def add_up(counters: Mapping[str, int], name: str) -> int:
    """The sum of `name/…`."""
    prefix = name + "/"
    return sum(value for key, value in counters.items() if key.startswith(prefix))


class Rate:
    """Events per second over the last `span` seconds."""

    def __init__(self, span: float = 10.0) -> None:
        self._span = span
        self._marks: deque[tuple[float, int]] = deque()

    def add(self, now: float, total: int) -> None:
        self._marks.append((now, total))
        while self._marks[0][0] < now - self._span and len(self._marks) > 2:
            self._marks.popleft()

    @property
    def per_second(self) -> float:
        if len(self._marks) < 2:
            return 0.0
        (start, before), (end, after) = self._marks[0], self._marks[-1]
        return (after - before) / (end - start) if end > start else 0.0


@dataclass(slots=True)
class HostLine:
    """What the live view says about one host."""

    done: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0  # summed over its responses


class Latency:
    """A histogram of seconds from a request to its whole response."""

    BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # upper, inclusive

    def __init__(self) -> None:
        self.counts = [0] * (len(self.BOUNDS) + 1)  # the last: above all bounds
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1
        self.sum += seconds


@dataclass(slots=True)
class Stats:
    """`counters` are committed facts; `hosts` is a view of this process, of at most `host_limit` hosts."""

    counters: Counter[str] = field(default_factory=Counter)
    hosts: dict[str, HostLine] = field(default_factory=dict)
    host_limit: int = 1000
    latency: Latency = field(default_factory=Latency)

    def host(self, name: str) -> HostLine:
        line = self.hosts.get(name)
        if line is None:
            if len(self.hosts) >= self.host_limit:
                self.hosts.pop(next(iter(self.hosts)))
            line = self.hosts[name] = HostLine()
        return line

    @property
    def failed_share(self) -> float:
        ended = self.counters[DONE] + self.counters[FAILED]
        return self.counters[FAILED] / ended if ended else 0.0
