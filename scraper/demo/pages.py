"""The bookshop's pages as functions from books to HTML, with the links of books.toscrape.com."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import md5
from html import escape

from scraper.demo import templates
from scraper.demo.catalogue import Book, Category, books, books_in, categories

PAGE_SIZE = 20
RECENTLY_VIEWED = 6
WORDS_OF_A_CLIPPED_TITLE = 4
RATINGS = ("One", "Two", "Three", "Four", "Five")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page stands: the relative ways from there to the site's parts."""

    home: str
    catalogue: str
    all_books: str
    categories: str


HOME = Place("", "catalogue/", "catalogue/category/books_1/", "catalogue/category/books/")
CATALOGUE = Place("../", "", "category/books_1/", "category/books/")
PRODUCT = Place("../../", "../", "../category/books_1/", "../category/books/")
ALL_BOOKS = Place("../../../", "../../", "", "../books/")
CATEGORY = Place("../../../../", "../../../", "../../books_1/", "../")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list of books with its heading; `turn` leads from its first page to the others, `first` back."""

    place: Place
    heading: str
    books: Sequence[Book]
    category: Category | None = None
    turn: str = ""
    first: str = "index.html"


def home_page() -> str:
    listing = Listing(place=HOME, heading="All products", books=books(), turn="catalogue/")
    return _listing_page(listing, 1)


def catalogue_page(number: int) -> str:
    listing = Listing(place=CATALOGUE, heading="All products", books=books(), first="page-1.html")
    return _listing_page(listing, number)


def all_books_page(number: int) -> str:
    return _listing_page(Listing(place=ALL_BOOKS, heading="Books", books=books()), number)


def category_page(category: Category, number: int) -> str:
    """Page `number` of a category; one that fits on a single page has no pager."""
    shown = books_in(category)
    listing = Listing(place=CATEGORY, heading=category.name, books=shown, category=category)
    return _listing_page(listing, number)


def product_page(book: Book) -> str:
    category = f"{PRODUCT.categories}{book.category.path}/index.html"
    crumbs = _books_crumb(PRODUCT) + _crumb(category, book.category.name) + _here(book.title)
    return _page(PRODUCT, book.title, crumbs, _product(book), book.description)


def page_numbers(shown: Sequence[Book]) -> range:
    return range(1, -(-len(shown) // PAGE_SIZE) + 1)


def robots(base: str) -> str:
    return templates.ROBOTS.format(base=base)


def sitemap(base: str) -> str:
    """Every product's absolute URL; `base` is the site's root as the visitor calls it."""
    urls = (f"<url><loc>{escape(base)}catalogue/{book.path}/index.html</loc></url>" for book in books())
    return templates.SITEMAP.format(urls="\n".join(urls))


def not_found_page(path: str) -> str:
    return templates.NOT_FOUND.format(path=_text(path))


def _page(place: Place, title: str, breadcrumb: str, content: str, description: str = "") -> str:
    return templates.PAGE.format(
        title=_text(title),
        description=escape(description),
        home=place.home,
        breadcrumb=breadcrumb,
        content=content,
    )


def _listing_page(listing: Listing, number: int) -> str:
    shown = listing.books[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    content = templates.LISTING.format(
        sidebar=_sidebar(listing.place, listing.heading),
        heading=_text(listing.heading),
        results=_results(listing, number, len(shown)),
        warning=templates.WARNING,
        pods=_pods(shown, listing.place),
        pager=_pager(listing, number),
    )
    crumbs = (_books_crumb(listing.place) if listing.category else "") + _here(listing.heading)
    return _page(listing.place, listing.heading, crumbs, content)


@cache
def _sidebar(place: Place, current: str) -> str:
    links = "\n".join(
        templates.CATEGORY.format(
            href=f"{place.categories}{shelf.path}/index.html", text=_link_text(shelf.name, current)
        )
        for shelf in categories()
    )
    return templates.SIDEBAR.format(
        href=f"{place.all_books}index.html", text=_link_text("Books", current), categories=links
    )


def _link_text(name: str, current: str) -> str:
    return f"<strong>{_text(name)}</strong>" if name == current else _text(name)


def _results(listing: Listing, number: int, shown: int) -> str:
    total = len(listing.books)
    if total <= PAGE_SIZE:
        return f"<strong>{total}</strong> result{'s' if total > 1 else ''}."
    first = (number - 1) * PAGE_SIZE + 1
    return (
        f"<strong>{total}</strong> results - showing "
        f"<strong>{first}</strong> to <strong>{first + shown - 1}</strong>."
    )


def _pager(listing: Listing, number: int) -> str:
    pages = len(page_numbers(listing.books))
    if pages == 1:
        return ""
    back = listing.first if number == 2 else f"page-{number - 1}.html"
    return templates.PAGER.format(
        previous=_turn("previous", back) if number > 1 else "",
        page=number,
        pages=pages,
        following=_turn("next", f"{listing.turn}page-{number + 1}.html") if number < pages else "",
    )


def _turn(word: str, href: str) -> str:
    return f'<li class="{word}"><a href="{href}">{word}</a></li>\n        '


def _product(book: Book) -> str:
    return templates.PRODUCT.format(
        title=_text(book.title),
        alt=escape(book.title),
        image=_image(PRODUCT, book, "page"),
        offer=_offer(book, _stock(book)),
        stars=_stars(book, templates.REVIEWS.format(path=book.path)),
        warning=templates.WARNING,
        description=templates.DESCRIPTION.format(text=_text(book.description)) if book.description else "",
        upc=book.upc,
        price=_price(book),
        stock=_stock(book),
        viewed=_recently_viewed(book),
    )


def _recently_viewed(book: Book) -> str:
    """The books that a visitor would have passed on the way here, the latest first."""
    position = len(books()) - book.number
    viewed = books()[max(0, position - RECENTLY_VIEWED) : position]
    return templates.VIEWED.format(pods=_pods(viewed[::-1], PRODUCT)) if viewed else ""


def _pods(shown: Iterable[Book], place: Place) -> str:
    return "\n".join(_pod(book, place) for book in shown)


def _pod(book: Book, place: Place) -> str:
    return templates.POD.format(
        href=f"{place.catalogue}{book.path}/index.html",
        image=_image(place, book, "thumbnail"),
        title=escape(book.title),
        clipped=_text(_clipped(book.title)),
        stars=_stars(book),
        offer=_offer(book, "In stock"),
    )


def _offer(book: Book, stock: str) -> str:
    return templates.OFFER.format(price=_price(book), stock=stock)


def _stars(book: Book, rest: str = "") -> str:
    return templates.STARS.format(rating=RATINGS[book.rating - 1], rest=rest)


def _price(book: Book) -> str:
    return f"£{book.price}"


def _stock(book: Book) -> str:
    return f"In stock ({book.stock} available)"


def _image(place: Place, book: Book, kind: str) -> str:
    name = md5(f"{book.upc} {kind}".encode(), usedforsecurity=False).hexdigest()
    return f"{place.home}media/cache/{name[:2]}/{name[2:4]}/{name}.jpg"


def _clipped(title: str) -> str:
    words = title.split(" ")
    clipped = " ".join(words[:WORDS_OF_A_CLIPPED_TITLE])
    return clipped if len(words) <= WORDS_OF_A_CLIPPED_TITLE else f"{clipped} ..."


def _books_crumb(place: Place) -> str:
    return _crumb(f"{place.all_books}index.html", "Books")


def _crumb(href: str, text: str) -> str:
    return templates.CRUMB.format(href=href, text=_text(text))


def _here(text: str) -> str:
    return templates.HERE.format(text=_text(text))


def _text(text: str) -> str:
    return escape(text, quote=False)
