"""What `scrape startproject` and `scrape genspider` write works at once, for a newcomer with no internet."""

import json
import os
import runpy
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from scraper import Spider
from scraper.cli.scaffold import PROJECT, gen_spider, start_project
from scraper.errors import ProjectError
from scraper.settings import Settings

REPOSITORY = Path(__file__).parents[2]
NEWCOMER = ("--strict", "--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls")


@pytest.fixture
def project(tmp_path) -> Path:
    folder = tmp_path / "shop"
    start_project(folder, "shop")
    return folder


def python(*arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
    """Runs a module as a newcomer would, in the project's folder, without this repository's configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SCRAPER_"))}
    environment = {**kept, "PYTHONPATH": str(REPOSITORY), "MYPYPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True, timeout=50)


def scrape(*arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
    return python("scraper", *arguments, at=at)


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def turn_on_the_examples(project: Path) -> None:
    settings = project / "settings.toml"
    settings.write_text(settings.read_text("utf-8").replace("# { use", "{ use"), "utf-8")


# ── a new project ────────────────────────────────────────────────────────────────────────────────────────


def test_a_project_is_the_files_that_are_named(tmp_path):
    paths = start_project(tmp_path / "shop", "shop")
    assert [path.relative_to(tmp_path / "shop").as_posix() for path in paths] == list(PROJECT)
    assert written(tmp_path / "shop") == set(PROJECT)


def test_every_template_is_used():
    folder = files("scraper.cli") / "templates"
    with_templates = Path(str(folder))
    assert written(with_templates) == {"spider.py.tmpl"} | {f"project/{file}.tmpl" for file in PROJECT}


def test_no_hole_is_left_in_a_file(project):
    assert not any("$" in (project / file).read_text("utf-8") for file in PROJECT)


def test_the_first_spider_runs_at_once(project):
    ran = scrape("crawl", "books", "-o", "books.jsonl", "--max-pages", "40", at=project)
    items = [json.loads(line) for line in (project / "books.jsonl").read_text("utf-8").splitlines()]
    assert (ran.returncode, len(items) > 20) == (0, True), ran.stderr
    assert items[0].keys() == {"title", "price", "stock", "url"}


def test_the_example_pipeline_and_middleware_work_once_they_are_turned_on(project):
    turn_on_the_examples(project)
    ran = scrape("crawl", "books", "--max-pages", "60", "--log", "json", at=project)
    ended = json.loads(ran.stderr.splitlines()[-1])
    assert (ended["exit_code"], ended["failed"]) == (0, 0), ran.stderr
    assert ended["items_dropped"] > 0


def test_its_settings_are_the_defaults(project):
    given = tomllib.loads((project / "settings.toml").read_text("utf-8"))
    assert Settings(**given) == Settings()


def test_its_own_test_passes(project):
    ran = python("pytest", "-q", "-p", "no:cacheprovider", at=project)
    assert "2 passed" in ran.stdout, ran.stdout


def test_its_code_passes_the_linter_and_the_formatter(project):
    gen_spider(project, "other", "shop.example")
    checked = python("ruff", "check", "--no-cache", at=project)
    formatted = python("ruff", "format", "--check", "--no-cache", at=project)
    assert (checked.returncode, formatted.returncode) == (0, 0), checked.stdout + formatted.stdout


@pytest.mark.long
def test_its_code_passes_the_type_checker(project, tmp_path):
    gen_spider(project, "other", "shop.example")
    ran = python("mypy", *NEWCOMER, "--cache-dir", str(tmp_path / "cache"), ".", at=project)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("name", "distribution"), [("My Shop", "my-shop"), ("Bücher & $more", "b-cher-more"), ("..", "project")]
)
def test_a_project_may_have_any_name(tmp_path, name, distribution):
    start_project(tmp_path / "folder", name)
    readme = (tmp_path / "folder" / "README.md").read_text("utf-8")
    described = tomllib.loads((tmp_path / "folder" / "pyproject.toml").read_text("utf-8"))
    assert readme.startswith(f"# {name}\n")
    assert described["project"]["name"] == distribution


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ProjectError, match=r"is not empty \(notes.txt\): start the project in a new folder"):
        start_project(tmp_path, "shop")
    assert written(tmp_path) == {"notes.txt"}


def test_a_repository_with_nothing_in_it_is_empty_enough(tmp_path):
    for folder in (".git", ".venv"):
        (tmp_path / folder).mkdir()
    assert len(start_project(tmp_path, "shop")) == len(PROJECT)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "shop").touch()
    with pytest.raises(ProjectError, match="is a file: a project needs a folder of its own"):
        start_project(tmp_path / "shop", "shop")


# ── a new spider ─────────────────────────────────────────────────────────────────────────────────────────


def spider_in(path: Path) -> type[Spider]:
    """The spider class that a generated file defines."""
    found = [thing for thing in runpy.run_path(str(path)).values() if isinstance(thing, type)]
    return next(thing for thing in found if issubclass(thing, Spider) and thing is not Spider)


@pytest.mark.parametrize(
    ("site", "domain", "url"),
    [
        ("shop.example", "shop.example", "https://shop.example/"),
        ("www.shop.example", "shop.example", "https://www.shop.example/"),
        ("http://shop.example:8080/list?page=1", "shop.example", "http://shop.example:8080/list?page=1"),
        ("  SHOP.example/new ", "shop.example", "https://shop.example/new"),
        ("bücher.example", "xn--bcher-kva.example", "https://xn--bcher-kva.example/"),
        ('https://shop.example/"\\?q="\\$name', "shop.example", "https://shop.example/%22/?q=%22\\$name"),
    ],
)
def test_a_spider_starts_where_it_was_told_and_stays_there(project, site, domain, url):
    spider = spider_in(gen_spider(project, "other", site))
    assert (spider.name, spider.allowed_domains, spider.start_urls) == ("other", [domain], [url])


@pytest.mark.parametrize(
    ("name", "file", "class_name"),
    [
        ("shop", "shop.py", "Shop"),
        ("my-shop", "my_shop.py", "MyShop"),
        ("camelCase2", "camelCase2.py", "CamelCase2"),
        ("spider", "spider.py", "SpiderSpider"),
        ("none", "none.py", "NoneSpider"),
        ("response", "response.py", "ResponseSpider"),
    ],
)
def test_a_spiders_file_and_class_follow_its_name(project, name, file, class_name):
    path = gen_spider(project, name, "shop.example")
    spider = spider_in(path)
    assert (path, spider.name, spider.__name__) == (project / "spiders" / file, name, class_name)


@pytest.mark.parametrize("name", ["2ehands", "", "my shop", "a/b", "../up", "a.b", "_hidden", "-x", "a\nb"])
def test_a_name_that_can_not_be_a_spiders_is_refused(project, name):
    with pytest.raises(ProjectError, match="can't be a spider's name: use letters"):
        gen_spider(project, name, "shop.example")
    assert written(project) == set(PROJECT)


@pytest.mark.parametrize("name", ["class", "import", "True"])
def test_a_word_of_python_is_refused(project, name):
    with pytest.raises(ProjectError, match=f"it is a word of Python. Try {name}_spider."):
        gen_spider(project, name, "shop.example")


@pytest.mark.parametrize("site", ["", "https://", "ftp://shop.example/", "http://a b/", "shop.example:port"])
def test_a_site_that_can_not_be_fetched_is_refused(project, site):
    with pytest.raises(ProjectError):
        gen_spider(project, "other", site)
    assert written(project) == set(PROJECT)


def test_a_spider_is_never_overwritten(project):
    before = (project / "spiders" / "books.py").read_text("utf-8")
    with pytest.raises(ProjectError, match=r"books.py exists already, and is left as it is"):
        gen_spider(project, "books", "shop.example")
    assert (project / "spiders" / "books.py").read_text("utf-8") == before


def test_a_folder_for_spiders_is_made_where_there_is_none(tmp_path):
    (tmp_path / "settings.toml").touch()
    assert gen_spider(tmp_path, "shop", "shop.example").is_file()
