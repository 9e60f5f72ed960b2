"""What a command says: a sentence that helps where something is wrong, and never a traceback."""

import json
import re
import shutil

import pytest
import typer

from scraper.cli import app
from tests.cli.said import refused


def write_spider(project, name: str, body: str) -> None:
    head = f"from scraper import Spider\n\nclass {name.title()}(Spider):\n    name = {name!r}\n"
    (project / "spiders" / f"{name}.py").write_text(head + body, "utf-8")


# ── help ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_python_m_scraper_is_the_same_command(scrape, tmp_path):
    said = scrape("--help", at=tmp_path)
    assert said.returncode == 0
    assert "Usage: python -m scraper [OPTIONS] COMMAND" in said.stdout
    assert "startproject" in said.stdout


@pytest.mark.parametrize("command", list(typer.main.get_command(app).commands))
def test_every_command_has_help(typed, command):
    said = typed(command, "--help")
    assert said.returncode == 0
    assert re.search(rf"Usage: .* {command} ", said.stdout)


def test_an_unknown_command_is_refused(typed):
    said = typed("crawll")
    assert said.returncode == 2
    assert "No such command 'crawll'" in said.stderr


# ── the project and its spiders ──────────────────────────────────────────────────────────────────────────


def test_list_shows_spiders_their_arguments_and_what_they_do(typed):
    said = typed("list")
    assert said.returncode == 0
    assert re.search(r"books\s+url\s+Every book of a shop\.", said.stdout)


def test_list_as_json(typed):
    assert json.loads(typed("list", "--json").stdout) == ["books"]


def test_the_project_is_found_from_a_folder_inside_it(typed, project):
    assert json.loads(typed("list", "--json", at=project / "tests" / "pages").stdout) == ["books"]


@pytest.mark.parametrize("command", ["list", "settings", "resume", "crawl books", "genspider a example.com"])
def test_no_project_here(typed, tmp_path, command):
    sentence = refused(typed(*command.split(), at=tmp_path))
    assert sentence.startswith(f"There is no project here: neither {tmp_path} nor a folder above it has")
    assert "`scrape startproject NAME`" in sentence


def test_a_project_without_spiders_says_where_to_put_them(typed, project):
    shutil.rmtree(project / "spiders")
    assert refused(typed("list")) == f"{project} has no folder spiders/: put your spiders there."


def test_an_unknown_spider_is_guessed(typed):
    sentence = refused(typed("crawl", "boks"))
    assert sentence == "No spider named 'boks'. Did you mean 'books'? This project has: books."


def test_a_syntax_error_names_file_and_line(typed, project):
    write_spider(project, "broken", "    def parse(self, response)\n        ...\n")
    sentence = refused(typed("crawl", "books"))
    assert sentence.startswith(f"{project}/spiders/broken.py, line 5 can't be imported: SyntaxError: ")


def test_an_import_that_fails_names_file_and_line(typed, project):
    write_spider(project, "broken", "\nfrom nowhere import nothing\n")
    sentence = refused(typed("list"))
    assert sentence.startswith(f"{project}/spiders/broken.py, line 6 can't be imported: ModuleNotFoundError")
    assert "'nowhere'" in sentence


def test_a_syntax_error_in_what_a_spider_imports_names_that_file_too(typed, project):
    write_spider(project, "broken", "\nimport pipelines.broken\n")
    (project / "pipelines" / "broken.py").write_text("\n\nx = (\n")
    sentence = refused(typed("list"))
    assert f"{project}/spiders/broken.py, line 6" in sentence
    assert "broken.py, line 3" in sentence


def test_two_spiders_of_one_name(typed, project):
    shutil.copy(project / "spiders" / "books.py", project / "spiders" / "again.py")
    assert refused(typed("list")) == "Two spiders are named 'books': spiders.again and spiders.books."


# ── arguments ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "Spider 'typed' needs -a max_pages=… (int)."),
        (
            "-a max_pages=ten",
            "Spider 'typed': argument max_pages='ten' is no int: input should be a valid integer",
        ),
        (
            "-a maxpages=1",
            "Spider 'typed' has no argument 'maxpages'. It takes: max_pages: int, tags: list[str].",
        ),
        ("-a max_pages", "-a takes key=value, such as -a max_pages=10; got 'max_pages'."),
        ("-a max_pages=1 -a tags=x", "Spider 'typed': argument tags='x' is no list[str]"),
        (
            "-a max_pages=1 --max-time soon",
            "--max-time: 'soon' is no duration: write it as 90, 30s, 10m or 1h30m.",
        ),
        ("-a max_pages=1 --log yaml", "-s: log = 'yaml': input should be 'text' or 'json'."),
    ],
)
def test_an_argument_that_does_not_fit(typed, project, words, sentence):
    write_spider(project, "typed", "    max_pages: int\n    tags: list[str] = []\n")
    assert refused(typed("crawl", "typed", *words.split())).startswith(sentence)


def test_a_number_below_zero_is_no_limit(typed):
    said = typed("crawl", "books", "--max-pages", "-1")
    assert said.returncode == 2
    assert "Invalid value for '--max-pages'" in said.stderr


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────


def origins(said) -> dict[str, tuple[object, str]]:
    return {row["key"]: (row["value"], row["from"]) for row in json.loads(said.stdout)}


