"""The floors: a module imports from floors below its own, so that reading goes one way."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1] / "scraper"

# Lowest first. A name stands for a module, or for a package with everything in it: within a package modules
# may import each other, without a circle. A new module goes on the lowest floor from which it sees its own.
FLOORS = [
    "bell credentials decoding durable encoding errors filesystems fingerprints lock log memory multipart selectors",
    "patience stats transactions units urls version",
    "proxy_addresses proxy_patterns",
    "claims request schedules settings",
    "job_spec layers",
    "admission item response runs tls",
    "sockets spider",
    "protocols",
    "clients frontiers jobs middlewares order politeness saving sinks spiders",  # parts
    "checking feeds gate intake judging parsing parts resuming scheduler standing",  # the machine, up to the engine
    "committing door exporting pruning",
    "downloader listening seeding switchboard",
    "visiting",
    "engine",
    "assembly",
    "crawler interpreter project",  # doors
    "bench ordering",
    "worker",
    "cli demo testing",
    "__init__ __main__",
]
UPWARDS = {("errors", "request")}  # an error names its request: a type, never imported at run time
LEVEL = {name: level for level, floor in enumerate(FLOORS) for name in floor.split()}


@cache
def modules() -> dict[str, ast.Module]:
    """Each module of the framework by its path below scraper/: `engine`, `cli.live`, `cli.__init__`."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in ROOT.rglob("*.py")}
    return {name: ast.parse(path.read_text("utf-8")) for name, path in paths.items()}


def imports(tree: ast.Module) -> Iterator[str]:
    """What a module imports of the framework, wherever that stands in it, below TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_module(alias.name) for alias in node.names if _ours(alias.name))
        elif isinstance(node, ast.ImportFrom) and (node.level or _ours(node.module)):
            yield from (_module(f"{node.module}.{alias.name}") for alias in node.names)


def _ours(dotted: str | None) -> bool:
    return (dotted or "").split(".")[0] == "scraper"


def _module(dotted: str) -> str:
    """The module that `scraper.errors.Retry`, `scraper.errors` or `scraper.cli.crawl` is found in."""
    steps = dotted.split(".")[1:]
    named = (".".join(steps[:n]) for n in range(len(steps), 0, -1))
    return next((found for n in named for found in (n, f"{n}.__init__") if found in modules()), "__init__")


def wrong_ways() -> Iterator[str]:
    for name, tree in modules().items():
        for found in imports(tree):
            here, there = name.split(".")[0], found.split(".")[0]
            level, other = LEVEL.get(here, len(FLOORS)), LEVEL.get(there, -1)
            if here != there and other >= level and (name, found) not in UPWARDS:
                yield f"{name} imports {found}"


def test_every_module_has_its_floor():
    tops = {name.split(".")[0] for name in modules()}
    assert (tops - LEVEL.keys(), LEVEL.keys() - tops) == (set(), set())


def test_imports_only_go_down():
    assert sorted(wrong_ways()) == []


def test_nothing_is_imported_from_the_package_root():
    assert [name for name, tree in modules().items() if "__init__" in imports(tree)] == []


def test_there_is_no_circle():
    ways = {
        name: {found for found in imports(tree) if (name, found) not in UPWARDS}
        for name, tree in modules().items()
    }
    circle: list[str] = []
    try:
        TopologicalSorter(ways).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_a_module_on_a_wrong_floor_is_seen(monkeypatch):
    monkeypatch.setitem(LEVEL, "errors", LEVEL["engine"])
    assert "gate imports errors" in wrong_ways()
