"""Tidy: trims white space around every text of an item.

pipelines = ["pipelines.tidy:Tidy"]
"""

from typing import Any

from scraper.item import Source


class Tidy:
    async def process_item(self, item: Any, source: Source) -> Any:
        names = item if isinstance(item, dict) else type(item).__annotations__
        for name in list(names):
            value = item[name] if isinstance(item, dict) else getattr(item, name, None)
            if isinstance(value, str) and value != value.strip():
                if isinstance(item, dict):
                    item[name] = value.strip()
                else:
                    setattr(item, name, value.strip())
        return item
