"""Digest authentication (RFC 7616): what a server asks, and the answer that proves a password without showing it."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
KNOWN = {name: hashed for name, hashed in HASHES.items() if hashed in hashlib.algorithms_available}
PIECE = re.compile(r"""([!#$%&'*+.^_`|~\w-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"=]+)))?""", re.ASCII)
ESCAPED = re.compile(r"\\(.)")


@dataclass(slots=True)
class Challenge:
    """`uses`: requests that have answered it, as the server counts them too. `cnonce`: the client's own nonce."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: str = ""  # "": as in RFC 2069
    opaque: str | None = None
    userhash: bool = False
    uses: int = 0
    cnonce: str = field(default_factory=partial(secrets.token_hex, 16))

    def answer(self, user: str, password: str, method: str, uri: str, body: bytes = b"") -> str:
        """The Authorization header (§3.4). `uri`: the request's target."""
        self.uses += 1
        count = f"{self.uses:08x}"
        secret = self._hash(f"{user}:{self.realm}:{password}")
        if self.algorithm.lower().endswith("-sess"):
            secret = self._hash(f"{secret}:{self.nonce}:{self.cnonce}")
        asked = self._hash(f"{method}:{uri}" + (f":{self._hash(body)}" if self.qop == "auth-int" else ""))
        proof = f"{count}:{self.cnonce}:{self.qop}:" if self.qop else ""
        fields = {
            **self._name(user),
            "realm": _quoted(self.realm),
            "nonce": _quoted(self.nonce),
            "uri": _quoted(uri),
            "response": f'"{self._hash(f"{secret}:{self.nonce}:{proof}{asked}")}"',
            "algorithm": self.algorithm,
        }
        if self.opaque is not None:
            fields["opaque"] = _quoted(self.opaque)
        if self.qop:
            fields |= {"qop": self.qop, "nc": count, "cnonce": f'"{self.cnonce}"'}
        if self.userhash:
            fields["userhash"] = "true"
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields.items())

    def _name(self, user: str) -> dict[str, str]:
        if self.userhash:
            return {"username": f'"{self._hash(f"{user}:{self.realm}")}"'}
        return (
            {"username": _quoted(user)} if user.isascii() else {"username*": f"UTF-8''{quote(user, safe='')}"}
        )

    def _hash(self, text: str | bytes) -> str:
        name = KNOWN[self.algorithm.upper().removesuffix("-SESS")]
        return hashlib.new(
            name, text.encode() if isinstance(text, str) else text, usedforsecurity=False
        ).hexdigest()


def challenge(lines: Iterable[str]) -> Challenge | None:
    """The first Digest challenge of WWW-Authenticate lines that can be answered (RFC 7616 §3.7), None without one."""
    found = (_readable(said) for line in lines for scheme, said in _challenges(line) if scheme == "digest")
    return next(filter(None, found), None)


def _readable(said: dict[str, str]) -> Challenge | None:
    algorithm = said.get("algorithm", "MD5")
    offered = [qop.strip().lower() for qop in said.get("qop", "").split(",")]
    qop = next((qop for qop in ("auth", "auth-int", "") if qop in offered), None)
    if "nonce" not in said or qop is None or algorithm.upper().removesuffix("-SESS") not in KNOWN:
        return None
    userhash = said.get("userhash", "").lower() == "true"
    return Challenge(said.get("realm", ""), said["nonce"], algorithm, qop, said.get("opaque"), userhash)


def _challenges(line: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(scheme, parameters) of each challenge (RFC 9110 §11.6.1): a name without a value begins the next one."""
    scheme, said = "", dict[str, str]()
    for piece in PIECE.finditer(line):
        name, quoted, plain = piece.groups()
        if quoted is plain is None:
            yield scheme, said
            scheme, said = name.lower(), {}
        else:
            said[name.lower()] = plain or ESCAPED.sub(r"\1", quoted)
    yield scheme, said


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
