"""For every proof: a seed that can be repeated, and a firm whose workers and crawls end with the test."""

import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from tests.worker.proof.firm import Firm

SEED = int(os.environ.get("PROOF_SEED") or random.SystemRandom().randrange(10**6))
collect_ignore_glob = ["test_*.py"] if sys.platform == "win32" else []  # no SIGKILL, no SIGSTOP
used: set[int] = set()


@pytest.fixture
def chance() -> random.Random:
    """The randomness of one test: the same for the same PROOF_SEED."""
    used.add(SEED)
    print(f"PROOF_SEED={SEED}")
    return random.Random(SEED)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for seed in used:
        terminalreporter.write_line(f"worker: PROOF_SEED={seed} repeats this session's random moments")


@pytest.fixture
async def firm(tmp_path) -> AsyncIterator[Firm]:
    made = Firm(tmp_path / "firm")
    yield made
    await made.close()
    for pid in made.crawls():
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
