"""After a power cut, a crawl that is resumed brings what an undisturbed one brings."""

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scraper.runs import Runs
from tests.faults.power import PowerCut
from tests.faults.results import Results, results
from tests.faults.steps import Fault

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

SAMPLE = 4
LONG = 120  # seconds
SEED = int(os.environ.get("FAULTS_SEED") or random.SystemRandom().randrange(10**6))

Cut = Callable[..., int]


@pytest.fixture
def cut(lives: Callable[..., int], tmp_path: Path, whole: Results) -> Cut:
    """`cut("name", dice, fault, …)`: lives that end so, each with the power; how many did, before one came through."""
    print(f"\nFAULTS_SEED={SEED}")

    def crawl(name: str, dice: random.Random, *faults: Fault) -> int:
        root, diary = tmp_path / name / "root", tmp_path / f"{name}.diary"
        (tmp_path / name).mkdir()
        cuts = 0
        story = f"{name} (FAULTS_SEED={SEED}), cut at {faults}"
        for fault in faults:
            if lives(name, fault=fault, diary=str(diary)) == 0:
                break
            PowerCut(diary, dice).at(root)
            cuts += 1
        if [run.info.state for run in Runs(root).all()] != ["finished"]:
            assert lives(name) == 0, f"{story}:\n{(tmp_path / f'{name}.txt').read_text()}"
        assert results(root) == whole, story
        return cuts

    return crawl


def some_steps(lives: Callable[..., int], tmp_path: Path) -> list[Fault]:
    notes = tmp_path / "steps.json"
    assert lives("noted", notes=str(notes)) == 0
    made = json.loads(notes.read_text())["made"]
    return [Fault(step, nth) for step, times in made.items() for nth in range(1, times + 1)]


def test_a_power_cut_costs_time_only(cut: Cut, lives: Callable[..., int], tmp_path: Path):
    dice = random.Random(SEED)
    steps = some_steps(lives, tmp_path)
    cuts = sum(cut(f"cut-{n}", dice, dice.choice(steps)) for n in range(SAMPLE))
    assert cuts


@pytest.mark.long
def test_so_does_a_second_one_while_it_goes_on(cut: Cut, lives: Callable[..., int], tmp_path: Path):
    dice = random.Random(SEED)
    steps = some_steps(lives, tmp_path)
    cuts = sum(cut(f"cut-{n}", dice, *dice.sample(steps, 2)) for n in range(SAMPLE // 2))
    assert cuts


@pytest.mark.long
@pytest.mark.timeout(3 * LONG)
def test_so_do_hundreds_of_them(cut: Cut, lives: Callable[..., int], tmp_path: Path):
    dice = random.Random(SEED)
    steps = some_steps(lives, tmp_path)
    end = time.monotonic() + LONG
    cuts = tried = 0
    while time.monotonic() < end:
        cuts += cut(f"cut-{tried}", dice, *dice.sample(steps, dice.choice([1, 1, 2])))
        tried += 1
    print(f"{cuts} power cuts in {tried} crawls")
    assert cuts > tried // 2
