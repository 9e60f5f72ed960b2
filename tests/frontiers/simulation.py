"""A loop whose time jumps to the next timer as soon as nobody has anything to do: hours pass in no time."""

import asyncio
import functools
import math
import selectors
from collections.abc import Awaitable, Callable


class Jumping(selectors.DefaultSelector):
    """Instead of waiting, it says that the time has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None):
        assert timeout is not None, "everybody waits, and nothing will ever happen"
        if timeout > 0:
            self.now = max(self.now + timeout, math.nextafter(self.now, math.inf))
        return super().select(0)


def simulated_loop() -> asyncio.AbstractEventLoop:
    selector = Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now
    return loop


def now() -> float:
    """The simulated Unix time."""
    return asyncio.get_running_loop().time()


def simulated(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an async test in simulated time."""

    @functools.wraps(test)
    def run(*args, **kwargs) -> None:
        with asyncio.Runner(loop_factory=simulated_loop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def turns_of_the_loop(n: int = 10) -> None:
    """Lets everybody do what can be done without time passing."""
    for _ in range(n):
        await asyncio.sleep(0)
