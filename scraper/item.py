"""Item: what a spider takes from a page, validated, and the record that is kept of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError
from pydantic._internal._model_construction import ModelMetaclass

if TYPE_CHECKING:
    from scraper.request import Request

REJECTED = "!rejected"  # the kind under which a run keeps what was rejected; no class can have that name


class ItemMeta(ModelMetaclass):
    """Calling an item class never raises for bad values: the page goes on, the exporter rejects the item."""

    def __call__(cls, /, *args: Any, **values: Any) -> Any:  # noqa: N805  # a metaclass
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            return _unchecked(cls, values, error)


def _unchecked(model: Any, values: dict[str, Any], error: ValidationError) -> Any:
    """An instance that holds the values as they came and knows what is wrong with them; no user code is run."""
    optional = {name: field for name, field in model.model_fields.items() if not field.is_required()}
    defaults = {
        name: field.get_default(call_default_factory=True, validated_data=values)
        for name, field in optional.items()
    }
    private = {name: attribute.get_default() for name, attribute in model.__private_attributes__.items()}
    item = model.__new__(model)
    object.__setattr__(item, "__dict__", defaults | values)
    object.__setattr__(item, "__pydantic_fields_set__", set(values))
    object.__setattr__(item, "__pydantic_extra__", None)
    object.__setattr__(item, "__pydantic_private__", private | {"_invalid": error})
    return item


class Item(BaseModel, metaclass=ItemMeta):
    """One thing scraped. Subclass it with the fields you want:

        class Book(Item):
            title: str
            price: Decimal

    `Book(price="free")` does not raise inside the callback, which would lose the rest of the page: the item
    is counted as rejected, logged with its URL and field, and written to the run's rejected.jsonl.
    `Book.model_validate({...})` raises at once.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, revalidate_instances="always")
    _invalid: ValidationError | None = PrivateAttr(default=None)


@dataclass(frozen=True, slots=True)
class Source:
    """Where an item comes from. `item_id` (16 bytes) is the same whenever its page is fetched again."""

    item_id: bytes
    url: str
    request: Request


@dataclass(frozen=True, slots=True)
class Record:
    """An item as it is kept: `kind` is its class's name, `json` its encoded value."""

    item_id: bytes
    kind: str
    json: bytes


def is_item(output: Any) -> bool:
    return isinstance(output, BaseModel | Mapping) or (
        dataclasses.is_dataclass(output) and not isinstance(output, type)
    )


def kind_of(item: Any) -> str:
    return "dict" if isinstance(item, Mapping) else type(item).__name__


def field_names(item: Any) -> list[str] | None:
    """The columns an item's class promises, in order; None for a dict, which promises nothing."""
    if isinstance(item, BaseModel):
        model = type(item)
        by_alias = model.model_config.get("serialize_by_alias")
        shown = {name: field for name, field in model.model_fields.items() if not field.exclude}
        named = [(field.serialization_alias if by_alias else None) or name for name, field in shown.items()]
        computed = model.model_computed_fields.items()
        return [*named, *((field.alias if by_alias else None) or name for name, field in computed)]
    if dataclasses.is_dataclass(item):
        return [field.name for field in dataclasses.fields(item)]
    return None


def encode_item(item: Any) -> bytes:
    """JSON (UTF-8, no line break). Raises ValidationError for an invalid Item, TypeError for what JSON can't hold."""
    if isinstance(item, BaseModel):
        if isinstance(item, Item) and item._invalid is not None:
            raise item._invalid
        return item.__pydantic_serializer__.to_json(item)
    return orjson.dumps(item, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has no word for, as people expect it: a Decimal as a string, a set as a list."""
    if isinstance(value, Item) and value._invalid is not None:
        raise value._invalid
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    if type(value).__name__ == "Decimal":
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def problems(error: Exception) -> list[dict[str, str]]:
    """What is wrong with an item, field by field, in words."""
    if isinstance(error.__cause__, ValidationError):  # an item inside a dict
        error = error.__cause__
    if isinstance(error, ValidationError):
        return [
            {
                "field": ".".join(map(str, part["loc"])),
                "problem": part["msg"],
                "value": repr(part["input"])[:200],
            }
            for part in error.errors(include_url=False, include_context=False)
        ]
    return [{"field": "", "problem": str(error), "value": ""}]
