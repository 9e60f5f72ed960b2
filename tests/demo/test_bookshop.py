"""The bookshop shows its whole catalogue, in the structure of the site that it is modelled on."""

import asyncio
import json
import tarfile
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin
from xml.etree import ElementTree

import aiohttp
import pytest
from selectolax.lexbor import LexborHTMLParser, LexborNode

from scraper.demo import bookshop
from scraper.demo.bookshop import pages
from scraper.demo.catalogue import Book, books, books_in, categories, slug
from scraper.demo.pages import RATINGS, catalogue_page, category_page, product_page

CATALOGUE_SHA256 = "207baacac135b42e3c6fbd401adb7743f73456c1e31d7b4778032bcba4cb0bb7"
REAL_PAGES = Path(__file__).parents[3] / "shared" / "corpora" / "books.tar.gz"


class Site(NamedTuple):
    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str) -> str:
        async with self.session.get(urljoin(self.url, path), raise_for_status=True) as response:
            return await response.text("utf-8")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with bookshop({}) as url, aiohttp.ClientSession() as session:
        yield Site(url, session)


async def test_a_thousand_products_are_reached_by_next_and_product_links(site):
    products: set[str] = set()
    listing = "/"
    while listing:
        tree = LexborHTMLParser(await site.get(listing))
        products.update(urljoin(urljoin(site.url, listing), a.attributes["href"]) for a in tree.css("h3 a"))
        following = tree.css_first("ul.pager li.next a")
        listing = urljoin(listing, following.attributes["href"]) if following else ""
    shown = await asyncio.gather(*map(site.get, products))
    upcs = {LexborHTMLParser(page).css_first("table.table-striped td").text() for page in shown}
    assert len(products) == 1000
    assert upcs == {book.upc for book in books()}


def test_every_product_page_shows_its_record():
    for book in books():
        assert read(product_page(book)) == record(book)


def test_every_link_leads_to_a_page_of_the_shop():
    for path, render in pages().items():
        for link in LexborHTMLParser(render()).css("a"):
            assert urljoin(path, link.attributes["href"]) in pages()


def test_the_catalogue_is_the_same_everywhere():
    assert sha256(json.dumps([record(book) for book in books()]).encode()).hexdigest() == CATALOGUE_SHA256


def test_the_stock_has_what_real_stock_has():
    descriptions = [book.description for book in books()]
    assert len({book.title for book in books()}) == len({book.upc for book in books()}) == 1000
    assert all(Decimal("10.00") <= book.price <= Decimal("59.99") for book in books())
    assert {book.rating for book in books()} == set(range(1, 6))
    assert {book.stock for book in books()} == set(range(1, 23))
    assert 1 <= descriptions.count("") <= 20
    assert all(any(mark in text for text in descriptions) for mark in "é—“”&<>½")


def test_categories_are_uneven_shelves():
    sizes = Counter({category.name: len(books_in(category)) for category in categories()})
    assert len(categories()) == len(sizes) == 50
    assert sizes.total() == 1000
    assert min(sizes.values()) == 1
    assert max(sizes.values()) > 100


@pytest.mark.parametrize(
    ("name", "pager"),
    [("Travel", None), ("Classics", None), ("Plays", "Page 1 of 2"), ("Food and Drink", "Page 1 of 2")],
)
def test_a_category_has_a_pager_only_when_it_needs_one(name, pager):
    category = next(category for category in categories() if category.name == name)
    current = LexborHTMLParser(category_page(category, 1)).css_first("ul.pager li.current")
    assert (current.text(strip=True) if current else None) == pager


def test_a_pager_leads_back_as_well():
    tree = LexborHTMLParser(catalogue_page(2))
    assert tree.css_first("li.previous a").attributes["href"] == "page-1.html"
    assert tree.css_first("li.current").text(strip=True) == "Page 2 of 50"


def test_a_listing_clips_long_titles_and_keeps_them_whole_in_an_attribute():
    links = LexborHTMLParser(catalogue_page(1)).css("article.product_pod h3 a")
    clipped = [link for link in links if link.text() != link.attributes["title"]]
    assert [link.attributes["title"] for link in links] == [book.title for book in books()[:20]]
    assert clipped
    assert all(link.text() == " ".join(link.attributes["title"].split()[:4]) + " ..." for link in clipped)


