"""The nursery: forks a process for each life, from one in which everything is imported already.

A line on standard input is a function's name and arguments, the answer on standard output its exit code.
"""

import contextlib
import gc
import json
import os
import sys
import traceback
from typing import Any

import scraper.clients.aiohttp  # noqa: F401  # the crawl's own import of it would cost each life half its time
from tests.faults.command import command
from tests.faults.life import live

LIVES = {"live": live, "command": command}


def main() -> None:
    gc.freeze()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            _be(name, arguments)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _be(name: str, arguments: dict[str, Any]) -> None:
    """Never returns. What the life says goes to the file `said`."""
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        with open(arguments.pop("said"), "ab", buffering=0) as said:  # noqa: PTH123  # a descriptor is wanted
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
        code = LIVES[name](**arguments)
    except BaseException:  # noqa: BLE001  # a fork must not go on as its parent
        traceback.print_exc()
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
