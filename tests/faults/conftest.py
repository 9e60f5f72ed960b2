"""The market, the nursery and the results of a crawl that nothing happened to."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.market import PATIENCE, Market
from tests.faults.results import Results, results
from tests.faults.shop import Shop

NOT_OURS = ("PYTEST_", "SCRAPER_", "GITHUB_", "FORCE_COLOR", "PY_COLORS")


@pytest.fixture(scope="session")
def market() -> Iterator[Market]:
    with Market() as site:
        thread = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield site
        site.open.set()
        site.shutdown()
        thread.join()


class Nursery:
    """Lives one at a time: `begin` … `end`, or both as `live`. What they say goes to the file `said`."""

    said: Path

    def __init__(self) -> None:
        self.living = False
        kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**kept, "PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )

    def begin(self, name: str, **arguments: Any) -> None:
        line = json.dumps([name, {"said": str(self.said), **arguments}])
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        self.living = True

    def end(self) -> int:
        """The exit code; minus the signal's number where one killed it."""
        code = int(self._process.stdout.readline())
        self.living = False
        return code

    def live(self, name: str, **arguments: Any) -> int:
        self.begin(name, **arguments)
        return self.end()

    def close(self) -> None:
        if self.living:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def idle() -> Iterator[list[Nursery]]:
    """A nursery takes as long to start as ten lives in it."""
    nurseries: list[Nursery] = []
    yield nurseries
    for nursery in nurseries:
        nursery.close()


@pytest.fixture
def nursery(idle: list[Nursery], tmp_path: Path) -> Iterator[Nursery]:
    nursery = idle.pop() if idle else Nursery()
    nursery.said = tmp_path / "said.txt"
    yield nursery
    if nursery.living:  # the test has failed, and nobody waits for it
        nursery.close()
    else:
        idle.append(nursery)


@pytest.fixture
def lives(market: Market, nursery: Nursery, tmp_path: Path) -> Callable[..., int]:
    """`lives("killed")`: one life of the crawl in the folder killed/; its exit code. It says it in killed.txt."""

    def live(name: str, **more: Any) -> int:
        root = tmp_path / name / "root"
        root.mkdir(parents=True, exist_ok=True)
        nursery.said = tmp_path / f"{name}.txt"
        return nursery.live("live", root=str(root), url=market.url(name), **more)

    return live


@pytest.fixture
def whole(lives: Callable[..., int], tmp_path: Path) -> Results:
    """What a crawl brings that nothing happens to."""
    assert lives("whole") == 0, (tmp_path / "whole.txt").read_text()
    return results(tmp_path / "whole" / "root")


@pytest.fixture
def shop(market: Market, nursery: Nursery, tmp_path: Path) -> Shop:
    return Shop(nursery, tmp_path / "shop", market.url(tmp_path.name))
