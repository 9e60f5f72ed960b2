"""The matrix: what each client does, a row for each module of the contract.

python -m tests.clients.matrix      writes it into docs/clients.md, between its two markers
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from scraper.parts import CLIENTS
from tests.clients.cannot import CANNOT

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
START, END = "<!-- the matrix starts -->\n", "<!-- the matrix ends -->\n"

BEHAVIOUR = "behaviour"  # what a report says it is about: client and row
CONTRACT = "tests.clients.contract"
ROWS = (  # modules of the contract, in the order of the table
    "asking",
    "answers",
    "alone",
    "connections",
    "hanging_up",
    "faults",
    "timeouts",
    "tls",
    "tls_settings",
    "http2",
    "impersonation",
    "http_proxies",
    "socks_proxies",
    "sockets",
)


def cannot(item: pytest.Item) -> tuple[str, str] | None:
    """The entry of cannot.py that excuses this client from this case."""
    entries = ((client_of(item), case) for case in (row_of(item), *_names(item)))
    return next((entry for entry in entries if entry in CANNOT), None)


def client_of(item: pytest.Item) -> str:
    return item.callspec.params.get("name", "") if hasattr(item, "callspec") else ""


def row_of(item: pytest.Item) -> str:
    return _row(item.module.__name__) if isinstance(item, pytest.Function) else ""


def _row(module: str) -> str:
    package, _, name = module.rpartition(".")
    return name.removeprefix("test_") if package == CONTRACT else ""


def _names(item: pytest.Item) -> Iterator[str]:
    """The test's name, and its name with those of its parameters that the test itself has."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return
    yield item.originalname
    _, found, own = f"-{item.callspec.id}".partition(f"-{client_of(item)}-")
    if found:
        yield f"{item.originalname}[{own}]"


# ── as it is told ────────────────────────────────────────────────────────────────────────────────────────


def told() -> str:
    """The table in Markdown: what the contract asks of every client, less what cannot.py excuses."""
    notes: list[str] = []
    lines = [
        f"| | {' | '.join(CLIENTS)} |",
        f"|---|{'---|' * len(CLIENTS)}",
        *(f"| {behaviour(row)} | {' | '.join(_cell(c, row, notes) for c in CLIENTS)} |" for row in ROWS),
        "",
        *(f"{number}. {note}" for number, note in enumerate(notes, 1)),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def behaviour(row: str) -> str:
    """What its module proves: the first line of its docstring."""
    return (_module(row).__doc__ or "").partition("\n")[0].rstrip(".")


def _cell(client: str, row: str, notes: list[str]) -> str:
    tests = {name for name in vars(_module(row)) if name.startswith("test_")}
    excused = {
        case: why
        for (who, case), why in CANNOT.items()
        if who == client and case.split("[")[0] in {row, *tests}
    }
    if not excused:
        return "yes"
    notes += [why for why in dict.fromkeys(excused.values()) if why not in notes]
    numbers = ", ".join(str(number) for number in sorted({notes.index(why) + 1 for why in excused.values()}))
    return f"{'no' if row in excused or tests <= excused.keys() else 'in part'} ({numbers})"


def _module(row: str) -> ModuleType:
    return import_module(f"{CONTRACT}.test_{row}")


def rewritten(page: str) -> str:
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{PAGE.name} has no line {START!r} with a line {END!r} after it.")
    return f"{before}{start}\n{told()}\n{end}{after}"


# ── as it was seen ───────────────────────────────────────────────────────────────────────────────────────


class Ledger:
    """What came of the contract in this run, told at its end. A plugin of pytest."""

    def __init__(self) -> None:
        self._seen: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        place = dict(report.user_properties).get(BEHAVIOUR)
        if place and (report.when == "call" or report.outcome != "passed"):
            client, row = place
            self._seen[client, row]["cannot" if hasattr(report, "wasxfail") else report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if table := self.table():
            terminalreporter.section("what each client does")
            terminalreporter.write_line(table)

    def table(self) -> str:
        """Empty where nothing of the contract was run."""
        clients = [client for client in CLIENTS if any(client == seen for seen, _ in self._seen)]
        rows = [row for row in ROWS if any(row == seen for _, seen in self._seen)]
        width = max((len(behaviour(row)) for row in rows), default=0)
        return "\n".join(
            [
                f"{'':{width}}  {'  '.join(f'{client:>14}' for client in clients)}" if clients else "",
                *(
                    f"{behaviour(row):{width}}  {'  '.join(f'{self._mark(c, row):>14}' for c in clients)}"
                    for row in rows
                ),
            ]
        ).strip("\n")

    def _mark(self, client: str, row: str) -> str:
        seen = self._seen[client, row]
        if seen["failed"]:
            return f"{seen['failed']} FAILED"
        if not seen["cannot"]:
            return str(seen["passed"] or "-")
        return f"{seen['passed']}, cannot {seen['cannot']}" if seen["passed"] else "cannot"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
