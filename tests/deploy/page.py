"""docs/deploy.md as something to run: its commands in order, and a terminal that they are typed into."""

import asyncio
import os
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "deploy.md").read_text("utf-8")
ANYTHING = "…"
OVER = "over-and-out"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """`shown`: what the page says that it prints, "" where it says nothing."""

    typed: str
    shown: str

    def fits(self, printed: str) -> bool:
        """`…` is anything on its line, and any lines where it stands alone. Spaces count for nothing."""
        return not self.shown or re.fullmatch(self._pattern, _tidied(printed)) is not None

    @property
    def _pattern(self) -> str:
        lines = [re.escape(line).replace(ANYTHING, "[^\n]*") for line in _tidied(self.shown).split("\n")]
        return "\n".join("(?s:.*)" if line == "[^\n]*" else line for line in lines)


def blocks(kind: str, text: str = PAGE) -> list[str]:
    return [block[2] for block in BLOCK.finditer(text) if block[1] == kind]


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert found, f"the page has no section {title!r}"
    return found[1]


def commands(text: str) -> Iterator[Command]:
    """Of the ```console blocks, in order."""
    for block in blocks("console", text):
        for one in block.removeprefix("$ ").split("\n$ "):
            typed, _, shown = one.partition("\n")
            yield Command(typed, shown)


def _tidied(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())


class Terminal:
    """A shell with job control. `type` waits for the end of a command."""

    def __init__(self, shell: asyncio.subprocess.Process) -> None:
        self._shell = shell

    async def type(self, typed: str, *, patience: float) -> tuple[str, int]:
        """What it printed, and its exit code."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{typed}\nprintf '\\n{OVER} %d\\n' $?\n".encode())
        printed = ""
        async with asyncio.timeout(patience):
            while not (found := re.search(rf"\n{OVER} (\d+)\n\Z", printed)):
                line = (await self._shell.stdout.readline()).decode()
                assert line, f"the shell has ended in {typed!r}: {printed}"
                printed += line
        return printed[: found.start()], int(found[1])


@asynccontextmanager
async def terminal(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """What runs in it ends with it."""
    shell = await asyncio.create_subprocess_exec(
        *("bash", "--noprofile", "--norc", "-m"),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**22,
    )
    try:
        yield Terminal(shell)
    finally:
        for pid in _below(shell.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            shell.kill()
        await shell.wait()


def _below(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
