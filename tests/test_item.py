"""An item never breaks its page: what is wrong with it is kept with it, and said field by field."""

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    computed_field,
    field_validator,
    model_validator,
)

from scraper.item import Item, encode_item, field_names, is_item, kind_of, problems


class Author(Item):
    name: str
    born: int = 0


class Book(Item):
    title: str
    price: Decimal
    tags: list[str] = Field(default_factory=list)
    author: Author | None = None


class Spelled(Item):
    model_config = ConfigDict(serialize_by_alias=True)

    isbn: str = Field(serialization_alias="ISBN")
    secret: str = Field("", exclude=True)

    @computed_field
    @property
    def digits(self) -> int:
        return len(self.isbn)


@dataclass
class Quote:
    text: str
    tags: list[str] = field(default_factory=list)


class Colour(Enum):
    RED = "red"


def is_rejected(item: Any) -> bool:
    try:
        encode_item(item)
    except (ValidationError, ValueError, TypeError):
        return True
    return False


# ── good items ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_item_is_converted_and_encoded():
    book = Book(title="Faust", price="7.90", tags=("a", "b"), author={"name": "Goethe"})
    assert (book.price, book.tags) == (Decimal("7.90"), ["a", "b"])
    assert json.loads(encode_item(book)) == {
        "title": "Faust",
        "price": "7.90",
        "tags": ["a", "b"],
        "author": {"name": "Goethe", "born": 0},
    }


def test_an_encoded_item_is_one_line_of_utf_8():
    assert encode_item(Author(name="Gö\nthe\u2028")) == '{"name":"Gö\\nthe\u2028","born":0}'.encode()


def test_aliases_exclusions_and_computed_fields_are_as_the_class_says():
    item = Spelled(isbn="123", secret="x")
    assert json.loads(encode_item(item)) == {"ISBN": "123", "digits": 3}
    assert field_names(item) == ["ISBN", "digits"]


@pytest.mark.parametrize("item", [Book(title="x", price=1), Spelled(isbn="1"), Quote("x")])
def test_the_fields_that_a_class_promises_are_the_fields_that_it_writes(item):
    assert field_names(item) == list(json.loads(encode_item(item)))


def test_a_dict_promises_no_fields():
    assert field_names({"a": 1}) is None


def test_a_computed_field_is_promised_under_the_name_that_it_is_written_with():
    class Priced(Item):
        model_config = ConfigDict(serialize_by_alias=True)

        @computed_field(alias="inTotal")
        @property
        def total(self) -> int:
            return 1

    assert field_names(Priced()) == list(json.loads(encode_item(Priced())))


# ── bad items ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"title": "x", "price": "free"},
        {"title": None, "price": 1},
        {"title": "x", "price": 1, "pirce": 2},
        {"title": "x", "price": 1, "author": {"name": 5}},
        {"title": object(), "price": []},
    ],
)
def test_a_bad_value_never_raises_inside_the_callback_and_rejects_the_item(values):
    book = Book(**values)
    with pytest.raises(ValidationError):
        encode_item(book)


anything = st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text()) | st.builds(object)
names = st.sampled_from(["title", "price", "tags", "author", "typo", "_private", "model_fields", ""])


@settings(deadline=None, database=None)
@given(st.dictionaries(names, anything))
def test_no_values_whatever_raise(values):
    assert isinstance(Book(**values), Book)


def test_a_field_may_have_any_name_that_python_allows():
    class Tag(Item):
        self: str
        cls: str

    assert json.loads(encode_item(Tag(self="a", cls="b"))) == {"self": "a", "cls": "b"}


def test_a_rejected_item_still_shows_its_values():
    assert vars(Book(title="Faust", price="free")) == {
        "title": "Faust",
        "price": "free",
        "tags": [],
        "author": None,
    }


def test_what_is_wrong_is_said_field_by_field():
    book = Book(price="free", tags=["a", 5])
    with pytest.raises(ValidationError) as raised:
        encode_item(book)
    said = {problem["field"]: (problem["problem"], problem["value"]) for problem in problems(raised.value)}
    assert set(said) == {"title", "price", "tags.1"}
    assert said["title"][0] == "Field required"
    assert said["price"][1] == "'free'"


def test_a_huge_value_is_not_repeated_whole():
    with pytest.raises(ValidationError) as raised:
        encode_item(Book(title="x", price="9" * 10_000 + "x"))
    assert all(len(problem["value"]) <= 200 for problem in problems(raised.value))


