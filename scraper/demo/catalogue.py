"""The bookshop's stock: 1,000 invented books in 50 categories, the same on every machine."""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from scraper.demo.author import Author, Dice

SEED = 1963
WITHOUT_DESCRIPTION = 0.008  # share of the books; the real shop has a few as well
FIRST_CATEGORY = 2  # in URLs; 1 is "Books", the category of them all

# (name, theme, number of books); 1,000 in all, as uneven as a real shop's shelves.
SHELVES = (
    ("Travel", "place", 11),
    ("Mystery", "novel", 32),
    ("Historical Fiction", "novel", 26),
    ("Graphic Novels", "wonder", 75),
    ("Classics", "novel", 20),
    ("Philosophy", "fact", 11),
    ("Romance", "novel", 35),
    ("Family Sagas", "novel", 17),
    ("Fiction", "novel", 65),
    ("Childrens", "young", 29),
    ("Religion", "fact", 7),
    ("Nonfiction", "fact", 110),
    ("Music", "fact", 13),
    ("Miscellany", "novel", 132),
    ("Science Fiction", "wonder", 16),
    ("Sports and Games", "self", 5),
    ("Poetry", "verse", 67),
    ("Fantasy", "wonder", 48),
    ("New Adult", "young", 6),
    ("Young Adult", "young", 54),
    ("Science", "fact", 14),
    ("Plays", "verse", 21),
    ("Paranormal", "wonder", 1),
    ("Art", "fact", 8),
    ("Psychology", "self", 7),
    ("Autobiography", "place", 9),
    ("Parenting", "self", 1),
    ("Adult Fiction", "novel", 1),
    ("Humor", "self", 10),
    ("Horror", "wonder", 17),
    ("History", "fact", 18),
    ("Food and Drink", "table", 40),
    ("Gardening", "table", 6),
    ("Business", "self", 12),
    ("Biography", "place", 5),
    ("Thriller", "novel", 11),
    ("Contemporary", "novel", 3),
    ("Spirituality", "self", 6),
    ("Academic", "fact", 1),
    ("Self Help", "self", 5),
    ("Historical", "fact", 2),
    ("Crafts & Hobbies", "table", 3),
    ("Suspense", "novel", 1),
    ("Short Stories", "novel", 1),
    ("Novels", "novel", 1),
    ("Health", "self", 4),
    ("Politics", "fact", 3),
    ("Cultural", "place", 1),
    ("Essays", "fact", 8),
    ("Crime", "novel", 1),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A shelf of the shop; its number is the one in its URL."""

    number: int
    name: str

    @property
    def path(self) -> str:
        return f"{slug(self.name)}_{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One product as its page must show it; an empty description is left out of the page."""

    number: int
    title: str
    category: Category
    price: Decimal
    rating: int
    stock: int
    upc: str
    description: str

    @property
    def path(self) -> str:
        return f"{slug(self.title)}_{self.number}"


@cache
def categories() -> tuple[Category, ...]:
    return tuple(
        Category(number=n, name=name) for n, (name, _, _) in enumerate(SHELVES, start=FIRST_CATEGORY)
    )


@cache
def books() -> tuple[Book, ...]:
    """Every book in the order of the catalogue: number 1000 first, 1 last."""
    publisher = Publisher(Dice(SEED))
    return tuple(publisher.print_run())


@cache
def books_in(category: Category) -> tuple[Book, ...]:
    return tuple(book for book in books() if book.category == category)


@cache
def slug(title: str) -> str:
    """Words of ASCII letters and digits joined by hyphens, as in a URL."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", plain)).strip("-")


class Publisher:
    """Brings out one book after another, with no title and no UPC twice."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._titles: set[str] = set()
        self._upcs: set[str] = set()

    def print_run(self) -> list[Book]:
        shelves = zip(categories(), SHELVES, strict=True)
        orders = [(category, theme) for category, (_, theme, size) in shelves for _ in range(size)]
        numbers = range(len(orders), 0, -1)
        shuffled = self._dice.shuffled(orders)
        return [self._book(number, *order) for number, order in zip(numbers, shuffled, strict=True)]

    def _book(self, number: int, category: Category, theme: str) -> Book:
        author, title = self._titled(theme)
        return Book(
            number=number,
            title=title,
            category=category,
            price=Decimal(self._dice.number(1000, 5999)).scaleb(-2),
            rating=self._dice.number(1, 5),
            stock=self._dice.number(1, 22),
            upc=self._upc(),
            description="" if self._dice.chance(WITHOUT_DESCRIPTION) else author.blurb(theme),
        )

    def _titled(self, theme: str) -> tuple[Author, str]:
        while True:
            author = Author(self._dice)
            title = author.title(theme)
            if title not in self._titles:
                self._titles.add(title)
                return author, title

    def _upc(self) -> str:
        while True:
            upc = "".join(f"{self._dice.number(0, 0xFFFF):04x}" for _ in range(4))
            if upc not in self._upcs:
                self._upcs.add(upc)
                return upc
