"""Mazes of several sizes, and what is known of a crawl that nobody disturbs."""

from dataclasses import dataclass

from tests.kills.harvest import Harvest
from tests.kills.maze import Maze


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`pause`: doors of the hub between two notes; `page_in_memory`: outputs of a page before a part is staged."""

    rooms: int
    links: int
    pause: int
    seeds: int
    page_in_memory: int
    attempts: int
    faults: bool = True

    def site(self) -> Maze:
        return Maze(rooms=self.rooms, links=self.links, faults=self.faults)

    def told(self, site: Maze) -> list[str]:
        arguments = {"url": site.url, "seeds": self.seeds, "pause": self.pause}
        settings = {
            "retry.attempts": self.attempts,
            "retry.wait": "10ms",
            "retry.jitter": "20ms",
            "retry.max_wait": "50ms",
            "max_failed": 1,
            "feeds.sync": "50ms",
            "frontier.window": 64,
            "frontier.seed_low_water": 40,
            "frontier.page_in_memory": self.page_in_memory,
        }
        words = [word for key, value in arguments.items() for word in ("-a", f"{key}={value}")]
        return words + [word for key, value in settings.items() for word in ("-s", f"{key}={value}")]


SMALL = Size(rooms=300, links=3_000, pause=500, seeds=60, page_in_memory=1_000, attempts=8)
CALM = Size(rooms=200, links=600, pause=100, seeds=60, page_in_memory=200, attempts=30, faults=False)
LARGE = Size(rooms=2_000, links=30_000, pause=5_000, seeds=150, page_in_memory=500, attempts=3)


@dataclass(frozen=True, slots=True)
class Known:
    """Of an undisturbed crawl: its harvest, what it asked for, how often, and how soon (seconds)."""

    harvest: Harvest
    asked: frozenset[str]
    requests: int
    start_up: float