def test_settings_come_from_the_last_that_sets_them(typed, project, monkeypatch):
    write_spider(project, "slow", "    custom_settings = {'delay': '2s', 'per_host': 3, 'max_depth': 4}\n")
    monkeypatch.setenv("SCRAPER_PER_HOST", "2")
    monkeypatch.setenv("SCRAPER_TIMEOUTS__READ", "7")
    shown = origins(typed("settings", "slow", "-s", "max_depth=5", "--json"))
    assert shown["client"] == ("aiohttp", "settings.toml")
    assert shown["max_url_length"] == (8_000, "default")
    assert shown["concurrency"] == (100, "settings.toml")
    assert shown["delay"] == (2.0, "Slow.custom_settings")
    assert shown["per_host"] == (2, "environment")
    assert shown["timeouts.read"] == (7.0, "environment")
    assert shown["timeouts.total"] == (60.0, "settings.toml")
    assert shown["max_depth"] == (5, "-s")


def test_what_a_table_leaves_out_is_a_default(typed, project):
    (project / "settings.toml").write_text("[retry]\nattempts = 5\n")
    shown = origins(typed("settings", "--json"))
    assert shown["retry.attempts"] == (5, "settings.toml")
    assert shown["retry.wait"] == (1.0, "default")


def test_settings_are_a_table_for_a_person(typed):
    said = typed("settings")
    assert said.returncode == 0
    assert re.search(r"timeouts\.read\s+20\.0\s+settings\.toml", said.stdout)


def test_a_proxys_password_is_not_shown(typed, project):
    (project / "settings.toml").write_text('[proxies]\npool = ["http://me:hunter2@proxy.example:8080"]\n')
    for said in (typed("settings"), typed("settings", "--json")):
        assert "proxies.pool" in said.stdout
        assert "hunter2" not in said.stdout


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        ("concurency = 5", "settings.toml: there is no setting 'concurency'. Did you mean 'concurrency'?"),
        (
            "[timeouts]\nreed = 5",
            "settings.toml: there is no setting 'timeouts.reed'. Did you mean 'timeouts.read'?",
        ),
        ("[timeout]\nread = 5", "settings.toml: there is no setting 'timeout'. Did you mean 'timeouts'?"),
        ("[timeouts]\nread = 'soon'", "settings.toml: timeouts.read = 'soon': 'soon' is no duration"),
        ("concurrency = 0", "settings.toml: concurrency = 0: input should be greater than or equal to 1."),
        ("concurrency = ", "settings.toml is not valid TOML: "),
    ],
)
def test_a_mistake_in_the_file_is_named(typed, project, toml, sentence):
    (project / "settings.toml").write_text(toml)
    assert refused(typed("crawl", "books")).startswith(sentence)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("concurency=5", "-s: there is no setting 'concurency'. Did you mean 'concurrency'?"),
        ("concurrency=many", "-s: concurrency = 'many': input should be a valid integer"),
        ("concurrency", "-s takes key=value, such as -s concurrency=50; got 'concurrency'."),
    ],
)
def test_a_mistake_after_s_is_named(typed, given, sentence):
    assert refused(typed("crawl", "books", "-s", given)).startswith(sentence)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (
            "SCRAPER_CONCURENCY",
            "5",
            "Environment variable SCRAPER_CONCURENCY names no setting. Did you mean 'concurrency'?",
        ),
        (
            "SCRAPER_CONCURRENCY",
            "many",
            "SCRAPER_CONCURRENCY: concurrency = 'many': input should be a valid integer",
        ),
        ("SCRAPER_TIMEOUTS__REED", "5", "SCRAPER_TIMEOUTS__REED: there is no setting 'timeouts.reed'."),
    ],
)
def test_a_mistake_in_the_environment_is_named(typed, monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    assert refused(typed("crawl", "books")).startswith(sentence)


def test_a_mistake_in_a_spiders_own_settings_is_named(typed, project):
    write_spider(project, "slow", "    custom_settings = {'dely': 2}\n")
    assert refused(typed("crawl", "slow")).startswith(
        "Slow.custom_settings: there is no setting 'dely'. Did you mean 'delay'?"
    )


# ── new projects and spiders ─────────────────────────────────────────────────────────────────────────────


def test_startproject_says_what_it_wrote_and_what_to_do_now(typed, tmp_path):
    said = typed("startproject", "new", at=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    assert "  new/settings.toml\n" in said.stdout
    assert said.stdout.endswith("Now: cd new && scrape list && scrape crawl books -o books.jsonl\n")
    assert (tmp_path / "new" / "spiders" / "books.py").is_file()


def test_startproject_leaves_what_is_there_alone(typed, project):
    assert "is not empty" in refused(typed("startproject", project))


def test_genspider_says_where_it_wrote_and_what_to_do_now(typed, project):
    said = typed("genspider", "my-shop", "shop.example")
    assert said.returncode == 0
    assert said.stdout == f"Wrote {project}/spiders/my_shop.py. Now: scrape crawl my-shop -o my-shop.jsonl\n"
    assert json.loads(typed("list", "--json").stdout) == ["books", "my-shop"]


def test_genspider_overwrites_nothing(typed, project):
    assert refused(typed("genspider", "books", "shop.example")).endswith(
        "spiders/books.py exists already, and is left as it is."
    )


# ── nothing to resume ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("resume", "There is no run to resume."),
        ("resume books-1", "There is no run 'books-1' in this project. The latest: none."),
        ("resume ../books", "There is no run '../books' in this project."),
        ("crawl books --resume", "There is no run of spider 'books' to resume."),
        ("crawl books --resume -o x.jsonl", "There is no run of spider 'books' to resume."),
        ("run nowhere.py", "There is no file nowhere.py."),
        ("run settings.toml", "settings.toml is no Python file: its name must end in .py."),
        ("run pipelines/max_price.py", "pipelines/max_price.py should hold one spider class; it has none."),
    ],
)
def test_what_can_not_be_run_or_resumed(typed, words, sentence):
    assert refused(typed(*words.split())).startswith(sentence)
