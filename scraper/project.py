"""The project: where its root is, what spiders it has, and the settings in force there."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from scraper.errors import ProjectError
from scraper.layers import Layer, Loaded, environment_layer, load, override_layer, toml_layer
from scraper.spider import Spider

MARKER = "settings.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """`root` holds settings.toml and, beside it, spiders/, pipelines/ and middlewares/."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Project:
        """The nearest folder upwards with a settings.toml. Raises ProjectError."""
        here = (start or Path.cwd()).absolute()
        for folder in (here, *here.parents):
            if (folder / MARKER).is_file():
                return cls(folder)
        raise ProjectError(
            f"There is no project here: neither {here} nor a folder above it has a {MARKER}."
            " Start one with `scrape startproject NAME`, or run a single file with `scrape run FILE.py`."
        )

    @classmethod
    def with_runs(cls) -> Project:
        """As `find`; where there is no project, the nearest folder in which `scrape run` has left runs."""
        try:
            return cls.find()
        except ProjectError:
            here = Path.cwd()
            for folder in (here, *here.parents):
                if (folder / ".scrape" / "runs").is_dir():
                    return cls(folder)
            raise

    @classmethod
    def around(cls, file: Path) -> Project:
        """The project that a single file belongs to, or the folder it lies in."""
        try:
            return cls.find(file.absolute().parent)
        except ProjectError:
            return cls(file.absolute().parent)

    def on_path(self) -> None:
        """Lets `spiders`, `pipelines` and `middlewares` be imported."""
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))

    def settings(
        self, spider: type[Spider] | None = None, overrides: Sequence[str] = (), stored: Layer | None = None
    ) -> Loaded:
        """Defaults < settings.toml < custom_settings < environment < -s. Raises SettingsError.

        `stored`: a resumed run's own settings, which then stand in for the file, the spider and the
        environment; only what runs do not store (proxies, passwords) is read from those again.
        """
        marker = self.root / MARKER
        file = toml_layer(marker) if marker.is_file() else Layer(MARKER, {})
        custom: Mapping[str, object] = spider.custom_settings if spider else {}
        name = f"{spider.__name__}.custom_settings" if spider else ""
        layers = [file, Layer(name, custom), environment_layer()]
        if stored is not None:
            layers = [*(_without(layer, stored) for layer in layers), stored]
        return load([*layers, override_layer(overrides)])

    # ── spiders ──────────────────────────────────────────────────────────────────────────────────────

    def spiders(self) -> dict[str, type[Spider]]:
        """Every spider in spiders/, by name. Raises ProjectError for a file that can't be imported."""
        folder = self.root / "spiders"
        if not folder.is_dir():
            raise ProjectError(f"{self.root} has no folder spiders/: put your spiders there.")
        self.on_path()
        found: dict[str, type[Spider]] = {}
        for file in sorted(folder.rglob("*.py")):
            dotted = ".".join(file.relative_to(self.root).with_suffix("").parts)
            for spider in spiders_in(_imported(dotted, file)):
                _add(found, spider)
        return found

    def spider(self, name: str) -> type[Spider]:
        """Raises ProjectError that names what there is."""
        found = self.spiders()
        if name in found:
            return found[name]
        close = get_close_matches(name, found, 1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise ProjectError(
            f"No spider named {name!r}.{guess} This project has: {', '.join(sorted(found)) or 'none'}."
        )


def spider_in_file(file: Path) -> type[Spider]:
    """The one spider of a single file, for `scrape run FILE.py`. Raises ProjectError."""
    if not file.is_file():
        raise ProjectError(f"There is no file {file}.")
    spec = importlib.util.spec_from_file_location(file.stem, file.absolute())
    if spec is None or spec.loader is None:
        raise ProjectError(f"{file} is no Python file: its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # dataclasses and pydantic look their module up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ProjectError(_broken(file, error)) from error
    found = spiders_in(module)
    if len(found) != 1:
        names = ", ".join(spider.__name__ for spider in found) or "none"
        raise ProjectError(f"{file} should hold one spider class; it has {names}.")
    if not hasattr(found[0], "name"):
        found[0].name = file.stem
    return found[0]


def spiders_in(module: ModuleType) -> list[type[Spider]]:
    """The spider classes that a module defines (not those that it imports)."""
    return [
        thing
        for thing in vars(module).values()
        if inspect.isclass(thing) and issubclass(thing, Spider) and thing.__module__ == module.__name__
    ]


def _imported(dotted: str, file: Path) -> ModuleType:
    try:
        return importlib.import_module(dotted.removesuffix(".__init__"))
    except (Exception, SystemExit) as error:
        raise ProjectError(_broken(file, error)) from error


def _broken(file: Path, error: BaseException) -> str:
    line = (
        next(
            (
                f.lineno
                for f in reversed(inspect.getinnerframes(error.__traceback__))
                if f.filename == str(file.absolute())
            ),
            None,
        )
        if error.__traceback__
        else None
    )
    at = f", line {line}" if line else f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
    return f"{file}{at} can't be imported: {type(error).__name__}: {error}."


def _add(found: dict[str, type[Spider]], spider: type[Spider]) -> None:
    name = getattr(spider, "name", None)
    if not isinstance(name, str):
        return  # a base class of the project's own
    other = found.get(name)
    if other is not None:
        raise ProjectError(f"Two spiders are named {name!r}: {other.__module__} and {spider.__module__}.")
    found[name] = spider


def _without(layer: Layer, stored: Layer) -> Layer:
    return Layer(layer.name, {key: value for key, value in layer.values.items() if key not in stored.values})
