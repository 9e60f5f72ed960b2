"""Parsing: a callback may have any form; what comes out of it are requests and items, or an error in words."""

import asyncio
from dataclasses import dataclass

import pytest
from pydantic import BaseModel

from scraper import DropItem, Item, Request, Response, Retry, Spider, StopCrawl
from scraper.errors import CallbackError
from scraper.parsing import Parser
from scraper.testing import saved_page

URL = "https://site.example/"
ONE, TWO = {"n": 1}, {"n": 2}


class Book(Item):
    title: str


class Plain(BaseModel):
    title: str


@dataclass
class Row:
    title: str


class Forms(Spider):
    name = "forms"

    def nothing(self, response: Response):
        return None

    def one(self, response: Response):
        return ONE

    def a_list(self, response: Response):
        return [ONE, TWO]

    def a_view(self, response: Response):
        return {"a": ONE, "b": TWO}.values()

    def an_iterator(self, response: Response):
        return map(dict, [ONE, TWO])

    def a_generator(self, response: Response):
        yield ONE
        yield TWO

    async def awaited_nothing(self, response: Response):
        await asyncio.sleep(0)

    async def awaited_one(self, response: Response):
        return ONE

    async def awaited_list(self, response: Response):
        return [ONE, TWO]

    async def an_async_generator(self, response: Response):
        yield ONE
        await asyncio.sleep(0)
        yield TWO

    async def awaited_generator(self, response: Response):
        return self.a_generator(response)

    async def awaited_async_generator(self, response: Response):
        return self.an_async_generator(response)

    @staticmethod
    def static(response: Response):
        return ONE

    @classmethod
    def of_the_class(cls, response: Response):
        return ONE


async def outputs(callback: str, spider: Spider | None = None) -> list:
    page = saved_page("<h1>Hello</h1>", URL, request=Request(URL, callback=callback))
    return [output async for output in Parser(spider or Forms()).parse(page)]


# ── forms ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("callback", ["nothing", "awaited_nothing"])
async def test_a_callback_may_give_back_nothing(callback: str):
    assert await outputs(callback) == []


@pytest.mark.parametrize("callback", ["one", "awaited_one", "static", "of_the_class"])
async def test_a_callback_may_give_back_one_output(callback: str):
    assert await outputs(callback) == [ONE]


@pytest.mark.parametrize(
    "callback",
    [
        "a_list",
        "a_view",
        "an_iterator",
        "a_generator",
        "awaited_list",
        "an_async_generator",
        "awaited_generator",
        "awaited_async_generator",
    ],
)
async def test_a_callback_may_give_back_many(callback: str):
    assert await outputs(callback) == [ONE, TWO]


@pytest.mark.parametrize(
    "output", [Book(title="A"), Plain(title="A"), Row("A"), {"title": "A"}, Request(URL)]
)
async def test_an_output_is_a_request_or_an_item(output):
    class One(Spider):
        name = "one"

        def returned(self, response: Response):
            return output

        def parse(self, response: Response):
            yield output
            yield None

    assert await outputs("returned", One()) == [output]
    assert await outputs("parse", One()) == [output, None]


async def test_outputs_come_one_by_one():
    far = []

    class Slow(Spider):
        name = "slow"

        def parse(self, response: Response):
            for n in range(3):
                far.append(n)
                yield {"n": n}

    async for output in Parser(Slow()).parse(saved_page("", URL)):
        assert far[-1] == output["n"]


async def test_without_a_callback_a_page_goes_to_parse():
    class Default(Spider):
        name = "default"

        def parse(self, response: Response):
            return {"url": response.url}

    page = saved_page("", URL, request=Request(URL))
    assert [output async for output in Parser(Default()).parse(page)] == [{"url": URL}]


async def test_an_errback_gets_the_error():
    class Careful(Spider):
        name = "careful"

        async def failed(self, error: Exception):
            yield {"error": str(error)}

    parser = Parser(Careful())
    assert parser.errback_of(Request(URL)) is None
    errback = parser.errback_of(Request(URL, errback="failed"))
    assert [output async for output in parser.run(errback, ValueError("no"))] == [{"error": "no"}]


# ── mistakes ─────────────────────────────────────────────────────────────────────────────────────────────


class Mistakes(Spider):
    name = "mistakes"

    def a_text(self, response: Response):
        return "https://site.example/next"

    def a_number(self, response: Response):
        yield 7

    def a_class(self, response: Response):
        yield Row

    def a_list_in_a_list(self, response: Response):
        yield [ONE]

    def an_object(self, response: Response):
        return object()

    def unknown_callback(self, response: Response):
        yield Request(URL, callback="parse_bok")

    def unknown_errback(self, response: Response):
        yield Request(URL, errback="faild")

    def a_bug(self, response: Response):
        yield ONE
        raise KeyError("price")

    async def an_async_bug(self, response: Response):
        yield ONE
        raise KeyError("price")

    async def an_awaited_bug(self, response: Response):
        raise KeyError("price")

    not_a_method = 7


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        ("a_text", "Callback a_text() returned str: give back requests, items or None"),
        ("a_number", "Callback a_number() yielded int: yield a Request or an item"),
        ("a_class", "Callback a_class() yielded type: yield a Request or an item"),
        ("a_list_in_a_list", "Callback a_list_in_a_list() yielded list"),
        ("an_object", "Callback an_object() returned object: give back requests, items or None"),
        ("unknown_callback", "Callback parse_bok() does not exist: Mistakes has no such method"),
        ("unknown_errback", "Callback faild() does not exist: Mistakes has no such method"),
        ("parse_bok", "Callback parse_bok() does not exist"),
        ("not_a_method", "Callback not_a_method() does not exist"),
        ("parse", "Callback parse() raised NotImplementedError: Mistakes has no parse() method"),
    ],
)
async def test_a_mistake_is_said_in_words(callback: str, said: str):
    with pytest.raises(CallbackError) as caught:
        await outputs(callback, Mistakes())
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("callback", ["a_bug", "an_async_bug", "an_awaited_bug"])
async def test_what_a_callback_raises_is_the_cause(callback: str):
    with pytest.raises(CallbackError, match=f"{callback}.. raised KeyError: 'price'") as caught:
        await outputs(callback, Mistakes())
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.reason == f"callback {callback}() raised KeyError"


@pytest.mark.parametrize("decision", [Retry("captcha"), StopCrawl("enough"), DropItem("no")])
async def test_a_decision_comes_through(decision: Exception):
    class Decided(Spider):
        name = "decided"

        def parse(self, response: Response):
            raise decision

    with pytest.raises(type(decision)):
        await outputs("parse", Decided())
