"""docs/clients.md tells what the contract of clients proves, and nothing else."""

import ast
from pathlib import Path

from scraper.parts import CLIENTS
from tests.clients import matrix
from tests.clients.cannot import CANNOT

MODULES = sorted(Path(__file__).parent.glob("contract/test_*.py"))


def test_the_page_shows_the_matrix_as_it_is():
    page = matrix.PAGE.read_text("utf-8")
    assert page == matrix.rewritten(page), "Run `python -m tests.clients.matrix`."


def test_every_module_of_the_contract_has_its_row():
    assert {module.stem.removeprefix("test_") for module in MODULES} == set(matrix.ROWS)


def test_every_test_of_the_contract_is_for_every_client():
    """Each asks for the client's name, or for a fixture that does."""
    one_of = {"name", "browser", "hasty", "trusting", "visitor"}
    asked = {
        (module.stem, node.name): {argument.arg for argument in node.args.args}
        for module in MODULES
        for node in ast.parse(module.read_text("utf-8")).body
        if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("test_")
    }
    assert [test for test, arguments in asked.items() if not arguments & one_of] == []


def test_whatever_a_client_cannot_do_is_in_the_contract():
    cases = set(matrix.ROWS)
    for module in MODULES:
        cases |= {node.name for node in ast.parse(module.read_text("utf-8")).body if hasattr(node, "name")}
    strangers = [entry for entry in CANNOT if entry[0] not in CLIENTS or entry[1].split("[")[0] not in cases]
    assert strangers == []