async def test_the_sitemap_lists_every_product_under_the_host_that_was_asked(site):
    root = ElementTree.fromstring(await site.get("/sitemap.xml"))
    urls = [element.text for element in root.iterfind("{*}url/{*}loc")]
    assert urls == [f"{site.url}catalogue/{book.path}/index.html" for book in books()]


async def test_robots_txt_names_a_closed_path_and_the_sitemap(site):
    robots = await site.get("/robots.txt")
    assert "Disallow: /basket/\n" in robots
    assert f"Sitemap: {site.url}sitemap.xml\n" in robots


async def test_the_charset_is_told_by_the_page_alone_as_on_the_real_site(site):
    async with site.session.get(site.url) as response:
        assert response.headers["Content-Type"] == "text/html"
        assert b"charset=UTF-8" in await response.content.read(1024)


@pytest.mark.parametrize(
    "path", ["/nowhere", "/catalogue/page-51.html", "/catalogue/another-title_1000/index.html"]
)
async def test_any_other_path_is_not_found(site, path):
    async with site.session.get(urljoin(site.url, path)) as response:
        assert response.status == 404
        assert path in await response.text()


def test_slugs_are_plain_ascii():
    assert slug("Zoé & the Queen's “Søt” Café: Vol. 2 (#1)") == "zoe-the-queens-st-cafe-vol-2-1"


@pytest.mark.skipif(
    not REAL_PAGES.exists(), reason="the real pages are in ../shared/corpora, which isn't here"
)
@pytest.mark.parametrize("position", [1, 2, 8, 10])
def test_a_product_page_has_the_elements_of_the_real_one(position):
    assert outline(product_page(books()[position - 1])) == outline(real_page(position))


@pytest.mark.skipif(
    not REAL_PAGES.exists(), reason="the real pages are in ../shared/corpora, which isn't here"
)
def test_a_page_without_description_has_the_elements_of_the_real_one():
    ours = next(book for book in books()[6:] if not book.description)
    assert outline(product_page(ours)) == outline(real_page(158))


def real_page(number: int) -> str:
    with tarfile.open(REAL_PAGES) as archive:
        page = archive.extractfile(f"books/{number}.html")
        assert page is not None
        return page.read().decode()


def outline(page: str) -> list[str]:
    """Every element of a page in order, as its CSS path: tags, ids and classes without any content."""
    return [css_path(node) for node in LexborHTMLParser(page).css("*")]


def css_path(node: LexborNode | None) -> str:
    steps: list[str] = []
    while node is not None and node.tag != "-undef":
        classes = [f".{name}" for name in (node.attributes.get("class") or "").split() if name not in RATINGS]
        steps.insert(0, "".join([node.tag or "", *classes, f"#{node.id}" if node.id else ""]))
        node = node.parent
    return " > ".join(steps)


def record(book: Book) -> dict[str, str]:
    return {
        "title": book.title,
        "category": book.category.name,
        "price": f"£{book.price:.2f}",
        "rating": RATINGS[book.rating - 1],
        "stock": f"In stock ({book.stock} available)",
        "upc": book.upc,
        "description": book.description,
    }


def read(page: str) -> dict[str, str]:
    """What a spider would take from a product page; the table must agree with what stands above it."""
    tree = LexborHTMLParser(page)
    table = {
        row.css_first("th").text(): row.css_first("td").text() for row in tree.css("table.table-striped tr")
    }
    found = {
        "title": tree.css_first("div.product_main h1").text(),
        "category": tree.css("ul.breadcrumb li a")[2].text(),
        "price": tree.css_first("p.price_color").text(),
        "rating": tree.css_first("p.star-rating").attributes["class"].split()[1],
        "stock": tree.css_first("p.instock.availability").text(strip=True),
        "upc": table["UPC"],
        "description": "".join(node.text() for node in tree.css("#product_description + p")),
    }
    assert table["Price (excl. tax)"] == table["Price (incl. tax)"] == found["price"]
    assert table["Availability"] == found["stock"]
    return found
