"""start() after its process is gone: it goes on where its `self.state` says, or from its top."""

import asyncio
from pathlib import Path

import pytest

from scraper import Request, Response, Spider
from scraper.runs import Runs
from scraper.testing import FakeClient, crawl

NOW = "https://shop.example/now"
ONE_BY_ONE = ["obey_robots=false", "concurrency=1", "seats=1"]
SEEDS = 6


class FromItsTop(Spider):
    """Asks for one page again and again, and lets the callbacks work meanwhile, who change the state."""

    name = "poll"

    async def start(self):
        for number in range(SEEDS):
            yield seed(number)
            await asyncio.sleep(0.001)

    def parse(self, response: Response):
        self.state["latest"] = response.data["number"]
        yield {"number": response.data["number"]}


class WhereItWas(FromItsTop):
    async def start(self):
        for number in range(self.state.get("place", 0), SEEDS):
            self.state["place"] = number + 1
            yield seed(number)


def seed(number: int) -> Request:
    return Request(NOW, dont_filter=True, data={"number": number})


@pytest.mark.parametrize("spider", [WhereItWas, FromItsTop])
async def test_seeds_that_are_not_filtered_come_once_each_over_two_lives(
    tmp_path: Path, spider: type[Spider]
):
    client = FakeClient({NOW: "now"})
    for low_water in (1, 1_000):
        root = tmp_path / str(low_water)
        root.mkdir()
        settings = [*ONE_BY_ONE, f"frontier.seed_low_water={low_water}"]
        first = await crawl(spider, client=client, root=root, settings=settings, max_pages=3)
        run = Runs(root).get(first.result.run_id)
        second = await crawl(spider, client=client, root=root, settings=settings, resume=run)
        assert [item["number"] for item in second.items] == list(range(SEEDS))
