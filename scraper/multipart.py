"""Multipart forms: fields and files as one body (RFC 7578), the same bytes whenever it is built from the same."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

BINARY = "application/octet-stream"


def encoded(fields: Mapping[str, Any], files: Mapping[str, Any]) -> tuple[bytes, str]:
    """The body and its Content-Type. A file is a path, bytes, (name, content[, type]), or a list of them.

    Files are read now: what is queued must not change. The boundary is a hash of the content, so that two equal
    forms are each other's duplicates. Raises TypeError or OSError.
    """
    parts = [*_fields(fields), *_files(files)]
    digest = hashlib.blake2b(digest_size=16)
    for head, content in parts:
        digest.update(head.encode() + content)
    boundary = f"form-{digest.hexdigest()}"
    body = b"".join(
        b"--%b\r\n%b\r\n\r\n%b\r\n" % (boundary.encode(), head.encode(), content) for head, content in parts
    )
    return body + b"--%b--\r\n" % boundary.encode(), f"multipart/form-data; boundary={boundary}"


def _fields(fields: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, value in fields.items():
        several = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
        for one in several:
            content = one if isinstance(one, bytes) else str(one).encode()
            yield f'Content-Disposition: form-data; name="{_quoted(name)}"', content


def _files(files: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for name, given in files.items():
        for one in given if isinstance(given, list) else [given]:
            filename, content, kind = _file(name, one)
            yield (
                f'Content-Disposition: form-data; name="{_quoted(name)}"; filename="{_quoted(filename)}"'
                f"\r\nContent-Type: {kind}",
                content,
            )


def _file(field: str, given: Any) -> tuple[str, bytes, str]:
    filename: Any
    content: Any
    match given:
        case str() | Path():
            filename, content, kind = Path(given).name, Path(given), None
        case bytes():
            filename, content, kind = field, given, None
        case (filename, content):
            kind = None
        case (filename, content, kind):
            pass
        case _:
            raise TypeError(f"files[{field!r}] is a path, bytes or (name, content, type), not {given!r}.")
    if isinstance(content, Path):
        content = content.read_bytes()
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes):
        raise TypeError(
            f"files[{field!r}]: the content is bytes, text or a Path, not {type(content).__name__}."
        )
    return str(filename), content, kind or mimetypes.guess_type(str(filename))[0] or BINARY


def _quoted(name: str) -> str:
    """As browsers write it (HTML §4.10.22.8)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
