"""Exporting: an item through the pipelines, then encoded for the run and for each feed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from scraper import stats
from scraper.errors import DropItem, PipelineError
from scraper.feeds import Feeds
from scraper.fingerprints import item_id
from scraper.item import REJECTED, Item, Record, Source, encode_item, field_names, is_item, kind_of, problems
from scraper.protocols import Page, Pipeline
from scraper.urls import redact

log = structlog.get_logger()


class Exporter:
    """What a page's items become: records, drops or rejections; all of them are counted on the page."""

    def __init__(self, pipelines: Sequence[Pipeline], feeds: Feeds) -> None:
        self._pipelines = pipelines
        self._feeds = feeds
        self._batching = any(hasattr(pipeline, "process_batch") for pipeline in pipelines)

    async def export(self, item: Any, page: Page, ordinal: int, url: str) -> None:
        """Adds the item to the page. Raises PipelineError, which fails the page."""
        request = page.request
        source = Source(item_id(request.id, ordinal), url, request)
        try:
            if isinstance(item, Item) and item._invalid is not None:
                raise item._invalid  # pipelines see valid items only
            processed = await self._through_pipelines(item, source)
            record = Record(source.item_id, kind_of(processed), encode_item(processed))
            lines = self._feeds.encode(record, field_names(processed))
        except DropItem as drop:
            page.counters[stats.ITEMS_DROPPED] += 1
            page.counters[f"{stats.ITEMS_DROPPED}/{drop.reason}"] += 1
        except (ValidationError, ValueError, TypeError) as error:
            self._reject(item, error, page, source)
        else:
            page.counters[stats.ITEMS] += 1
            page.items.append(record)
            page.lines.append(lines)
            if self._batching:
                page.batch.append((processed, source))

    async def _through_pipelines(self, item: Any, source: Source) -> Any:
        for pipeline in self._pipelines:
            try:
                item = await pipeline.process_item(item, source)
            except (
                DropItem,
                ValidationError,
            ):  # a value that the item's own class refuses is the item's fault
                raise
            except Exception as error:
                raise PipelineError(type(pipeline).__name__, error) from error
            if not is_item(item):
                wrong = f"process_item() returned {type(item).__name__}: return the item, or raise DropItem"
                raise PipelineError(type(pipeline).__name__, TypeError(wrong))
        return item

    def _reject(self, item: Any, error: Exception, page: Page, source: Source) -> None:
        wrong = problems(error)
        page.counters[stats.ITEMS_REJECTED] += 1
        log.warning("item rejected", url=redact(source.url), item=kind_of(item), problems=wrong)
        kept = {"url": source.url, "kind": kind_of(item), "problems": wrong, "item": item}
        record = Record(source.item_id, REJECTED, _readable(kept))
        page.items.append(record)
        page.lines.append(self._feeds.encode(record, None))


def _readable(kept: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(kept, default=_shown, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):  # what JSON can't hold even so: half a character, a number of 70 bits
        return json.dumps(kept | {"item": repr(kept["item"])}, default=repr).encode()


def _shown(value: Any) -> Any:
    """Whatever a rejected item holds, so that a person can read it."""
    return dict(vars(value)) if hasattr(value, "__pydantic_validator__") else repr(value)
