"""What this repository shows is run: its spiders, its pipelines, its middlewares, the README's first spider."""

import asyncio
import csv
import hmac
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from middlewares.signing import Signing
from pipelines.tidy import Tidy
from scraper import Item, Request, Response
from scraper.demo import bookshop
from scraper.item import Source

REPOSITORY = Path(__file__).parents[1]
PROJECT = ("spiders", "pipelines", "middlewares")
SOURCE = Source(bytes(16), "https://shop.example/", Request("https://shop.example/"))


@pytest.fixture
def project(tmp_path) -> Path:
    """This repository's own project, in a folder where its runs do not matter."""
    for folder in PROJECT:
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    shutil.copy(REPOSITORY / "settings.toml", tmp_path)
    return tmp_path


async def scrape(*typed: str, at: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "scraper", *typed, cwd=at)
    assert await process.wait() == 0


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


# ── spiders ──────────────────────────────────────────────────────────────────────────────────────────────


async def test_books_brings_1000_books(project):
    await scrape("crawl", "books", "-o", "books.jsonl", at=project)
    books = records(project / "books.jsonl")
    assert len({book["upc"] for book in books}) == len(books) == 1_000
    assert all(1 <= book["rating"] <= 5 and book["title"] and book["category"] for book in books)


async def test_quotes_logs_in_and_brings_100_quotes(project):
    await scrape("crawl", "quotes", "-o", "quotes.jsonl", at=project)
    quotes = records(project / "quotes.jsonl")
    assert len({quote["text"] for quote in quotes}) == len(quotes) == 100
    assert all(quote["author"] and quote["tags"] for quote in quotes)


async def test_the_readmes_first_spider(tmp_path):
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    block = re.search(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    if block is None:
        pytest.skip("The README shows no spider.")
    async with bookshop({}) as url:
        (tmp_path / "shop.py").write_text(block[1].replace("https://books.toscrape.com/", url), "utf-8")
        await scrape("run", "shop.py", "-o", "shop.csv", at=tmp_path)
    with (tmp_path / "shop.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1_000
    assert all(value for row in rows for value in row.values())


# ── pipelines ────────────────────────────────────────────────────────────────────────────────────────────


class Book(Item):
    title: str
    pages: int | None = None


@dataclass
class Film:
    title: str
    minutes: int | None = None


@pytest.mark.parametrize(
    ("item", "tidied"),
    [
        ({"title": " Up\n", "pages": 3}, {"title": "Up", "pages": 3}),
        (Book(title="\t Up "), Book(title="Up")),
        (Film(" Up "), Film("Up")),
    ],
)
async def test_tidy_trims_every_text(item, tidied):
    assert await Tidy().process_item(item, SOURCE) == tidied


# ── middlewares ──────────────────────────────────────────────────────────────────────────────────────────


async def test_signing_signs_the_url_and_keeps_the_other_headers():
    sent = []

    async def web(request: Request) -> Response:
        sent.append(request)
        return Response(request.url, 200, CIMultiDict(), b"", request)

    request = Request("https://shop.example/?page=2", headers={"Accept": "text/html"})
    await Signing("secret")(request, web)
    signature = hmac.new(b"secret", b"https://shop.example/?page=2", "sha256").hexdigest()
    assert dict(sent[0].headers) == {"Accept": "text/html", "X-Signature": signature}


async def test_the_lines_that_the_examples_name_turn_them_on(project):
    texts = [(project / file).read_text("utf-8") for file in ("pipelines/tidy.py", "middlewares/signing.py")]
    lines = [re.search(r"^ *(?:pipelines|middlewares) = .*\n", text, re.MULTILINE)[0] for text in texts]
    settings = project / "settings.toml"
    settings.write_text("".join(lines) + settings.read_text("utf-8"), "utf-8")
    await scrape("crawl", "quotes", "-a", "author=Japanese", "-o", "quotes.jsonl", at=project)
    authors = {quote["author"] for quote in records(project / "quotes.jsonl")}
    assert authors
    assert all("Japanese" in author for author in authors)
