"""Durable: what has to be done so that a file and its name outlive a power cut."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def replace_file(target: Path, text: str) -> None:
    """Writes a file in one step: whoever reads it, after a power cut too, finds the old text or the new one.

    Raises OSError; then nothing has changed.
    """
    fresh = target.with_suffix(".new")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """A new file survives a power cut only when the folder that names it is on the disk too."""
    with suppress(OSError):  # Windows and some network disks have no such thing
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
