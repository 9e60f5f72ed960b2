"""Secrets: a proxy's password is taken out of whatever an error says."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence

from scraper.proxy_addresses import secrets


def conceal(error: BaseException, url: str) -> None:
    """Rewrites the error's text, and that of its causes, for a library may quote the whole URL, or its header.

    A cause that still shows the password, in a text that it makes anew each time, is cut off.
    """
    hidden = secrets(url)
    if not hidden:
        return
    for each in _chain(error):
        each.args = tuple(_concealed(arg, hidden) for arg in each.args)
    for each in _chain(error):
        if _tells(each.__cause__, hidden) or _tells(each.__context__, hidden):
            each.__cause__ = each.__context__ = None


def _concealed(told: object, hidden: Sequence[str]) -> object:
    if isinstance(told, str):
        for secret in hidden:
            told = told.replace(secret, "***")
        return told
    # an exception in another's arguments (urllib3 nests them), a URL, a list …: no more than its concealed text
    return _concealed(str(told), hidden) if any(secret in repr(told) for secret in hidden) else told


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, what caused that …"""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            waiting += [each.__cause__, each.__context__]
            yield each


def _tells(error: BaseException | None, hidden: Sequence[str]) -> bool:
    if error is None:
        return False
    told = "".join(traceback.format_exception_only(error)) + repr(error)
    return any(secret in told for secret in hidden)
