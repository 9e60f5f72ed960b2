"""`scrape resume`: what a run that goes on keeps, and what it is refused for."""

import json
import re

import pytest

from scraper.runs import Runs
from scraper.version import __version__
from tests.cli.damage import overwrite, pages, root, statement
from tests.cli.said import ended, records, refused


@pytest.fixture
def stopped(typed, shelf, project):
    """A run that stopped after 9 of 21 pages."""
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine", "--max-pages", "9")
    return project


def rewritten(project, *changes: tuple[str, str], added: str = "") -> None:
    """The spider, changed."""
    spider = project / "spiders" / "shelf.py"
    text = spider.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    spider.write_text(text + added, "utf-8")


def events(said) -> list[str]:
    return [event["event"] for event in records(said.stderr)]


# ── what was typed ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", [["resume", "mine"], ["resume"], ["crawl", "shelf", "--resume"]])
def test_the_runs_own_arguments_and_files_may_be_typed_again(typed, shelf, stopped, words):
    said = typed(*words, "-a", f"url={shelf.url}", "-o", "all.jsonl", "--log", "json")
    assert (said.returncode, ended(said)["run"], ended(said)["state"]) == (0, "mine", "finished")
    assert len(records((stopped / "all.jsonl").read_text())) == 21


@pytest.mark.parametrize("words", [["resume", "mine"], ["crawl", "shelf", "--resume", "--run", "mine"]])
def test_other_arguments_are_refused(typed, shelf, stopped, words):
    assert refused(typed(*words, "-a", "url=http://other.example/")) == (
        f"Run mine was begun with -a url={shelf.url}, and a resume keeps that:"
        " leave -a url=http://other.example/ out, or start a new run."
    )


@pytest.mark.parametrize("words", [["-o", "other.jsonl"], ["--append"]])
def test_other_files_are_refused(typed, stopped, words):
    sentence = refused(typed("resume", "mine", *words))
    assert sentence.startswith(f"Run mine goes on with its own files ({stopped}/all.jsonl): leave ")
    assert sentence.endswith("To write its items elsewhere too, use `scrape export mine -o FILE`.")


def test_the_run_of_another_spider_is_not_meant(typed, stopped):
    assert refused(typed("crawl", "books", "--resume", "--run", "mine")) == (
        "Run mine is one of spider 'shelf', not of 'books'."
    )


def test_the_beginning_of_the_runs_name_will_do(typed, stopped):
    assert typed("resume", "mi").returncode == 0


# ── the version ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_of_another_version_with_the_same_format_goes_on_with_a_warning(typed, stopped):
    run = Runs(stopped).get("mine")
    run.info = run.info.model_copy(update={"version": "0.0.9"})
    run.save()
    said = typed("resume", "mine", "--log", "json")
    (warning,) = [
        one for one in records(said.stderr) if one["event"] == "the run was begun by another version"
    ]
    assert (said.returncode, warning["began"], warning["now"]) == (0, "0.0.9", __version__)


def test_a_run_of_another_format_is_refused_with_both(typed, stopped):
    statement(stopped, "mine", "PRAGMA user_version = 99")
    assert refused(typed("resume", "mine")) == (
        f"Run mine was written by version {__version__} (format 99); this is version {__version__} (format 1),"
        f" which can't go on with it. Resume it with {__version__}, or start a new run."
    )


# ── the spider ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_unchanged_spider_says_nothing(typed, stopped):
    assert events(typed("resume", "mine", "--log", "json")) == ["crawl ended"]


def test_a_changed_spider_goes_on_with_a_warning_and_no_word_on_standard_output(typed, stopped):
    rewritten(stopped, added="\n    # other words\n")
    said = typed("resume", "mine", "--log", "json")
    assert (said.returncode, said.stdout) == (0, "")
    assert events(said)[0] == "the spider has changed since the run began"


