"""How much memory a process says it holds."""

import subprocess
import sys

from scraper.memory import peak, resident

MUCH = 200_000_000
ASKED = "from scraper.memory import peak, resident; print(peak(), resident())"


def test_the_most_that_was_held_is_kept_when_it_is_given_back():
    before = resident()
    held = bytearray(MUCH)
    assert resident() > before + 0.9 * MUCH
    del held
    assert resident() < before + 0.5 * MUCH
    assert peak() > before + 0.9 * MUCH


def test_what_a_program_held_is_its_own_not_that_of_the_one_who_started_it():
    held = bytearray(MUCH)
    said = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=True)
    del held
    assert all(int(number) < MUCH / 2 for number in said.stdout.split())
