"""docs/deploy.md, by hand: every command of the section, in its order, does what the page says."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from scraper.cli import app
from tests.cli.conftest import environment
from tests.deploy.command_line import options_of
from tests.deploy.files import compose, container, manifests, pod
from tests.deploy.page import PAGE, REPOSITORY, Command, blocks, commands, free_port, section, terminal

BY_HAND = list(commands(section("By hand")))
INSTALLING = re.compile(r"python3 -m venv venv|\. venv/bin/activate|pip install .*")
SUFFIXES = re.compile(r"_(total|bucket|sum|count)$")

needs_tools = pytest.mark.skipif(
    not (Path("/proc/self/task").exists() and shutil.which("bash") and shutil.which("curl")),
    reason="Linux with bash and curl is missing: apt-get install curl",
)


async def follow(told: list[Command], folder: Path, variables: Mapping[str, str], *, patience: float) -> str:
    """Types them in the folder, at a port of their own, and hands back all that they printed."""
    port = str(free_port())
    known = {"HOME": str(folder), "SCRAPER_WORKER__LISTEN": f"127.0.0.1:{port}"}
    everything = ""
    async with terminal(folder, {**environment(), **known, **variables}) as typing:
        for one in told:
            printed, code = await typing.type(one.typed.replace("8480", port), patience=patience)
            assert code == 0, f"$ {one.typed}\n{printed}"
            assert one.fits(printed), f"$ {one.typed}\n{printed}\nbut the page says\n{one.shown}"
            everything += printed + "\n"
    return everything


def events(folder: Path) -> list[str]:
    """That the workers have logged."""
    return [json.loads(line)["event"] for line in (folder / "worker.log").read_text("utf-8").splitlines()]


def assert_all_of_it_happened(folder: Path) -> None:
    steps = [event for event in events(folder) if event.startswith(("worker ", "settings ", "stopping"))]
    first = ["worker ready", "settings read again", "stopping", "worker stopped"]
    assert steps == [*first, "worker ready", "stopping", "worker stopped"]
    files = [folder / "shop" / "data" / f"{name}.jsonl" for name in ("books", "3")]
    assert [len(file.read_text("utf-8").splitlines()) for file in files] == [1_000, 1_000]
    for secret in ("token", "bearer", "shop.tar.gz"):
        assert (folder / secret).stat().st_mode & 0o077 == 0


@needs_tools
@pytest.mark.long
async def test_every_command_does_what_the_page_says(tmp_path):
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    here = [one for one in BY_HAND if not INSTALLING.fullmatch(one.typed)]
    printed = await follow(here, tmp_path, {"PATH": path}, patience=40)
    assert_all_of_it_happened(tmp_path)
    offered = metrics_in(printed)
    assert not [name for name in metrics_of_the_alarms() if name not in offered]


def metrics_in(printed: str) -> set[str]:
    lines = [line for line in printed.splitlines() if re.match(r"# (HELP|TYPE) |(scraper|process)_", line)]
    return {family.name for family in text_string_to_metric_families("\n".join(lines) + "\n")}


@needs_tools
@pytest.mark.long
@pytest.mark.timeout(600)
async def test_every_command_does_it_in_a_fresh_environment_with_the_wheel_of_this_checkout(tmp_path):
    path = os.pathsep.join((str(Path(sys.base_prefix, "bin")), "/usr/local/bin", "/usr/bin", "/bin"))
    wheel = built(tmp_path / "dist", path)
    links = f"{wheel.parent} {os.environ.get('PIP_FIND_LINKS', '')}"
    told = {"PATH": path, "PIP_FIND_LINKS": links, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    await follow(BY_HAND, tmp_path, told, patience=300)
    assert_all_of_it_happened(tmp_path)
    assert_installed(wheel, tmp_path / "venv")


def assert_installed(wheel: Path, environment: Path) -> None:
    """And no other version of it, as an index may have."""
    packages = next(environment.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as files:
        ours = [name for name in files.namelist() if name.endswith(".py")]
        assert ours
        assert not [name for name in ours if files.read(name) != (packages / name).read_bytes()]


def built(folder: Path, path: str) -> Path:
    """By the pip that the page begins with, in a folder of its own."""
    command = [
        "python3",
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(REPOSITORY),
    ]
    told = {**environment(), "PATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run(command, env=told, check=True)
    return next(folder.glob("*.whl"))


@pytest.mark.parametrize(
    ("shown", "printed", "fits"),
    [
        ("", "anything", True),
        ("Job 1 is queued…", "Job 1 is queued: soon.\n", True),
        ("Job 1 is queued", "Job 1 is queued: soon.\n", False),
        ("job…\n…\nrun  books-job1", "job 1\nstate finished\nfiles\nrun books-job1", True),
        ("job…\n…\nrun  books-job1", "job 1\nstate finished\nrun books-job2", False),
        ("{…}", "{\n}", False),
    ],
)
def test_what_a_page_shows_is_told_from_something_else(shown, printed, fits):
    assert Command("scrape", shown).fits(printed) is fits


# ── the rest of the page ─────────────────────────────────────────────────────────────────────────────────


def alarms() -> list[str]:
    return [row[1] for row in re.finditer(r"^\| [^|]+ \| `(.+)` \|$", section("What to watch"), re.MULTILINE)]


def metrics_of_the_alarms() -> set[str]:
    names = {name for alarm in alarms() for name in re.findall(r"\bscraper_\w+", alarm)}
    return {SUFFIXES.sub("", name) for name in names}


def test_the_alarms_are_promql():
    parser = pytest.importorskip(
        "promql_parser", reason="promql-parser is missing: pip install promql-parser"
    )
    assert len(alarms()) > 5
    for alarm in alarms():
        parser.parse(alarm)


def test_the_page_leads_nowhere_that_is_not():
    linked = re.findall(r"\]\((?!#|http)([^)#]+)", PAGE)
    assert linked
    assert not [link for link in linked if not (REPOSITORY / "docs" / link).exists()]
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles()}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def titles() -> list[str]:
    return re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("block", blocks("sh"))
def test_a_shell_can_read_every_block(block):
    assert subprocess.run(["bash", "-n"], input=block, text=True, check=False).returncode == 0


def test_the_page_calls_things_as_the_files_do():
    services = set(re.findall(r"compose\.yaml (?:exec|cp|logs --follow|kill --signal SIGHUP) (\w+)", PAGE))
    assert services == compose()["services"].keys()
    name = manifests()["StatefulSet"]["metadata"]["name"]
    pods = set(re.findall(r"kubectl (?:exec|logs --follow) (\S+)", PAGE))
    assert pods == {f"{name}-0"}
    secret = pod()["volumes"][0]["secret"]["secretName"]
    assert f"kubectl create secret generic {secret} --from-file=token" in PAGE
    assert f"-t {container()['image']} ." in PAGE


NAMED = re.findall(r"\bscrape ([a-z]+(?: (?:add|list|show|cancel|retry|logs|prune))?)", PAGE)


@pytest.mark.parametrize("typed", sorted(set(NAMED)))
def test_every_command_that_the_page_names_exists(typed):
    assert CliRunner().invoke(app, [*typed.split(), "--help"]).exit_code == 0


def test_every_option_that_the_page_names_is_one_of_the_command_line():
    ours = {line for name in ("worker", "jobs add", "jobs logs", "runs prune") for line in options_of(name)}
    named = set(re.findall(r"`(--[a-z-]+)[^`]*`", PAGE))
    assert named - {"--volumes"} <= ours
