"""Exporting: pipelines in order, then the item as it is kept and as each feed wants it; or why not."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from pydantic import BaseModel

from scraper import DropItem, Item, Request
from scraper.errors import PipelineError
from scraper.exporting import Exporter
from scraper.feeds import Feed, Feeds
from scraper.item import REJECTED, Source
from scraper.protocols import Lease, Page
from scraper.sinks.choose import make_sink, parse_feed

URL = "https://site.example/"


class Book(Item):
    title: str
    price: Decimal = Decimal(0)


@dataclass
class Row:
    title: str


class Does:
    """A pipeline that does one thing to every item."""

    def __init__(self, act) -> None:
        self._act = act
        self.seen: list[tuple[object, Source]] = []

    async def process_item(self, item, source: Source):
        self.seen.append((item, source))
        return self._act(item)


def raises(error: Exception):
    def act(item):
        raise error

    return Does(act)


def a_page() -> Page:
    return Page(Lease(Request(URL, id=b"0123456789abcdef"), "site.example:443", None))


def an_exporter(*pipelines, feeds: Feeds | None = None) -> Exporter:
    return Exporter(pipelines, feeds or Feeds([], sync=1))


async def exported(item, *pipelines, feeds: Feeds | None = None) -> Page:
    page = a_page()
    await an_exporter(*pipelines, feeds=feeds).export(item, page, 0, URL + "last-hop")
    return page


def kept(page: Page) -> list[tuple[str, object]]:
    return [(record.kind, orjson.loads(record.json)) for record in page.items]


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("item", "record"),
    [
        (Book(title="A", price="1.50"), ("Book", {"title": "A", "price": "1.50"})),
        ({"title": "A"}, ("dict", {"title": "A"})),
        (Row("A"), ("Row", {"title": "A"})),
        ({"price": Decimal("1.50"), "tags": {"b", "a"}}, ("dict", {"price": "1.50", "tags": ["a", "b"]})),
    ],
)
async def test_an_item_is_kept_as_json_with_its_kind(item, record):
    page = await exported(item)
    assert kept(page) == [record]
    assert page.counters == {"items": 1}


async def test_an_item_is_known_by_its_page_and_its_place_on_it():
    ids = []
    for _ in range(2):
        page, exporter = a_page(), an_exporter()
        for ordinal in range(2):
            await exporter.export({"n": ordinal}, page, ordinal, URL)
        ids.append([record.item_id for record in page.items])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


# ── pipelines ────────────────────────────────────────────────────────────────────────────────────────────


async def test_pipelines_see_the_item_one_after_the_other():
    first, second = Does(lambda item: item | {"a": 1}), Does(lambda item: item | {"b": 2})
    page = await exported({}, first, second)
    assert second.seen[0][0] == {"a": 1}
    assert kept(page) == [("dict", {"a": 1, "b": 2})]


async def test_a_pipeline_knows_where_the_item_comes_from():
    pipeline = Does(lambda item: item)
    page = await exported({}, pipeline)
    source = pipeline.seen[0][1]
    assert (source.url, source.request.url, source.item_id) == (URL + "last-hop", URL, page.items[0].item_id)


async def test_a_pipeline_may_make_another_kind_of_item():
    page = await exported({"title": "A"}, Does(lambda item: Book(**item)))
    assert kept(page) == [("Book", {"title": "A", "price": "0"})]


async def test_a_dropped_item_is_counted_by_its_reason():
    page = await exported({}, raises(DropItem("duplicate")), raises(RuntimeError("never asked")))
    assert (page.items, page.counters) == ([], {"items_dropped": 1, "items_dropped/duplicate": 1})


async def test_a_pipeline_that_raises_fails_the_page():
    with pytest.raises(PipelineError, match="Pipeline Does raised OSError: disk full") as caught:
        await exported({}, raises(OSError("disk full")))
    assert caught.value.reason == "pipeline Does raised OSError"
    assert isinstance(caught.value.__cause__, OSError)


async def test_a_pipeline_that_forgets_the_item_is_told_so():
    with pytest.raises(PipelineError, match="return the item, or raise DropItem"):
        await exported({}, Does(lambda item: None))


async def test_items_are_gathered_for_pipelines_that_take_batches():
    class Batches(Does):
        async def process_batch(self, items) -> None: ...

    page = await exported({"a": 1}, Batches(lambda item: item | {"b": 2}))
    assert [item for item, _ in page.batch] == [{"a": 1, "b": 2}]
    assert (await exported({"a": 1}, Does(lambda item: item))).batch == []


# ── rejected items ───────────────────────────────────────────────────────────────────────────────────────


async def test_an_invalid_item_is_kept_with_what_is_wrong():
    page = await exported(Book(title="A", price="free"))
    [(kind, said)] = kept(page)
    assert (kind, said["url"], said["kind"]) == (REJECTED, URL + "last-hop", "Book")
    assert said["item"] == {"title": "A", "price": "free"}
    assert [(problem["field"], problem["value"]) for problem in said["problems"]] == [("price", "'free'")]
    assert page.counters == {"items_rejected": 1}


async def test_pipelines_do_not_see_an_invalid_item():
    pipeline = Does(lambda item: item)
    await exported(Book(price="free"), pipeline)
    assert pipeline.seen == []


async def test_a_value_that_the_item_refuses_in_a_pipeline_rejects_it():
    def cheaper(item: Book) -> Book:
        item.price = "cheap"
        return item

    page = await exported(Book(title="A"), Does(cheaper))
    assert page.counters == {"items_rejected": 1}


@pytest.mark.parametrize("item", [{"raw": b"bytes"}, {"that": object()}, {7: "a key"}, Row(title=b"bytes")])
async def test_what_json_can_not_hold_is_rejected(item):
    page = await exported(item)
    assert page.counters == {"items_rejected": 1}
    assert kept(page)[0][1]["problems"][0]["problem"]


@pytest.mark.parametrize("item", [{"title": "caf\udce9"}, {"id": 2**70}, Book(title="caf\udce9")])
async def test_what_not_even_a_rejection_can_hold_is_rejected_all_the_same(item):
    page = await exported(item)
    assert page.counters == {"items_rejected": 1}
    assert kept(page)[0][0] == REJECTED


async def test_a_plain_model_is_an_item_too():
    class Plain(BaseModel):
        n: int

    assert kept(await exported(Plain(n=1))) == [("Plain", {"n": 1})]


@pytest.mark.parametrize("given", ["a text", 7, True])
async def test_what_a_pipeline_gives_back_is_an_item(given):
    with pytest.raises(PipelineError):
        await exported({}, Does(lambda item: given))


# ── feeds ────────────────────────────────────────────────────────────────────────────────────────────────


def a_feed(tmp_path: Path, text: str) -> Feed:
    kind, _, name = text.rpartition(":")
    spec = parse_feed(f"{kind}:{tmp_path / name}" if kind else str(tmp_path / name))
    return Feed(str(spec), make_sink(spec, append=False), spec.kind)


async def test_an_item_is_encoded_for_each_feed_that_takes_it(tmp_path: Path):
    names = ["all.jsonl", "Book:books.csv", "Row:rows.jsonl"]
    feeds = Feeds([a_feed(tmp_path, name) for name in names], sync=1)
    page = await exported(Book(title="A"), feeds=feeds)
    assert page.lines == [(b'{"title":"A","price":"0"}\n', b"A,0\n", b"")]


async def test_an_item_that_does_not_fit_a_table_is_rejected(tmp_path: Path):
    feeds = Feeds([a_feed(tmp_path, "all.csv")], sync=1)
    page, exporter = a_page(), an_exporter(feeds=feeds)
    for ordinal, item in enumerate([{"a": 1}, {"b": 2}, {"a": 3}]):
        await exporter.export(item, page, ordinal, URL)
    assert page.lines == [(b"1\n",), (b"",), (b"3\n",)]
    assert page.counters == {"items": 2, "items_rejected": 1}
    assert "has the columns 'a', and this item also has 'b'" in kept(page)[1][1]["problems"][0]["problem"]


async def test_a_rejected_item_goes_to_the_feed_of_the_rejected_alone(tmp_path: Path):
    spec = parse_feed(str(tmp_path / "rejected.jsonl"))
    rejected = Feed(REJECTED, make_sink(spec, append=False, rejected=True), REJECTED)
    page = await exported(Book(price=1), feeds=Feeds([a_feed(tmp_path, "all.jsonl"), rejected], sync=1))
    assert page.lines[0][0] == b""
    assert orjson.loads(page.lines[0][1])["kind"] == "Book"
