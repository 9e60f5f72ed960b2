"""The scaffold: writes a new project, and a new spider into one."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from string import Template

from scraper.errors import ProjectError
from scraper.urls import InvalidURL, host, normalize

# what a project is made of, in the order in which a newcomer reads it
PROJECT = (
    "README.md",
    "settings.toml",
    "spiders/__init__.py",
    "spiders/books.py",
    "pipelines/__init__.py",
    "pipelines/max_price.py",
    "middlewares/__init__.py",
    "middlewares/language.py",
    "tests/test_books.py",
    "tests/pages/catalogue.html",
    "tests/pages/book.html",
    "pyproject.toml",
    ".gitignore",
)
IMPORTED = {"Response", "Spider"}  # by spider.py.tmpl: a class of that name would hide them
NO_CONTENT = {".git", ".venv"}  # a folder that holds only these is as good as empty


def start_project(folder: Path, name: str) -> list[Path]:
    """Writes a project that runs at once; the files written. Raises ProjectError, and then writes nothing."""
    _check_empty(folder)
    names = {"name": name, "distribution": _distribution(name)}
    return [_write(folder / file, f"project/{file}", names) for file in PROJECT]


def gen_spider(root: Path, name: str, url_or_domain: str) -> Path:
    """Writes `spiders/NAME.py` in the project at `root`; its path. Raises ProjectError."""
    module = _module(name)
    url = _start_url(url_or_domain)
    words = {
        "name": name,
        "class_name": _class_name(module),
        "domain": _quoted(host(url).removeprefix("www.")),
        "url": _quoted(url),
    }
    return _write(root / "spiders" / f"{module}.py", "spider.py", words)


# ── what a user may have typed ───────────────────────────────────────────────────────────────────────────


def _check_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file: a project needs a folder of its own.")
    found = sorted({path.name for path in folder.iterdir()} - NO_CONTENT) if folder.exists() else []
    if found:
        more = " …" if len(found) > 3 else ""
        raise ProjectError(
            f"{folder} is not empty ({', '.join(found[:3])}{more}): start the project in a new folder."
        )


def _distribution(name: str) -> str:
    """The project's name as pyproject.toml can spell it (PEP 508)."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"


def _module(name: str) -> str:
    """The name of the file: `my-shop` lives in `my_shop.py`. Raises ProjectError."""
    module = name.replace("-", "_")
    if not module.isidentifier() or module.startswith("_"):
        raise ProjectError(
            f"{name!r} can't be a spider's name: use letters, digits, - and _, with a letter first."
        )
    if iskeyword(module):
        raise ProjectError(f"{name!r} can't be a spider's name: it is a word of Python. Try {name}_spider.")
    return module


def _class_name(module: str) -> str:
    name = "".join(word[:1].upper() + word[1:] for word in module.split("_"))
    return f"{name}Spider" if iskeyword(name) or name in IMPORTED else name


def _start_url(url_or_domain: str) -> str:
    text = url_or_domain.strip()
    try:
        url = normalize(text if "://" in text else f"https://{text}")
    except InvalidURL as error:
        raise ProjectError(str(error)) from None
    if not url.startswith(("http://", "https://")) or not host(url):
        raise ProjectError(
            f"{url_or_domain!r} is no web site: write example.com or https://example.com/list."
        )
    return url


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a Python string too, with the quotes that formatters like


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────


def _write(path: Path, template: str, words: dict[str, str]) -> Path:
    text = Template(_template(template)).substitute(words)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise ProjectError(f"{path} exists already, and is left as it is.") from None
    except OSError as error:
        raise ProjectError(f"{path} can't be written: {error.strerror}.") from error
    return path


def _template(name: str) -> str:
    return files("scraper.cli").joinpath("templates", *f"{name}.tmpl".split("/")).read_text("utf-8")
