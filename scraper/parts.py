"""Parts: built from what settings.toml names, with the options beside the name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from scraper.errors import SettingsError, UsageError
from scraper.settings import Settings, Use

MIDDLEWARES = {
    "redirect": "scraper.middlewares.redirect:Redirect",
    "retry": "scraper.middlewares.retry:Retry",
    "sessions": "scraper.middlewares.sessions:Sessions",
    "robots": "scraper.middlewares.robots:Robots",
    "auth": "scraper.middlewares.auth:Auth",
    "cookies": "scraper.middlewares.cookies:Cookies",
    "headers": "scraper.middlewares.headers:DefaultHeaders",
    "proxies": "scraper.middlewares.proxies.middleware:Proxies",
}
CLIENTS = {
    "aiohttp": "scraper.clients.aiohttp:AiohttpClient",
    "httpx": "scraper.clients.httpx:HttpxClient",
    "curl_cffi": "scraper.clients.curl_cffi:CurlClient",
    "wreq": "scraper.clients.wreq:WreqClient",
    "requests": "scraper.clients.requests:RequestsClient",
}


def build_all(uses: Sequence[Use], settings: Settings, known: Mapping[str, str], key: str) -> list[Any]:
    """The parts of a list in settings.toml, in order; those that have nothing to do are left out."""
    return [part for use in uses if (part := build(use, settings, known, key)) is not None]


def build(use: Use, settings: Settings, known: Mapping[str, str], key: str) -> Any:
    """One part: `"name"`, `"module:Class"` or `{ use = …, option = … }`. Raises SettingsError in words."""
    options = {"use": use} if isinstance(use, str) else dict(use)
    name = options.pop("use", None)
    if not isinstance(name, str):
        raise SettingsError(
            f'{key}: an entry is a name or {{ use = "module:Class", option = … }}; got {use!r}.'
        )
    made = _class(name, known, key)
    try:
        return made.from_settings(settings, **options) if hasattr(made, "from_settings") else made(**options)
    except UsageError:
        raise
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{key}: {name} does not take these options: {error}.") from error


def furnish(part: Any, supplies: Mapping[str, Any]) -> None:
    """Gives a part what its class declares to need: `fetch: Handler`, `clock: Clock`, `admit: Admission`,
    `spider: Spider`, `forget_session: Callable[[str], None]`."""
    declared = {name for base in type(part).__mro__ for name in getattr(base, "__annotations__", {})}
    for name, supply in supplies.items():
        if name in declared:
            setattr(part, name, supply)


def _class(name: str, known: Mapping[str, str], key: str) -> Any:
    path = known.get(name, name)
    module, colon, attribute = path.partition(":")
    if not colon:
        raise SettingsError(
            f"{key}: there is no built-in {name!r} ({', '.join(known) or 'there are none'});"
            f' one of your own is named as module:Class, such as "{key}.mine:Mine".'
        )
    try:
        return getattr(importlib.import_module(module), attribute)
    except AttributeError:
        raise SettingsError(f"{key}: module {module} has no {attribute!r}.") from None
    except ImportError as error:
        raise SettingsError(f"{key}: {path} can't be imported: {error}.") from error
