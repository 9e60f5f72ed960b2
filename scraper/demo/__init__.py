"""Two web sites that come with the framework, so that its examples run on a machine without internet."""

from collections.abc import MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from scraper.demo.bookshop import bookshop_app
from scraper.demo.quotes import quotes_app
from scraper.demo.server import serve

__all__ = ["bookshop", "quotes"]


def bookshop(state: MutableMapping[str, Any]) -> AbstractAsyncContextManager[str]:
    """Serves 1,000 books in 50 categories; yields the base URL.

    The port is kept in `state["demo_port"]`, so that a resumed crawl finds the same URLs again:

        async with bookshop(self.state) as url:
            ...

    Raises `PortTaken` (an `OSError`) where another program holds that port by now.
    """
    return serve(bookshop_app(), state)


def quotes(state: MutableMapping[str, Any]) -> AbstractAsyncContextManager[str]:
    """Serves 100 proverbs as a JSON API behind a log-in form; yields the base URL.

    Any user name and password will do. The port is kept as `bookshop` keeps it. Raises `PortTaken`.
    """
    return serve(quotes_app(), state)
