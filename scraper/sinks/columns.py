"""The columns of a table: where they come from, and what does not fit into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Columns:
    """The fields that the items' class promises, or the keys of the first item that fits.

    `file` is named in what is said. `promised`: the columns are the class's own, so a value may be left out
    by the class's own wish; any other item with other keys is refused: a value that vanishes or a cell that
    stays empty is a silent loss.
    """

    def __init__(self, file: str, names: Sequence[str] = (), *, promised: bool = False) -> None:
        self._file = file
        self.names = tuple(names)
        self.promised = promised
        self._taken: Sequence[str] = ()

    def take(self, names: Sequence[str]) -> None:
        """The fields of the class. Where the columns are given already, they are promised only if they are the same."""
        if names == self._taken:  # as every item of a class says it again
            return
        self._taken = names
        self.promised = not self.names or set(names) == set(self.names)
        if self.promised:
            self.names = self.names or tuple(names)

    def of(self, item: Any) -> tuple[str, ...]:
        """What the columns are if this item comes first. Raises ValueError, in words, where it does not fit."""
        if not isinstance(item, dict) or not item:
            raise ValueError(f"'{self._file}' is a table, and this item has no fields. Use .jsonl.")
        names = self.names or tuple(item)
        extra = [name for name in item if name not in names]
        missing = [] if self.promised else [name for name in names if name not in item]
        if extra or missing:
            raise ValueError(self._other_keys(names, extra, missing))
        return names

    def _other_keys(self, names: Sequence[str], extra: Sequence[str], missing: Sequence[str]) -> str:
        found = [f"also has {listed(extra)}"] if extra else []
        found += [f"has no {listed(missing)}"] if missing else []
        return (
            f"'{self._file}' has the columns {listed(names)}, and this item {' and '.join(found)}. "
            "Use .jsonl where items differ."
        )


def listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
