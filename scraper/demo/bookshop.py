"""The bookshop: a site of 1,000 products with the pages, links and addresses of books.toscrape.com."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial

from aiohttp import web

from scraper.demo.catalogue import Book, books, books_in, categories
from scraper.demo.pages import (
    all_books_page,
    catalogue_page,
    category_page,
    home_page,
    not_found_page,
    page_numbers,
    product_page,
    robots,
    sitemap,
)

Render = Callable[[], str]


def bookshop_app() -> web.Application:
    pages()  # writes the books now rather than while the first visitor waits
    app = web.Application()
    app.router.add_get("/robots.txt", _robots)
    app.router.add_get("/sitemap.xml", _sitemap)
    app.router.add_get("/{path:.*}", _page)
    return app


@cache
def pages() -> Mapping[str, Render]:
    """Each path of the shop with the function that renders its page."""
    return dict(_pages())


def _pages() -> Iterator[tuple[str, Render]]:
    yield "/", home_page
    yield "/index.html", home_page
    yield from _numbered("/catalogue/", books(), catalogue_page)
    yield from _shelf("/catalogue/category/books_1/", books(), all_books_page)
    for category in categories():
        base = f"/catalogue/category/books/{category.path}/"
        yield from _shelf(base, books_in(category), partial(category_page, category))
    for book in books():
        yield f"/catalogue/{book.path}/index.html", partial(product_page, book)


def _shelf(base: str, shown: Sequence[Book], render: Callable[[int], str]) -> Iterator[tuple[str, Render]]:
    yield f"{base}index.html", partial(render, 1)
    yield from _numbered(base, shown, render)


def _numbered(base: str, shown: Sequence[Book], render: Callable[[int], str]) -> Iterator[tuple[str, Render]]:
    for number in page_numbers(shown):
        yield f"{base}page-{number}.html", partial(render, number)


async def _page(request: web.Request) -> web.Response:
    render = pages().get(request.path)
    if render is None:
        return _html(not_found_page(request.path), status=404)
    return _html(render())


async def _robots(request: web.Request) -> web.Response:
    return web.Response(text=robots(_base(request)))


async def _sitemap(request: web.Request) -> web.Response:
    return web.Response(body=sitemap(_base(request)).encode(), content_type="application/xml")


def _html(page: str, *, status: int = 200) -> web.Response:
    # as the original: no charset in the header, the page's own <meta> names it
    return web.Response(body=page.encode(), status=status, content_type="text/html")


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}/"
