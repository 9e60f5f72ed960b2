"""How much memory this process holds, and held at most."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STATM = Path("/proc/self/statm")
STATUS = Path("/proc/self/status")


def resident() -> int:
    """Bytes. Where the system does not say what is held now, the most that was ever held."""
    if STATM.exists():
        return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return peak()


def peak() -> int:
    """Bytes: the most that was held at once since this program was started.

    Linux counts into getrusage(2)'s `ru_maxrss` what the process held before its execve(2), that is what the one
    that started it held: proc_pid_status(5)'s `VmHWM` is the program's own.
    """
    if STATUS.exists():
        for line in STATUS.read_text("utf-8", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
