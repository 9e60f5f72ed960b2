"""Sessions of requests that a function of the user's makes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from weakref import WeakSet

import requests

from scraper import errors


def factory(name: str) -> Callable[[], requests.Session]:
    """The user's function, watched over. Raises SettingsError where there is none."""
    module, colon, attribute = name.partition(":")
    try:
        made_by = getattr(importlib.import_module(module), attribute) if colon else None
    except (ImportError, AttributeError) as error:
        raise errors.SettingsError(f"client: session = {name!r} can't be imported: {error}.") from error
    if not callable(made_by):
        raise errors.SettingsError(
            'client: session names a function that makes a requests.Session, such as "my_project.sessions:make";'
            f" got {name!r}."
        )
    made: WeakSet[requests.Session] = WeakSet()

    def make() -> requests.Session:
        """Raises FetchError in words; what the network did to the function, as it is."""
        try:
            session = made_by()
        except (requests.RequestException, OSError):
            raise
        except Exception as error:  # whatever a user's function may raise
            raise errors.FetchError(f"{name} raised {type(error).__name__}: {error}.") from error
        if not isinstance(session, requests.Session):
            raise errors.FetchError(f"{name} returned {type(session).__name__}, not a requests.Session.")
        if session in made:
            raise errors.FetchError(
                f"{name} returned the same Session twice; each thread needs one of its own."
            )
        made.add(session)
        return session

    return make
