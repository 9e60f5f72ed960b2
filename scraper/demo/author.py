"""The author of the invented books: dice and a grammar, which write the same text on every machine."""

import re
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from scraper.demo.words import GRAMMAR

T = TypeVar("T")

SMALL_WORDS = frozenset({"a", "and", "of", "the", "to"})  # not capitalised within a title


class Dice:
    """Choices built on `Random.random()` alone, whose values no Python version may change."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # invents books, guards nothing

    def chance(self, share: float) -> bool:
        return self._random.random() < share

    def number(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.number(0, len(options) - 1)]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        rest = list(options)
        return [rest.pop(self.number(0, len(rest) - 1)) for _ in options]


class Author:
    """Writes one book: makes no choice twice, and takes the title's words up again in the blurb."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._used: set[str] = set()
        self._chosen: dict[str, str] = {}
        self._echoes: dict[str, str] = {}

    def title(self, theme: str) -> str:
        title = self._sentence(f"{{{theme} title}}")
        self._echoes = self._chosen.copy()
        return title

    def blurb(self, theme: str) -> str:
        """Two to six sentences: first about the book, then around it."""
        about = [f"{{{theme} line}}"] * self._dice.number(1, 4)
        around = ["{any line}"] * self._dice.number(1, 2)
        return " ".join(self._sentence(line) for line in about + around)

    def _sentence(self, pattern: str) -> str:
        text = re.sub(r"\b([Aa]) (?=[AEIOUaeiou])", r"\1n ", self._write(pattern))
        return text[0].upper() + text[1:]

    def _write(self, pattern: str) -> str:
        return re.sub(r"{([^}]+)}", lambda slot: self._fill(slot[1]), pattern)

    def _fill(self, slot: str) -> str:
        text = self._write(self._choose(slot.lower()))
        return _titled(text) if slot[0].isupper() else text

    def _choose(self, key: str) -> str:
        choice = self._echoes.pop(key, None) or self._dice.choice(self._fresh(key))
        self._used.add(choice)
        self._chosen[key] = choice
        return choice

    def _fresh(self, key: str) -> Sequence[str]:
        return [option for option in GRAMMAR[key] if option not in self._used] or GRAMMAR[key]


def _titled(text: str) -> str:
    return " ".join(word if word in SMALL_WORDS else word[0].upper() + word[1:] for word in text.split(" "))
