"""Lineage: where a run found a URL, what became of it, and attempt by attempt why."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scraper.fingerprints import fingerprint
from scraper.frontiers.archive import staged
from scraper.frontiers.seen import find
from scraper.request import Request
from scraper.urls import canonical, lane, origin

# ruff: noqa: S608  # our own words only
Fate = Literal["done", "failed", "refused", "waiting", "delayed", "out", "staged", "lost"]
OF_URL = "substr({url}, 1, length(:page)) = :page AND canonical({url}) = :url"
STORED_URL = "json_extract(CAST(request AS TEXT), '$.url')"


@dataclass(frozen=True, slots=True)
class Attempt:
    """`at`: Unix seconds, when it ended; `proxy`: its name."""

    number: int
    at: float
    status: int | None
    why: str
    proxy: str


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A page on the way from start(); `url` is "" where it is no longer known."""

    seq: int
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A request that was queued.

    `fate`: `out` was on the wire at the last commit, `staged` is on its page's stage, `lost` is in no table.
    `plain`: a GET without a body that is deduplicated; `method`: None where nothing but a name is kept of it.
    `before`: requests of its host that come before it; `due`: Unix seconds; `lives`: processes that have ended
    while it was out, or are still alive. `found_on`: from start() down to the page that yielded it.
    """

    seq: int
    url: str
    fate: Fate
    plain: bool
    found_on: Sequence[Ancestor]
    attempts: Sequence[Attempt] = ()
    method: str | None = None
    why: str = ""
    status: int | None = None
    items: int = 0
    before: int = 0
    due: float | None = None
    lives: int = 0


class Lineage:
    """Reads a run's database in one transaction: a crawl that writes meanwhile moves nothing under it."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        base.execute("BEGIN")
        base.create_function("canonical", 1, canonical, deterministic=True)

    def traces(self, url: str) -> list[Trace]:
        """Every request for a URL (normalized), whatever its method, in the order in which they were queued."""
        return [self._trace(seq, url) for seq in self._seqs(url)] + list(self._staged(url))

    def has_site(self, url: str) -> bool:
        """Whether some page of the same scheme and host has come to an end."""
        site = origin(url) + "/"
        return (
            self._one("SELECT 1 FROM pages WHERE substr(url, 1, ?) = ? LIMIT 1", len(site), site) is not None
        )

    # ── finding it ───────────────────────────────────────────────────────────────────────────────────

    def _seqs(self, url: str) -> list[int]:
        """By its identity, which is a seek; and by its text, for those whose identity is more than that."""
        wanted = canonical(url)
        asked = {"page": wanted.partition("?")[0], "url": wanted, "lane": lane(url)}
        queries = (
            f"SELECT seq FROM pages WHERE {OF_URL.format(url='url')}",
            f"SELECT seq FROM queue WHERE lane = :lane AND {OF_URL.format(url=STORED_URL)}",
            f"SELECT seq FROM delayed WHERE lane = :lane AND {OF_URL.format(url=STORED_URL)}",
        )
        known = find(self._base, _identity(url))
        by_text = {seq for query in queries for (seq,) in self._base.execute(query, asked)}
        return sorted(by_text | ({known} if known is not None else set()))

    def _staged(self, url: str) -> Iterator[Trace]:
        wanted = canonical(url)
        for page, child in staged(self._base):
            request = Request.decode(child.request)
            if canonical(request.url) == wanted:
                plain = child.id == _identity(request.url)
                yield Trace(
                    seq=0,
                    url=request.url,
                    fate="staged",
                    plain=plain,
                    method=request.method,
                    found_on=self._ancestors(page),
                )

    # ── what became of it ────────────────────────────────────────────────────────────────────────────

    def _trace(self, seq: int, url: str) -> Trace:
        page = self._one(
            "SELECT url, id, parent, outcome, why, status, items, attempts, at, proxy FROM pages WHERE seq = ?",
            seq,
        )
        if page:
            return self._ended(seq, *page)
        for table, due in (("queue", "NULL"), ("delayed", "due")):
            row = self._one(f"SELECT request, id, parent, lane, rank, {due} FROM {table} WHERE seq = ?", seq)
            if row:
                return self._waiting(seq, *row)
        return Trace(seq=seq, url=url, fate="lost", plain=True, found_on=())

    def _ended(
        self,
        seq: int,
        url: str,
        identity: bytes,
        parent: int,
        outcome: Fate,
        why: str,
        status: int | None,
        items: int,
        number: int,
        at: float,
        proxy: str,
    ) -> Trace:
        plain = identity == _identity(url)
        return Trace(
            seq=seq,
            url=url,
            fate=outcome,
            plain=plain,
            method=self._method_of_dead(seq) or ("GET" if plain else None),
            found_on=self._ancestors(parent),
            attempts=[*self._attempts(seq), Attempt(number, at, status, why, proxy)],
            why=why,
            status=status,
            items=items,
        )

    def _waiting(
        self, seq: int, stored: bytes, identity: bytes, parent: int, host: str, rank: int, due: float | None
    ) -> Trace:
        request = Request.decode(stored)
        attempts = self._attempts(seq)
        out = self._one("SELECT outs FROM delivered WHERE seq = ?", seq)
        before = self._one(
            "SELECT count(*) FROM queue WHERE lane = ? AND (rank, seq) < (?, ?)", host, rank, seq
        )
        return Trace(
            seq=seq,
            url=request.url,
            fate="delayed" if due is not None else "out" if out else "waiting",
            plain=identity == _identity(request.url),
            method=request.method,
            found_on=self._ancestors(parent),
            attempts=attempts,
            why=attempts[-1].why if attempts else "",
            before=before[0] if before else 0,
            due=due,
            lives=out[0] if out else 0,
        )

    def _attempts(self, seq: int) -> list[Attempt]:
        """Those before the last."""
        rows = self._base.execute(
            "SELECT attempt, at, status, why, proxy FROM attempts WHERE seq = ? ORDER BY at", (seq,)
        )
        return [Attempt(*row) for row in rows]

    def _method_of_dead(self, seq: int) -> str | None:
        row = self._one("SELECT request FROM dead WHERE seq = ?", seq)
        return Request.decode(row[0]).method if row else None

    # ── where it was found ───────────────────────────────────────────────────────────────────────────

    def _ancestors(self, parent: int) -> list[Ancestor]:
        """From the first page down; each was queued before the one that it yielded, so this comes to an end."""
        found: list[Ancestor] = []
        while parent and (not found or parent < found[-1].seq):
            row = self._page(parent)
            found.append(Ancestor(parent, row[0] if row else ""))
            parent = row[1] if row else 0
        return found[::-1]

    def _page(self, seq: int) -> tuple[str, int] | None:
        """Its URL and its parent. One that was put back after its errback had yielded something waits again."""
        row: tuple[str, int] | None = self._one("SELECT url, parent FROM pages WHERE seq = ?", seq)
        for table in ("queue", "delayed"):
            row = row or self._one(f"SELECT {STORED_URL}, parent FROM {table} WHERE seq = ?", seq)
        return row

    def _one(self, query: str, *values: Any) -> Any:
        return self._base.execute(query, values).fetchone()


def _identity(url: str) -> bytes:
    return fingerprint("GET", canonical(url), b"")
