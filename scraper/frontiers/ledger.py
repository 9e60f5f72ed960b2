"""The ledger: the one row that every commit rewrites."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import orjson


@dataclass(slots=True)
class Ledger:
    """Counters, and where the sequences stand; a commit writes the next one and keeps it if it goes through."""

    seq: int = 0
    item_seq: int = 0
    queued: int = 0  # in queue or delayed, leased or not
    staged: int = 0  # live, not yet drained
    seeds_ended: bool = False
    counters: Counter[str] = field(default_factory=Counter)

    def encode(self) -> bytes:
        return orjson.dumps(
            [self.seq, self.item_seq, self.queued, self.staged, self.seeds_ended, dict(self.counters)]
        )

    @classmethod
    def decode(cls, stored: bytes) -> Ledger:
        seq, item_seq, queued, staged, seeds_ended, counters = orjson.loads(stored)
        return cls(seq, item_seq, queued, staged, seeds_ended, Counter(counters))

    def copy(self) -> Ledger:
        return Ledger.decode(self.encode())