def test_a_spider_that_lost_a_method_that_is_waited_for_is_not_resumed(typed, shelf, project):
    spider = project / "spiders" / "shelf.py"
    text = spider.read_text()
    rewritten(
        project,
        ('follow_all("a")', 'follow_all("a", self.page)'),
        ("def parse", "def page"),
        added="\n    parse = page\n",
    )
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "--max-pages", "1")
    spider.write_text(text)
    assert refused(typed("resume")).startswith(
        "Spider 'shelf' has changed since run mine began, and does not fit it any more:"
        " 20 queued requests want the method page(). Put these back to go on, or start a new run."
    )


def test_a_lost_errback_of_what_is_still_on_a_stage_is_noticed(typed, project, shelf):
    rewritten(
        project,
        (
            'yield from response.follow_all("a")',
            "yield from (Request(f'{self.url}?{n}', errback='gone') for n in range(9999))",
        ),
        added="\n    def gone(self, error):\n        return None\n",
    )
    words = ["-s", "frontier.page_in_memory=100", "--max-pages", "1"]
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", *words)
    rewritten(project, ("    def gone", "    def lost"))
    assert "9,999 queued requests want the method gone()" in refused(typed("resume"))


ITEM = """

class Page(Item):
    url: str
    note: str | None = None
"""


@pytest.fixture
def with_items(typed, shelf, project):
    """A run whose items have a class of their own, in a file beside the spider's."""
    (project / "spiders" / "things.py").write_text(f"from scraper import Item\n{ITEM}", "utf-8")
    rewritten(
        project,
        (
            "from scraper import Request, Spider",
            "from scraper import Request, Spider\nfrom spiders.things import Page",
        ),
        ('yield {"url": response.url}', "yield Page(url=response.url)"),
    )
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "--max-pages", "9")
    return project


def test_items_that_have_other_fields_now_are_noticed_wherever_their_class_stands(typed, with_items):
    things = with_items / "spiders" / "things.py"
    things.write_text(things.read_text().replace("note:", "price: int = 0\n    remark:"), "utf-8")
    assert "9 Page items have other fields (note, price, remark)" in refused(typed("resume"))


@pytest.mark.parametrize(
    "change",
    [
        "    # no field at all\n",
        "    secret: str = Field('', exclude=True)\n",
        "    @model_serializer\n    def short(self) -> dict[str, str]:\n        return {'u': self.url}\n",
    ],
)
def test_items_that_are_written_as_before_may_change_otherwise(typed, with_items, change):
    things = with_items / "spiders" / "things.py"
    things.write_text(f"from pydantic import Field, model_serializer\n{things.read_text()}{change}", "utf-8")
    said = typed("resume", "--log", "json")
    assert (said.returncode, events(said)[0]) == (0, "the spider has changed since the run began")


def test_a_spider_that_is_gone_is_said_to_be_gone(typed, stopped):
    (stopped / "spiders" / "shelf.py").unlink()
    assert refused(typed("resume")) == "No spider named 'shelf'. This project has: books."


def test_an_argument_that_the_spider_no_longer_takes_is_said_to_be_gone(typed, stopped):
    rewritten(stopped, ("    url: str\n", "    url = 'http://127.0.0.1/'\n"))
    assert refused(typed("resume")) == "Spider 'shelf' has no argument 'url'. It takes: none."


# ── what else may be in the way ──────────────────────────────────────────────────────────────────────────


def test_a_run_whose_json_is_damaged_leaves_standard_output_alone(typed, stopped):
    broken = Runs(stopped).create("books", run_id="broken")
    (broken.folder / "run.json").write_text("{")
    said = typed("runs", "--json")
    assert [run["run"] for run in json.loads(said.stdout)] == ["mine"]
    assert re.search("a run is left out.*broken", said.stderr)


def test_a_run_whose_queue_is_damaged_is_sent_to_the_check(typed, stopped):
    with pages(stopped, "mine") as octets:
        overwrite(octets, root(stopped, "mine", "queue"))
    said = typed("resume", "mine", "--log", "json")
    assert said.returncode == 1
    assert "The database of run mine is damaged (database disk image is malformed)." in said.stderr
    assert "`scrape runs check mine` says what can be saved." in said.stderr
    assert "What was committed is safe" not in said.stderr
