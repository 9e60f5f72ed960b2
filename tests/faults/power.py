"""A power cut: of what a process has written, the disk keeps what was synced, and of the rest any part.

A model that is harsher than disks are: a file's name lasts when its folder was synced, its bytes when it was.
"""

import base64
import json
import os
import random
import struct
from pathlib import Path
from typing import Any, NamedTuple

from scraper.frontiers import checkpoints
from scraper.sinks import append_file

PAGE = 512  # bytes that a disk writes as one
LOG_HEAD, FRAME_HEAD = 32, 24  # bytes (https://www.sqlite.org/fileformat2.html#the_write_ahead_log)
DATABASE = ("frontier.db", "frontier.db-wal", "frontier.db-shm")


class Diary:
    """Writes down what a process has synced, at once, in a file that no cut comes near."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def keep(self) -> None:
        """From here on, in this process and for good."""
        os.fsync = self._around(os.fsync)
        append_file._fdatasync = os.fdatasync = self._around(os.fdatasync)
        checkpoint = checkpoints._checkpoint

        def noted(path: Path, mode: str) -> None:
            self._note(begun=True)
            synced = log_of(path.with_name("frontier.db-wal"))
            checkpoint(path, mode)
            self._note(log=synced)

        checkpoints._checkpoint = noted

    def _around(self, sync: Any) -> Any:
        def noted(descriptor: int) -> None:
            note = self._of(descriptor)
            sync(descriptor)
            self._note(**note)

        return noted

    def _of(self, descriptor: int) -> dict[str, Any]:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        ours = os.fstat(descriptor)
        if path.is_dir():
            return {"folder": ours.st_ino, "names": {entry.name: entry.inode() for entry in os.scandir(path)}}
        if path.name == "frontier.db-wal":
            return {"log": log_of(path)}
        small = path.read_bytes() if path.suffix == ".new" else b""
        return {"file": ours.st_ino, "size": ours.st_size, "bytes": base64.b64encode(small).decode()}

    def _note(self, **note: Any) -> None:
        os.write(self._file.fileno(), json.dumps(note).encode() + b"\n")


class Log(NamedTuple):
    """A write-ahead log: `salt` changes when it begins anew."""

    salt: str
    frames: int
    page: int

    @property
    def end(self) -> int:
        return LOG_HEAD + self.frames * (FRAME_HEAD + self.page)


def log_of(path: Path) -> Log:
    """Its frames so far; older ones, from before it began anew, have another salt."""
    stored = path.read_bytes() if path.exists() else b""
    if len(stored) < LOG_HEAD:
        return Log("", 0, PAGE)
    [page], salt = struct.unpack(">I", stored[8:12]), stored[16:24]
    step = FRAME_HEAD + page
    starts = range(LOG_HEAD, len(stored) - step + 1, step)
    other = (n for n, at in enumerate(starts) if stored[at + 8 : at + 16] != salt)
    return Log(salt.hex(), next(other, len(starts)), page)


class PowerCut:
    """Takes from a folder what its processes' diary does not know to be on the disk."""

    def __init__(self, diary: Path, dice: random.Random) -> None:
        self._dice = dice
        self._names: dict[int, dict[str, int]] = {}
        self._sizes: dict[int, int] = {}
        self._bytes: dict[int, bytes] = {}
        self._log: Log | None = Log("", 0, PAGE)  # None: a checkpoint was under way, it may have been synced
        for line in diary.read_text().splitlines() if diary.exists() else []:
            self._read(json.loads(line))

    def _read(self, note: dict[str, Any]) -> None:
        match note:
            case {"folder": folder, "names": names}:
                self._names[folder] = names
            case {"file": file, "size": size, "bytes": stored}:
                self._sizes[file], self._bytes[file] = size, base64.b64decode(stored)
            case {"log": log}:
                self._log = Log(*log)
            case _:
                self._log = None

    def at(self, root: Path) -> None:
        kept = self._names.get(root.stat().st_ino, {})
        lost_database = self._dice.random() < 0.5
        for path in sorted(root.iterdir()):
            replaced = kept.get(path.name) != path.stat().st_ino and self._bytes.get(kept.get(path.name, 0))
            if replaced:
                path.write_bytes(replaced)
            elif path.name in kept or ".sqlite" in path.name:
                self._within(path)
            elif lost_database if path.name in DATABASE else self._dice.random() < 0.5:
                _remove(path)
            else:
                self._within(path)

    def _within(self, path: Path) -> None:
        if path.is_dir():
            self.at(path)
        elif path.name == "frontier.db-shm":
            path.unlink()  # memory
        elif path.name == "frontier.db-wal":
            self._cut_log(path)
        elif (
            path.name != "frontier.db" and ".sqlite" not in path.name
        ):  # their own syncs are not in the diary
            self._cut_file(path)

    def _cut_file(self, path: Path) -> None:
        """Beyond what was synced each page is there or is zeros, up to some length."""
        stored = bytearray(path.read_bytes())
        safe = min(self._sizes.get(path.stat().st_ino, 0), len(stored))
        for start in range(safe - safe % PAGE, len(stored), PAGE):
            end = min(start + PAGE, len(stored))
            if self._dice.random() < 0.5:
                stored[max(start, safe) : end] = bytes(end - max(start, safe))
        path.write_bytes(stored[: self._dice.randint(safe, len(stored))])

    def _cut_log(self, path: Path) -> None:
        """After some frame beyond the last sync comes what is none; after that there may be good ones again."""
        now = log_of(path)
        if self._log is None or not now.salt:
            return
        safe = self._log.frames if self._log.salt == now.salt else 0
        first_lost = now._replace(frames=self._dice.randint(safe, now.frames)).end
        stored = path.read_bytes()
        torn = min(len(stored), first_lost + self._dice.randrange(FRAME_HEAD + now.page))
        noise = self._dice.choice([b"", bytes(len(stored) - torn), self._dice.randbytes(len(stored) - torn)])
        if self._dice.random() < 0.3:  # one frame is lost, those behind it are not
            end = first_lost + FRAME_HEAD + now.page
            path.write_bytes(stored[:first_lost] + bytes(len(stored[first_lost:end])) + stored[end:])
        else:
            path.write_bytes(stored[:torn] + noise)


def _remove(path: Path) -> None:
    if path.is_dir():
        for entry in path.iterdir():
            _remove(entry)
        path.rmdir()
    else:
        path.unlink()
