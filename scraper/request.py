"""Request: what to fetch, what to do with the answer, and how it is kept on disk."""

from __future__ import annotations

import base64
import inspect
from collections.abc import AsyncIterable, Callable, Collection, Iterator, Mapping
from dataclasses import KW_ONLY, MISSING, FrozenInstanceError, InitVar, dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from pathlib import PurePath
from typing import Any, Never, Self
from urllib.parse import urlencode

import orjson

from scraper import multipart
from scraper.credentials import credentials


class Empty(Mapping[str, Any]):
    """The mapping with nothing in it: a default that nobody can change (dataclasses want it hashable)."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __getitem__(self, key: str) -> Never:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "{}"


EMPTY: Mapping[str, Any] = Empty()
NO_STATUSES: frozenset[int] = frozenset()


@dataclass(unsafe_hash=True)
class _Draft:
    """A request while it is built. A frozen dataclass sets each field through `object.__setattr__`: four times the
    time, for every link of every page; so a draft becomes a Request when it is ready."""

    url: str
    _: KW_ONLY
    callback: Callable[..., Any] | str | None = None
    errback: Callable[..., Any] | str | None = None
    method: str = "GET"
    headers: Mapping[str, str] = EMPTY
    body: bytes | str | AsyncIterable[bytes] = b""
    json: InitVar[Any] = None
    form: InitVar[Mapping[str, Any] | None] = None
    files: InitVar[Mapping[str, Any] | None] = None
    data: Mapping[str, Any] = EMPTY
    priority: int = 0
    dont_filter: bool = False
    ok: Collection[int] = NO_STATUSES
    session: str = ""
    client: str | None = None
    proxy: str | None = None
    timeout: float | None = None
    max_body: int | None = None
    http2: bool = False
    impersonate: str | None = None
    auth: Mapping[str, Any] | tuple[str, str] | None = field(default=None, repr=False)
    save_to: str | None = None
    not_before: datetime | float | None = None
    delay: float | None = None
    id: bytes = b""
    depth: int = 0
    attempt: int = 1

    def __post_init__(
        self, json: Any, form: Mapping[str, Any] | None, files: Mapping[str, Any] | None
    ) -> None:
        if self.callback is not None and type(self.callback) is not str:
            self.callback = method_name(self.callback, "callback")
        if self.errback is not None and type(self.errback) is not str:
            self.errback = method_name(self.errback, "errback")
        if self.body or type(self.body) is not bytes or not (json is form is files is None):
            self._settle_body(json, form, files)
        if self.data is not EMPTY:
            self.data = _copied(self.data)
        if self.ok is not NO_STATUSES:
            self.ok = _statuses(self.ok)
        if self.headers is not EMPTY:
            self.headers = _plain_headers(self.headers)
        if self.priority and not (isinstance(self.priority, int) and abs(self.priority) < 2**53):
            raise TypeError(f"priority= is a whole number below 2**53, not {self.priority!r}.")
        if self.auth is not None:
            self._settle_auth()
        if self.save_to is not None:
            self.save_to = _path(self.save_to)
        if self.not_before is not None or self.delay is not None:
            self._settle_time()
        if type(self.url) is not str:
            raise TypeError(f"A request's url is a str, not {type(self.url).__name__}.")
        if type(self.session) is not str:
            raise TypeError(f"session= is a name, not {self.session!r}.")

    def _settle_body(
        self, json: Any, form: Mapping[str, Any] | None, files: Mapping[str, Any] | None
    ) -> None:
        if sum((bool(self.body), json is not None, form is not None or files is not None)) > 1:
            raise ValueError("A request takes one of body=, json= and form= (with files= or without).")
        body = self.body.encode() if isinstance(self.body, str) else self.body
        if not isinstance(body, bytes | AsyncIterable):
            raise TypeError(
                f"body= is bytes, str or an async iterator of bytes, not {type(body).__name__};"
                " json= and form= take values."
            )
        kind = None
        if json is not None:
            body, kind = orjson.dumps(json), "application/json"
        elif files is not None:
            body, kind = multipart.encoded(form or {}, files)
        elif form is not None:
            body, kind = urlencode(form, doseq=True).encode(), "application/x-www-form-urlencoded"
        self.body = body
        if kind and self.method == "GET":
            self.method = "POST"
        if kind and not any(name.lower() == "content-type" for name in self.headers):
            self.headers = {**self.headers, "Content-Type": kind}

    def _settle_auth(self) -> None:
        if any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("A request takes auth= or an Authorization header, not both.")
        self.auth = credentials(self.auth)

    def _settle_time(self) -> None:
        if self.not_before is not None and self.delay is not None:
            raise ValueError("A request takes not_before= or delay=, not both.")
        if isinstance(self.not_before, datetime):
            if self.not_before.tzinfo is None:
                raise ValueError(
                    "not_before= needs a datetime with a time zone, such as datetime.now(UTC) + …"
                )
            self.not_before = self.not_before.timestamp()
        for name, value in (("not_before", self.not_before), ("delay", self.delay)):
            if value is not None and not isinstance(value, int | float):
                raise TypeError(
                    f"{name}= is a number of seconds{' or a datetime' if name != 'delay' else ''}, not {value!r}."
                )


class _Drafted(type):
    def __call__(cls, *given: Any, **named: Any) -> Any:
        new: Any = _Draft(*given, **named)
        new.__class__ = cls
        return new


class Request(_Draft, metaclass=_Drafted):
    """One request as a spider yields it.

    `callback`, `errback`: methods of the spider, or their names. `data`: a dict of JSON that comes back as
    `response.data`; it is copied. `priority`: higher is earlier, within one host. `ok`: statuses beside 2xx
    that reach the callback. `session`: the name of who asks; requests of one session share cookies, login, and
    what `[sessions]` gives them. `client`: the name of the one that sends it, instead of the settings' own.
    `http2`: over HTTP/2. `impersonate`: a browser, such as `"chrome"`, whose TLS and HTTP fingerprints the
    request shows. `auth`: ("user", "password"), {"digest": (user, password)} or {"bearer": token}, for the
    origin of `url` alone; it is stored in the run's folder (`[auth]` in the settings is not). `timeout`:
    seconds for the whole exchange. `max_body`: bytes, on the wire and decoded. `files`: names to paths, bytes
    or (name, content, type), sent with the fields of `form` as multipart. `save_to`: a path under the project's
    folder (or absolute) for the body, which then has no limits but its own. A body that is an async iterator is
    for `self.fetch` only. `not_before`: an aware datetime or a Unix time; `delay`: seconds from when it is
    yielded.

    `id`, `depth` and `attempt` are the machine's; what a spider puts there is replaced.

    Raises TypeError or ValueError, in words, where it is built: a mistake shows at its own line.
    """

    def __setattr__(self, name: str, value: Any) -> Never:
        raise FrozenInstanceError(f"A request never changes: `request.replace({name}=…)` makes another.")

    __delattr__ = __setattr__  # type: ignore[assignment]  # never returns either

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, taken as they are: `dataclasses.replace` takes twenty times as long."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.__dict__.update(changes)
        return new

    def encode(self, *, url: str = "", depth: int | None = None) -> bytes:
        """JSON of the fields not at their default, for `decode`. `url`, `depth`: instead of its own."""
        values = STORED_VALUES(self)
        kept: dict[str, Any] = {"callback": self.callback} if self.callback is not None else {}
        if values != STORED_DEFAULTS:  # unusual: more than a callback
            stored = zip(STORED_NAMES, values, STORED_DEFAULTS, strict=True)
            kept |= {name: value for name, value, default in stored if value != default}
        kept["url"] = url or self.url
        if depth is None:
            depth = self.depth
        if depth:
            kept["depth"] = depth
        if self.body:
            kept["body"] = base64.b64encode(self.body).decode()  # type: ignore[arg-type]  # settled to bytes
        if self.ok:
            kept["ok"] = sorted(self.ok)
        return orjson.dumps(kept, default=dict)

    @classmethod
    def decode(cls, stored: bytes, *, id: bytes = b"", attempt: int = 1) -> Self:  # noqa: A002  # the field's name
        """The request that `encode` stored, with its identity and the number of this attempt."""
        kept = orjson.loads(stored)
        new = object.__new__(cls)
        new.__dict__.update(DEFAULTS)
        new.__dict__.update(kept)
        if "body" in kept:
            new.__dict__["body"] = base64.b64decode(kept["body"])
        if "ok" in kept:
            new.__dict__["ok"] = frozenset(kept["ok"])
        new.__dict__.update(id=id, attempt=attempt)
        return new


def _path(given: Any) -> str:
    """Relative to the project, or absolute. A name that came from a page must not lead elsewhere."""
    path = PurePath(given)
    if ".." in path.parts or not path.name:
        raise ValueError(f"save_to= names a file, without '..' on its way: not {str(given)!r}.")
    return str(path)


def _statuses(given: Any) -> frozenset[int]:
    try:
        return frozenset(int(status) for status in given)
    except (TypeError, ValueError):
        raise TypeError(f"ok= is a collection of statuses, such as ok={{404}}, not {given!r}.") from None


def _plain_headers(given: Any) -> dict[str, str]:
    """Also of a response's headers: of several values of a name the last is kept."""
    if not isinstance(given, Mapping):
        raise TypeError(f"headers= is a mapping of names to values, not {type(given).__name__}.")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float):
            raise TypeError(f"headers= holds names and values of text, not {name!r}: {value!r}.")
    return {str(name): str(value) for name, value in given.items()}


