"""Evidence: what the database of a run says to somebody who only looks, while its process lives or after."""

import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

PARTS = "SELECT count(part) FROM staged JOIN stages USING (page) WHERE state = 'live'"
STAGES = "SELECT state, count(part) FROM stages LEFT JOIN staged USING (page) GROUP BY page"


class Evidence:
    """Before a run has its tables, there is nothing in them."""

    def __init__(self, database: Path) -> None:
        self._database = database

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        if not self._database.is_file():
            return []
        with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True)) as base:
            made = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            return base.execute(sql).fetchall() if made else []

    @property
    def out(self) -> dict[int, int]:
        """What is out: seq → the processes that ended while its response was at hand and nobody else about."""
        return dict(self.rows("SELECT seq, began FROM delivered"))

    @property
    def stages(self) -> list[tuple[str, int]]:
        """Of pages that yield more than memory holds: open, live or dropped, and the parts that are left."""
        return self.rows(STAGES)

    def undrained(self, page: str) -> float:
        """Parts of a page's outputs that wait for their commit: inf before the page's own, 0 when all are through."""
        [[parts]] = self.rows(PARTS) or [[0]]
        if parts:
            return int(parts)
        return 0 if self.rows(f"SELECT 1 FROM pages WHERE url LIKE '%{page}'") else math.inf
