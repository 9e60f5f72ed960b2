"""Transactions of SQLite: whole or not at all; and whether an error of its means that the file is broken."""

from __future__ import annotations

import sqlite3

DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK when anything in between raises."""

    __slots__ = ("_base",)

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._base.execute("COMMIT")
        finally:
            if self._base.in_transaction:  # an error in between, or a COMMIT that found the disk full
                self._base.execute("ROLLBACK")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether it says that the file is broken, rather than out of reach."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF in DAMAGED
