"""The verdict: what becomes of a job, from how its process ended and why it was asked to."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from scraper.protocols import JobState
from scraper.worker.words import Busy, Ended, Last, Refused

BUSY = 10.0  # seconds until the run of a job is looked at again that another process still works on


@dataclass(frozen=True, slots=True)
class Ending:
    """`last`: the process's last word; None: it died. `code`: as Popen.returncode. `outgrown`: it held too much memory.

    `why_killed`: why the worker ended it, "" if it did not.
    """

    last: Last | None
    code: int
    outgrown: bool = False
    why_killed: str = ""


@dataclass(frozen=True, slots=True)
class Over:
    state: JobState
    reason: str


@dataclass(frozen=True, slots=True)
class Again:
    """`due`: Unix time, 0 = now. `died`: how its process died, if that counts."""

    due: float = 0.0
    died: str = ""


def verdict(ending: Ending, *, now: float, cancelled: bool, stopped: bool) -> Over | Again:
    """`cancelled`, `stopped`: the process was asked to end for the job's sake, or the worker's."""
    last = ending.last
    if ending.outgrown:
        return Over("failed", "max_memory")
    if isinstance(last, Ended) and last.state in ("finished", "stopped", "crashed"):
        failed = last.exit_code != 0 or last.state == "crashed"
        return Over("failed" if failed else "finished", last.reason)
    if cancelled:
        return Over("cancelled", "cancelled")
    match last:
        case Refused(reason):
            return Over("failed", reason)
        case Busy() if not stopped:
            return Again(now + BUSY)
        case Ended("waiting", waiting_until=until):
            return Again(until or now)
        case None if not stopped:
            return Again(died=death(ending))
    return Again()


def death(ending: Ending) -> str:
    """In words."""
    if ending.why_killed:
        return ending.why_killed
    if ending.code < 0:
        return f"its process was ended by {_name(-ending.code)}"
    return f"its process ended with exit code {ending.code} before the crawl did"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
