"""Spider: what a user writes. Where to start, what to take from a page, what to follow."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

import orjson
import structlog
from pydantic import ConfigDict, Secret, SecretBytes, SecretStr, TypeAdapter, ValidationError

from scraper.errors import ArgumentError
from scraper.request import Request
from scraper.response import Response

T = TypeVar("T")


class Spider:
    """Subclass it and write `parse`:

        class Books(Spider):
            name = "books"
            start_urls = ["https://books.toscrape.com/"]
            max_price: int = 100              # a typed argument: `scrape crawl books -a max_price=20`

            def parse(self, response):
                for book in response.css("article"):
                    yield {"title": book.css("a::attr(title)").get()}
                yield from response.follow_all("li.next a")

    Callbacks are methods: plain, async, generators or async generators; they give back requests, items, or
    None. `state` is a dict of JSON that a resumed crawl finds again: it may run ahead of the pages, so keep
    marks and sets in it, not counters.
    """

    name: ClassVar[str]
    start_urls: Collection[str] = ()
    allowed_domains: Collection[str] = ()
    custom_settings: ClassVar[Mapping[str, Any]] = {}
    ok: Collection[int] = ()

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self.log = structlog.get_logger().bind(spider=getattr(self, "name", type(self).__name__))
        self._fetch: Callable[[Request], Awaitable[Response]] | None = None
        self._expire: Callable[[str], None] | None = None
        self._enter: Callable[[AbstractAsyncContextManager[Any]], Awaitable[Any]] | None = None

    async def open(self) -> None:
        """Called once before the first request, at a resume too."""

    async def start(self) -> AsyncIterator[Request]:
        """The first requests; pulled as the queue needs them, so it may be endless.

        Without a callback a request goes to `parse`. A resume calls it again unless its end was reached;
        what it yields again is dropped as a duplicate.
        """
        for url in self.start_urls:
            yield Request(url)

    def parse(self, response: Response) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} has no parse() method; write one or give callback=."
        )

    async def login(self, session: str) -> Mapping[str, Mapping[str, str]] | None:
        """Write it where sessions log in: it runs before the first request of a session, and again when the session was
        rotated or has expired; its other requests wait. Without `session=` requests are of the session named "".

            async def login(self, session):
                form = {"user": session, "password": self.passwords[session]}
                page = await self.fetch(Request("https://shop.example/login", form=form))
                if not page.css("a.logout"):
                    raise Retry("the login was refused", delay=60)

        What is fetched in here is of that session and waits for nobody. Its cookies stay. Where a site wants a header
        instead, give it back by origin: `{"https://api.shop.example": {"Authorization": f"Bearer {token}"}}` goes with
        each of the session's requests there. Both are kept with the run, so that a resume need not log in again.

        Whatever it raises means that it has failed: it is tried again later, as often as `[retry]` says.
        """
        return None

    async def close(self, reason: str) -> None:
        """Called once at the end; `reason` is `finished`, `waiting`, `interrupted`, or what stopped it."""

    async def fetch(self, request: Request | str) -> Response:
        """Fetches at once, inside a callback, with the same politeness and retries; the page's seat waits.

        It is neither deduplicated nor stored: when the page runs again, so does this. Raises FetchError.
        """
        if self._fetch is None:
            raise RuntimeError("self.fetch() works inside a running crawl: in open(), start() and callbacks.")
        return await self._fetch(Request(request) if isinstance(request, str) else request)

    def expire(self, session: str) -> None:
        """Has the session log in anew, as the same somebody, before its next request.

        In a callback, for what its page says: of ten pages that were asked before the login, one is enough.
        """
        if self._expire is None:
            raise RuntimeError(
                'self.expire() works inside a running crawl that has "sessions" among its middlewares.'
            )
        self._expire(session)

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Enters an async context manager that stays open until the crawl ends."""
        if self._enter is None:
            raise RuntimeError("self.enter() works inside a running crawl: in open(), start() and callbacks.")
        entered: T = await self._enter(resource)
        return entered


# ── typed arguments ──────────────────────────────────────────────────────────────────────────────────────

SECRETS = (SecretStr, SecretBytes, Secret)

_OURS = frozenset(Spider.__annotations__) | {"state", "log"}


def argument_types(spider: type[Spider]) -> dict[str, Any]:
    """The annotated attributes of the user's classes: what `-a` takes."""
    hints = get_type_hints(spider, include_extras=True)
    return {
        name: hint
        for name, hint in hints.items()
        if name not in _OURS
        and not name.startswith("_")
        and getattr(hint, "__origin__", hint) is not ClassVar
        and not isinstance(getattr(spider, name, None), types.FunctionType)
    }


def secret_arguments(spider: type[Spider]) -> frozenset[str]:
    """Those with a SecretStr or its like in their type: a run does not store them."""
    return frozenset(name for name, hint in argument_types(spider).items() if _is_secret(hint))


def _is_secret(hint: Any) -> bool:
    if isinstance(get_origin(hint) or hint, type) and issubclass(get_origin(hint) or hint, SECRETS):
        return True
    return any(_is_secret(part) for part in get_args(hint))


def with_arguments(spider: type[Spider], given: Mapping[str, Any]) -> Spider:
    """An instance whose annotated attributes have the given values. Raises ArgumentError in words."""
    wanted = argument_types(spider)
    for key in given:
        if key not in wanted:
            known = ", ".join(f"{name}: {_shown(hint)}" for name, hint in wanted.items()) or "none"
            raise ArgumentError(f"Spider {spider.name!r} has no argument {key!r}. It takes: {known}.")
    made = spider()
    for name, hint in wanted.items():
        if name in given:
            setattr(made, name, _typed(spider, name, hint, given[name]))
        elif not hasattr(made, name):
            raise ArgumentError(f"Spider {spider.name!r} needs -a {name}=… ({_shown(hint)}).")
    return made


def _typed(spider: type[Spider], name: str, hint: Any, value: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(hint, config=_lax(hint))
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        try:
            return adapter.validate_python(orjson.loads(value))  # a list or a dict, written as JSON
        except (ValueError, TypeError):
            problem = error.errors(include_url=False)[0]["msg"]
    shown = "…" if _is_secret(hint) else repr(value)
    raise ArgumentError(
        f"Spider {spider.name!r}: argument {name}={shown} is no {_shown(hint)}: {problem[0].lower()}{problem[1:]}."
    )


def _lax(hint: Any) -> ConfigDict | None:
    is_model = hasattr(hint, "__pydantic_validator__") or hasattr(hint, "__dataclass_fields__")
    return None if is_model else ConfigDict(arbitrary_types_allowed=True)


def _shown(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
