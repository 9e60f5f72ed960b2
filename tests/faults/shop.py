"""A project that crawls the market, as a person has it: commands typed into it, what they said, what they left."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import buyer

RUN = "buyer"
SETTINGS = """
per_host = 4
max_failed = 1
log = "json"
retry = { wait = 0, jitter = 0 }
feeds = { sync = "10ms" }
frontier = { commit_pages = 3, page_in_memory = 6 }
"""


@dataclass(frozen=True)
class Said:
    code: int
    text: str

    @property
    def refusal(self) -> str:
        """What a person must put right before anything begins: one sentence, whatever was logged before it."""
        assert self.code == 2, self.text
        assert "Traceback" not in self.text
        last = self.text.splitlines()[-1]
        assert last.startswith("scrape: "), self.text
        return last.removeprefix("scrape: ")

    @property
    def crash(self) -> str:
        """Why a crawl ended early; it can be gone on with."""
        assert self.code == 1, self.text
        assert "Traceback" not in self.text
        assert '"exception"' not in self.text
        last = self.text.splitlines()[-1]
        return str(json.loads(last)["reason"]) if last.startswith("{") else last.removeprefix("scrape: ")


class Shop:
    """`type("crawl", "buyer")` runs a command to its end; `begin` starts it, `end` waits for it."""

    def __init__(self, nursery: Any, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self._nursery = nursery
        self._said = folder.with_suffix(".txt")
        (folder / "spiders").mkdir(parents=True)
        (folder / "settings.toml").write_text(SETTINGS)
        (folder / "spiders" / "__init__.py").touch()
        shutil.copy(buyer.__file__, folder / "spiders" / "buyer.py")

    def begin(self, *words: str, **hindered: Any) -> None:
        self._said.write_text("")
        self._nursery.said = self._said
        self._nursery.begin("command", words=list(map(str, words)), at=str(self.folder), **hindered)

    def end(self) -> Said:
        code = self._nursery.end()
        return Said(code, self._said.read_text())

    def type(self, *words: str, **hindered: Any) -> Said:
        self.begin(*words, **hindered)
        return self.end()

    def crawl(self, *more: str) -> list[str]:
        return ["crawl", "buyer", "--run", RUN, "-a", f"url={self.url}", *more]

    # ── what is left ─────────────────────────────────────────────────────────────────────────────────────

    @property
    def runs(self) -> Path:
        return self.folder / ".scrape" / "runs"

    @property
    def run(self) -> Path:
        return self.runs / RUN

    def titles(self, feed: str = "all.jsonl") -> Counter[str]:
        return Counter(json.loads(line)["title"] for line in (self.folder / feed).read_text().splitlines())


EVERYTHING = Counter(
    [f"Stall {n}" for n in range(8) if n != 6]
    + [f"Crate {n}" for n in range(14)]
    + [f"Label {n}" for n in range(9)]
    + [f"Ann's {n}" for n in range(3)]
    + ["Crates"]
)