def test_other_errors_are_said_too():
    assert problems(ValueError("no room")) == [{"field": "", "problem": "no room", "value": ""}]


def test_model_validate_raises_at_once():
    with pytest.raises(ValidationError):
        Book.model_validate({"title": "x"})


def test_a_bad_assignment_raises_at_its_own_line():
    book = Book(title="x", price=1)
    with pytest.raises(ValidationError):
        book.price = "free"


def test_a_value_that_was_spoiled_afterwards_is_found_out_by_the_next_check():
    book = Book(title="x", price=1)
    book.tags.append(5)
    with pytest.raises(ValidationError):
        Book.model_validate(book)


def test_validators_of_the_class_are_asked():
    class Even(Item):
        n: int

        @field_validator("n")
        @classmethod
        def even(cls, n: int) -> int:
            if n % 2:
                raise ValueError("odd")
            return n

        @model_validator(mode="after")
        def small(self) -> "Even":
            if self.n > 10:
                raise ValueError("large")
            return self

    assert not is_rejected(Even(n=2))
    assert is_rejected(Even(n=1))
    assert is_rejected(Even(n=12))


def test_a_class_that_reckons_after_its_checks_never_raises_inside_the_callback():
    class Priced(Item):
        price: Decimal

        def model_post_init(self, context: Any) -> None:
            self.price.quantize(Decimal(1))

    assert not is_rejected(Priced(price="5"))
    assert is_rejected(Priced(price="free"))
    assert is_rejected(Priced())


# ── nested items ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("author", [Author(name=5), Author(), Author(name="x", born="long ago")])
def test_a_bad_item_inside_an_item_rejects_both(author):
    assert is_rejected(author)
    assert is_rejected(Book(title="x", price=1, author=author))


def test_a_typo_in_an_item_inside_an_item_rejects_both():
    assert is_rejected(Book(title="x", price=1, author=Author(name="x", brn=1749)))


class Shelf(Item):
    books: list[Book]


def test_bad_items_in_a_list_reject_the_whole():
    good = Book(title="x", price=1)
    assert not is_rejected(Shelf(books=[good]))
    assert is_rejected(Shelf(books=[good, Book(title="y", price="free")]))


@pytest.mark.parametrize(
    "bad", [Author(name=5), Author(), Author(name="x", brn=1)], ids=["value", "missing", "typo"]
)
def test_a_bad_item_inside_a_dict_or_a_dataclass_rejects_the_whole(bad):
    assert is_rejected({"author": bad})
    assert is_rejected({"authors": [bad]})
    assert is_rejected(Quote("x", tags=[bad]))


# ── dicts and dataclasses ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (Decimal("1.10"), "1.10"),
        ({"b", "a"}, ["a", "b"]),
        (frozenset([3]), [3]),
        ((1, 2), [1, 2]),
        (datetime(2030, 1, 1, tzinfo=UTC), "2030-01-01T00:00:00+00:00"),
        (date(2030, 1, 1), "2030-01-01"),
        (Colour.RED, "red"),
        (MappingProxyType({"a": Decimal(1)}), {"a": "1"}),
        (Quote("t"), {"text": "t", "tags": []}),
        (Author(name="n"), {"name": "n", "born": 0}),
    ],
)
def test_values_are_written_as_people_expect_them(value, encoded):
    assert json.loads(encode_item({"value": value})) == {"value": encoded}


@pytest.mark.parametrize("value", [object(), b"bytes", {1: 2}, 2**70, "\ud800", lambda: None])
def test_what_json_can_not_hold_rejects_the_item(value):
    with pytest.raises((TypeError, ValueError)):
        encode_item({"value": value})


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ({"a": 1}, "dict"),
        (OrderedDict(a=1), "dict"),
        (MappingProxyType({"a": 1}), "dict"),
        (Quote("x"), "Quote"),
        (Author(name="x"), "Author"),
        (Author(), "Author"),
    ],
)
def test_dicts_dataclasses_and_models_are_items(output, kind):
    assert is_item(output)
    assert kind_of(output) == kind
    assert not isinstance(output, Author) or isinstance(output, BaseModel)


@pytest.mark.parametrize("output", [None, "text", 5, ["list"], Quote, Author, object()])
def test_nothing_else_is_an_item(output):
    assert not is_item(output)
