"""File systems: whether a folder lies on another machine's disk, where a run's database can't be kept."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

# What several machines may write at once: SQLite's log needs memory that everyone who has the database open
# shares (https://www.sqlite.org/wal.html), and locks there may hold or not. Left out on purpose: 9p, virtiofs and
# FUSE in general, by which a container or a virtual machine sees a folder of the one machine that it runs on.
NETWORK = (
    "afs beegfs ceph cifs coda davfs fhgfs gfs2 glusterfs gpfs lustre ncpfs nfs nfs4 ocfs2 orangefs smb2 smb3 smbfs"
    " blobfuse blobfuse2 ceph-fuse curlftpfs davfs2 gcsfuse goofys juicefs mfs mount-s3 rclone s3fs sshfs"
)


def network_filesystem(path: Path, mounts: str | None = None) -> str | None:
    """The network file system that a path lies on, as `nfs4 at /mnt/share`; None for a local one.

    The path need not exist yet. `mounts`: the text of Linux's mountinfo (proc_pid_mountinfo(5)); left out, it is
    read, and where there is none (macOS, Windows) the answer is None.
    """
    where = path.resolve()
    if mounts is None:
        mounts = MOUNTS.read_text("utf-8", "surrogateescape") if MOUNTS.exists() else ""
    below = [(point, kind) for point, kind in _mounted(mounts) if where.is_relative_to(point)]
    point, kind = max(below, key=_depth, default=(where, ""))
    return f"{kind} at {point}" if kind.removeprefix("fuse.").lower() in NETWORK.split() else None


def _mounted(mounts: str) -> list[tuple[Path, str]]:
    """Each mount point and its type, those mounted last first: they hide what was at the same point before."""
    found = []
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")  # what stands before the lone dash varies in number
        found.append((Path(_unescaped(fields.split(" ")[4])), rest.split(" ")[0]))
    return found[::-1]


def _unescaped(field: str) -> str:
    r"""A space in a name is written as `\040`."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)


def _depth(mount: tuple[Path, str]) -> int:
    return len(mount[0].parts)
