"""The quotes site lets in whoever logs in, and gives its hundred quotes to nobody else."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from selectolax.lexbor import LexborHTMLParser

from scraper.demo import quotes
from scraper.demo.proverbs import QUOTES


@pytest.fixture
async def visitor() -> AsyncIterator[aiohttp.ClientSession]:
    async with quotes({}) as url, browser(url) as session:
        yield session


async def test_logging_in_opens_the_api(visitor):
    async with await log_in(visitor) as home:
        tree = LexborHTMLParser(await home.text())
    assert home.url.path == "/"
    assert home.history[0].status == 303
    assert tree.css_first("span.user").text() == "Zoé <admin>"
    assert tree.css_first('a[href="/logout"]')
    async with visitor.get(tree.css_first('a[href^="/api"]').attributes["href"]) as response:
        assert (await response.json())["page"] == 1


async def test_the_api_gives_a_hundred_quotes_in_ten_pages(visitor):
    await log_in(visitor)
    pages = []
    while not pages or pages[-1]["has_next"]:
        async with visitor.get("/api/quotes", params={"page": len(pages) + 1}) as response:
            pages.append(await response.json())
    found = [
        (quote["text"], quote["author"], tuple(quote["tags"])) for page in pages for quote in page["quotes"]
    ]
    assert [len(page["quotes"]) for page in pages] == [10] * 10
    assert found == [(quote.text, quote.author, quote.tags) for quote in QUOTES]
    assert len({text for text, _, _ in found}) == 100


@pytest.mark.parametrize("page", ["0", "11", "-1", "two", "9" * 5000])
async def test_a_page_that_does_not_exist_is_not_found(visitor, page):
    await log_in(visitor)
    async with visitor.get("/api/quotes", params={"page": page}) as response:
        assert response.status == 404
        assert "no page" in (await response.json())["error"]


async def test_the_api_refuses_strangers(visitor):
    async with visitor.get("/api/quotes?page=1") as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"].startswith("Cookie ")
        assert await response.json() == {"error": "Log in at /login first."}


@pytest.mark.parametrize("forged", ["616263.", "616263.0123", "nonsense", "é.é"])
async def test_a_forged_session_is_a_strangers(visitor, forged):
    async with visitor.get("/api/quotes", headers={"Cookie": f"session={forged}"}) as response:
        assert response.status == 401


async def test_the_home_page_shows_strangers_the_way_in(visitor):
    async with visitor.get("/") as response:
        tree = LexborHTMLParser(await response.text())
    assert tree.css_first('a[href="/login"]')
    assert not tree.css('a[href="/logout"]')


@pytest.mark.parametrize("token", ["", "0123", "é"])
async def test_a_wrong_token_is_forbidden(visitor, token):
    await csrf_token(visitor)
    async with visitor.post(
        "/login", data={"csrf_token": token, "username": "a", "password": "b"}
    ) as response:
        assert response.status == 403


async def test_a_token_is_worth_nothing_without_its_cookie(visitor):
    token = await csrf_token(visitor)
    visitor.cookie_jar.clear()
    async with visitor.post(
        "/login", data={"csrf_token": token, "username": "a", "password": "b"}
    ) as response:
        assert response.status == 403


async def test_an_empty_name_brings_the_form_back(visitor):
    token = await csrf_token(visitor)
    async with visitor.post(
        "/login", data={"csrf_token": token, "username": "", "password": "b"}
    ) as response:
        tree = LexborHTMLParser(await response.text())
    assert response.status == 400
    assert tree.css_first("p.error")
    assert tree.css_first("input[name=csrf_token]").attributes["value"] == token


async def test_logging_out_ends_the_session(visitor):
    await log_in(visitor)
    await visitor.get("/logout")
    async with visitor.get("/api/quotes") as response:
        assert response.status == 401


async def test_a_session_outlives_the_server():
    state: dict[str, int] = {}
    async with quotes(state) as url:
        session = browser(url)
        await log_in(session)
    async with session, quotes(state), session.get("/api/quotes") as response:
        assert response.status == 200


def browser(url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        url, cookie_jar=aiohttp.CookieJar(unsafe=True)
    )  # unsafe: cookies of an IP address


async def csrf_token(visitor: aiohttp.ClientSession) -> str:
    async with visitor.get("/login") as response:
        form = LexborHTMLParser(await response.text()).css_first("form[action='/login'][method=post]")
    return form.css_first("input[type=hidden][name=csrf_token]").attributes["value"]


async def log_in(visitor: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    fields = {"csrf_token": await csrf_token(visitor), "username": "Zoé <admin>", "password": "secret"}
    return await visitor.post("/login", data=fields)
