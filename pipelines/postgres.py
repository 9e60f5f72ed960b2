"""Postgres: writes items into a table of PostgreSQL, one row each, however often their page is fetched.

pipelines = [{ use = "pipelines.postgres:Postgres", dsn = "postgresql://localhost/shop", table = "books" }]
"""

import re
from collections.abc import Sequence
from typing import Any, Self

from scraper.errors import UsageError
from scraper.item import Source, encode_item, kind_of

try:
    import psycopg
    from psycopg import sql
except ImportError as missing:
    raise UsageError(
        "pipelines/postgres.py needs a driver: run `pip install 'psycopg[binary]'`."
    ) from missing

TABLE = """CREATE TABLE IF NOT EXISTS {} (item_id bytea PRIMARY KEY, kind text NOT NULL, url text NOT NULL,
    item jsonb NOT NULL, updated timestamptz NOT NULL DEFAULT now())"""

# The batch may have been written before: by a life that was killed before its commit, or by yesterday's crawl.
UPSERT = """INSERT INTO {} (item_id, kind, url, item) VALUES (%s, %s, %s, %s)
    ON CONFLICT (item_id) DO UPDATE SET url = excluded.url, item = excluded.item, updated = now()"""

NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")  # in JSON; PostgreSQL's text can't hold it (its manual, §8.14)


class Postgres:
    """`dsn` as libpq reads it; what it leaves out is in PGHOST, PGUSER, PGPASSWORD … or ~/.pgpass."""

    def __init__(self, dsn: str = "", table: str = "items") -> None:
        self._dsn = dsn
        self._table = sql.Identifier(*table.split("."))

    async def __aenter__(self) -> Self:
        try:
            await self._connect()
            await self._base.execute(sql.SQL(TABLE).format(self._table))
        except psycopg.Error as error:
            raise UsageError(f"pipelines/postgres.py can't begin: {error}".rstrip()) from error
        return self

    async def process_item(self, item: Any, source: Source) -> Any:
        return item

    async def process_batch(self, items: Sequence[tuple[Any, Source]]) -> None:
        """All of them or none; what fails is tried again, in a while."""
        rows = [(source.item_id, kind_of(item), source.url, _json(item)) for item, source in items]
        if self._base.closed:  # the server was gone the last time
            await self._connect()
        async with self._base.transaction(), self._base.cursor() as cursor:
            await cursor.executemany(sql.SQL(UPSERT).format(self._table), rows)

    async def __aexit__(self, *_: object) -> None:
        await self._base.close()

    async def _connect(self) -> None:
        self._base = await psycopg.AsyncConnection.connect(self._dsn, autocommit=True)


def _json(item: Any) -> str:
    return NUL.sub(r"\1\\ufffd", encode_item(item).decode())
