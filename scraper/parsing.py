"""Parsing: calling a spider's callback, whatever form it has, and taking its outputs one by one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from scraper.errors import CallbackError, Decision
from scraper.item import is_item
from scraper.request import Request
from scraper.response import Response
from scraper.spider import Spider

NOT_QUEUED = "its body is an async iterator; send it with self.fetch()"


class Parser:
    """Callbacks are plain, async, generators or async generators; what comes out is requests and items."""

    def __init__(self, spider: Spider) -> None:
        self._spider = spider
        self._known: set[Any] = set()  # names of methods that exist

    def callback_of(self, request: Request) -> Callable[..., Any]:
        return self._method(request.callback or "parse")

    def errback_of(self, request: Request) -> Callable[..., Any] | None:
        return self._method(request.errback) if request.errback else None

    def _method(self, name: Any) -> Callable[..., Any]:
        method = getattr(self._spider, name, None)
        if not callable(method):
            raise CallbackError(
                f"{name}()", f"does not exist: {type(self._spider).__name__} has no such method"
            )
        return method  # type: ignore[no-any-return]  # checked callable

    def parse(self, response: Response) -> AsyncIterator[Any]:
        """Requests and items, as the callback yields them. Raises CallbackError, or the callback's Decision."""
        return self.run(self.callback_of(response.request), response)

    async def run(self, callback: Callable[..., Any], argument: Any) -> AsyncIterator[Any]:
        name = f"{callback.__name__}()"
        try:
            given = callback(argument)
            if inspect.isawaitable(given):
                given = await given
            if hasattr(given, "__aiter__"):
                async for output in given:
                    yield self.checked(output, name)
            else:
                for output in _each(given, name):
                    yield self.checked(output, name)
        except (Decision, CallbackError):
            raise
        except Exception as error:  # the user's code: whatever it raises loses this page only
            raise CallbackError(name, f"raised {type(error).__name__}: {error}") from error

    def checked(self, output: Any, name: str) -> Any:
        """The output, if it is one. Raises CallbackError for what is none, or names a method that does not exist."""
        if isinstance(output, Request):
            for method in (output.callback, output.errback):
                if method is not None and method not in self._known:
                    self._method(method)
                    self._known.add(method)
            if type(output.body) is not bytes:
                raise CallbackError(name, "yielded a request that can't be queued: " + NOT_QUEUED)
            return output
        if output is None or is_item(output):
            return output
        raise CallbackError(
            name, f"yielded {type(output).__name__}: yield a Request or an item (Item, dict, dataclass)"
        )


def _each(given: Any, name: str) -> Iterable[Any]:
    """None, one output, or an iterable of them."""
    if given is None:
        return ()
    if isinstance(given, Request) or is_item(given):
        return (given,)
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise CallbackError(name, f"returned {type(given).__name__}: give back requests, items or None")
    return given
