"""Saving: a body on its way to a file, with its checksum; what a broken attempt left is gone on with."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
from pathlib import Path
from typing import Any, Self

import orjson
from multidict import CIMultiDict

from scraper.durable import sync_folder
from scraper.errors import BodyTruncated, InvalidRequest, ProtocolViolation, StorageError
from scraper.protocols import Incoming
from scraper.request import Request
from scraper.response import Saved

BLOCK = 1024 * 1024  # bytes that are written and hashed at once, in a thread
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG})
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")


class Download:
    """The file at `path`; until it is whole, `path` + `.part`, and beside it what the site called that version.

    A later attempt asks for the rest (`Range`, `If-Range`: RFC 9110 §13.1.5, §14.2) where the site gave a strong
    validator; whoever answers with the whole gets a new start.
    """

    def __init__(self, path: Path, request: Request) -> None:
        self.path = path
        self._part = path.with_name(path.name + ".part")
        self._note = path.with_name(path.name + ".part.json")
        self._request = request
        self._kept = self._left_behind()

    # ── before the request ───────────────────────────────────────────────────────────────────────────

    def asking(self) -> Request:
        """The request with what it takes to go on, where there is something to go on with."""
        headers = CIMultiDict(self._request.headers)
        headers["Accept-Encoding"] = "identity"  # ranges are of what is sent: coded bytes can't be joined
        if self._kept:
            headers["Range"] = f"bytes={self._part.stat().st_size}-"
            headers["If-Range"] = self._kept["validator"]
        return self._request.replace(headers=headers)

    def _left_behind(self) -> dict[str, Any] | None:
        try:
            kept = orjson.loads(self._note.read_bytes())
            fits = kept["url"] == self._request.url and self._part.stat().st_size > 0
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return kept if fits and self._request.method == "GET" else None

    # ── the body ─────────────────────────────────────────────────────────────────────────────────────

    def wants(self, incoming: Incoming) -> bool:
        """Whether it is the file that comes. Raises BodyTruncated, retryable, where the rest can't be had."""
        if (
            incoming.status == 416 and self._kept
        ):  # RFC 9110 §15.5.17: it is shorter now, or was whole already
            self._note.unlink(missing_ok=True)
            raise BodyTruncated(
                "The site has no rest of this file: it is fetched again.", request=self._request
            )
        return 200 <= incoming.status < 300

    async def begin(self, incoming: Incoming) -> Self:
        """Opens the file for what comes: the rest of it, or all of it. Raises ProtocolViolation, StorageError."""
        headers, size = incoming.headers, self._part.stat().st_size if self._kept else 0
        if incoming.status == 206:
            found = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
            if found is None or int(found[1]) != size or not size:
                raise ProtocolViolation(
                    "The site sent another part than was asked for.", request=self._request
                )
        await asyncio.to_thread(self._open, size if incoming.status == 206 else 0, _validator(headers))
        return self

    def _open(self, size: int, validator: str) -> None:
        self._hash = hashlib.sha256()
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("r+b" if size else "wb")
            while size and (block := self._file.read(BLOCK)):
                self._hash.update(block)
            if not size:
                self._note.unlink(missing_ok=True)
            if validator and not size:
                self._note.write_bytes(orjson.dumps({"url": self._request.url, "validator": validator}))
        except OSError as error:
            raise self._said(error) from error
        self.size = size

    async def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_size += len(data)
        if self._waiting_size >= BLOCK:
            await asyncio.to_thread(self._flush)

    def _flush(self) -> None:
        waiting, self._waiting, self._waiting_size = b"".join(self._waiting), [], 0
        try:
            self._file.write(waiting)
        except OSError as error:
            raise self._said(error) from error
        self._hash.update(waiting)
        self.size += len(waiting)

    async def finish(self) -> Saved:
        """The whole file in its place, on the disk."""
        return await asyncio.to_thread(self._finish)

    def _finish(self) -> Saved:
        self._flush()
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self.path)
            self._note.unlink(missing_ok=True)
            sync_folder(self.path.parent)
        except OSError as error:
            raise self._said(error) from error
        return Saved(self.path, self.size, self._hash.hexdigest())

    async def close(self) -> None:
        """What came of a file that is not whole stays for the next attempt."""
        if not self._file.closed:
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        try:
            self._flush()
        finally:
            self._file.close()

    def _said(self, error: OSError) -> Exception:
        """A disk that takes no more ends the crawl, resumable; a path that can't be is this request's own fault."""
        said = f"'{self.path}' can't be written: {error.strerror or error}."
        return StorageError(said) if error.errno in FULL else InvalidRequest(said, request=self._request)


def _validator(headers: CIMultiDict[str]) -> str:
    """A strong one, or "": RFC 9110 §8.8.1, §13.1.5. A date alone may miss a change within its second."""
    etag = headers.get("ETag", "")
    ranges = headers.get("Accept-Ranges", "bytes").lower() != "none"
    return etag if ranges and etag.startswith('"') else ""