def _copied(data: Mapping[str, Any]) -> Any:
    try:
        return orjson.loads(orjson.dumps(dict(data)))
    except TypeError as error:
        raise TypeError(
            f"A request's data= must be JSON (str, int, float, bool, None, list, dict): {error}."
        ) from error


def method_name(callback: Any, role: str) -> str:
    """The name under which a spider's bound method is stored.

    Raises TypeError where `callback` is not a method: a lambda or a nested function can't be found again
    after a restart.
    """
    name: str = getattr(callback, "__name__", "")
    if getattr(callback, "__self__", None) is None or not hasattr(callback.__self__, name):
        shown = name or repr(callback)
        raise TypeError(
            f"{role}= must be a method of the spider or its name, not {shown}: a queued request outlives "
            f"the process, so its {role} is stored by name. Write `{role}=self.some_method`."
        )
    return name


DEFAULTS: dict[str, Any] = {
    field.name: "" if field.default is MISSING else field.default for field in fields(Request)
}
_NOT_STORED = {"url", "callback", "depth", "body", "ok", "id", "attempt", "not_before", "delay"}
STORED_NAMES = tuple(name for name in DEFAULTS if name not in _NOT_STORED)
STORED_DEFAULTS = tuple(DEFAULTS[name] for name in STORED_NAMES)
STORED_VALUES = attrgetter(*STORED_NAMES)
_Draft.__init__.__qualname__ = "Request.__init__"  # what a TypeError about an argument names
Request.__signature__ = inspect.signature(_Draft)  # type: ignore[attr-defined]  # what help() and editors show
