"""A crawl that is killed at any step of its work with files brings, once resumed, what an undisturbed one brings."""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.faults.results import Results, results
from tests.faults.steps import Fault

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")

SAMPLE = 6
LONG = 240  # seconds for the long proof
SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))


class Trial:
    """Crawls that die where they are told to; each must end up like `whole`."""

    def __init__(self, lives: Callable[..., int], folder: Path, whole: Results) -> None:
        self._lives = lives
        self._folder = folder
        self._whole = whole
        self._numbers = count(1)
        self.died = 0

    def steps(self, *faults: Fault) -> list[Fault]:
        """Every step of a life that comes after these deaths."""
        notes = self._folder / "steps.json"
        self._crawl(f"noted-{next(self._numbers)}", faults, notes=str(notes))
        made = json.loads(notes.read_text())["made"]
        return [Fault(step, nth) for step, times in made.items() for nth in range(1, times + 1)]

    def survive(self, *faults: Fault) -> None:
        """A step that a life comes to its end without is no fault: no two crawls take quite the same steps."""
        self._crawl(f"killed-{next(self._numbers)}", faults)

    def _crawl(self, name: str, faults: tuple[Fault, ...], **last: str) -> None:
        lives: list[dict[str, Any]] = [*({"fault": fault} for fault in faults), last]
        for life in lives:
            end = self._lives(name, **life)
            if end == 0:
                break
            assert (end, life is not last) == (-signal.SIGKILL, True), self._story(name, faults)
            self.died += 1
        assert results(self._folder / name / "root") == self._whole, self._story(name, faults)

    def _story(self, name: str, faults: tuple[Fault, ...]) -> str:
        return f"{name} (FAULTS_SEED={SEED}), killed {faults}:\n{(self._folder / f'{name}.txt').read_text()}"


@pytest.fixture
def trial(lives: Callable[..., int], tmp_path: Path, whole: Results) -> Trial:
    print(f"\nFAULTS_SEED={SEED}")
    return Trial(lives, tmp_path, whole)


def first_middle_last(steps: list[Fault]) -> list[Fault]:
    """Of each kind."""
    times: dict[str, int] = {}
    for fault in steps:
        times[fault.step] = max(times.get(fault.step, 0), fault.nth)
    return [Fault(step, nth) for step, most in times.items() for nth in sorted({1, (most + 1) // 2, most})]


def test_a_crawl_that_is_killed_at_any_step_brings_what_an_undisturbed_one_brings(trial: Trial):
    for fault in random.Random(SEED).sample(first_middle_last(trial.steps()), SAMPLE):
        print(fault)
        trial.survive(fault)
    assert trial.died > SAMPLE // 3


@pytest.mark.long
def test_so_does_one_that_is_killed_again_while_it_goes_on(trial: Trial):
    dice = random.Random(SEED)
    firsts = dice.sample(trial.steps(), 3)
    for first in firsts:
        for second in dice.sample(first_middle_last(trial.steps(first)), 2):
            print(first, second)
            trial.survive(first, second)
    assert trial.died >= 2 * len(firsts)


@pytest.mark.long
@pytest.mark.timeout(2 * LONG)
def test_so_does_one_that_is_killed_at_every_step(trial: Trial):
    steps = trial.steps()
    chosen = first_middle_last(steps)
    others = sorted(set(steps) - set(chosen))
    random.Random(SEED).shuffle(others)
    end = time.monotonic() + LONG
    tried = 0
    for fault in [*chosen, *others]:
        if tried >= len(chosen) and time.monotonic() > end:
            break
        trial.survive(fault)
        tried += 1
    print(
        f"killed {trial.died} times in {tried} crawls, at {len({fault.step for fault in steps})} kinds of step"
    )
    assert trial.died > tried // 2
