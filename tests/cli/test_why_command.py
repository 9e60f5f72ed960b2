"""`scrape why`: where a URL was found, and why it was fetched or was not."""

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import environment
from tests.cli.damage import statement
from tests.cli.said import refused
from tests.cli.town import SPIDER, Town


@pytest.fixture(scope="module")
def walked(scaffold, tmp_path_factory) -> tuple[Path, str]:
    """A project that has walked through town, as `mine`; and the town's address."""
    project = Path(shutil.copytree(scaffold, tmp_path_factory.mktemp("why") / "shop"))
    (project / "spiders" / "walk.py").write_text(SPIDER, "utf-8")
    with Town() as town:
        thread = threading.Thread(target=town.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        command = [sys.executable, "-m", "scraper", "crawl", "walk", "-a", f"url={town.url}", "--run", "mine"]
        subprocess.run(command, cwd=project, env=environment(), stderr=subprocess.DEVNULL, check=False)
        town.shutdown()
        thread.join()
    return project, town.url


@pytest.fixture
def why(typed, walked):
    """Asks for a path of the town, or for another URL; (exit code, the answer in lines)."""
    project, site = walked

    def ask(url: str) -> tuple[int, list[str]]:
        said = typed("why", "mine", url if "." in url or ":" in url else site + url, at=project)
        assert said.stderr == ""
        return said.returncode, said.stdout.splitlines()

    return ask


@pytest.fixture
def asked(typed, walked):
    """The same as JSON."""
    project, site = walked

    def ask(path: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(typed("why", "mine", site + path, "--json", at=project).stdout)
        return answer

    return ask


# ── what became of it ────────────────────────────────────────────────────────────────────────────────────


def test_a_page_that_was_fetched_says_what_it_gave_and_where_it_was_found(why, walked):
    code, lines = why("1")
    assert (code, lines[0], lines[1]) == (0, f"GET {walked[1]}1", "Fetched: status 200, 1 item.")
    assert lines[2:5] == ["Found on", "  start()", f"  {walked[1]}"]
    assert lines[5] == "Attempts"
    assert lines[6].endswith("status 200")


def test_every_attempt_is_told_with_its_status(asked):
    (found,) = asked("busy")["requests"]
    assert [(one["number"], one["status"], one["why"]) for one in found["attempts"]] == [
        (1, 503, "status 503"),
        (2, 503, "status 503"),
        (3, 200, ""),
    ]
    times = [one["at"] for one in found["attempts"]]
    assert times == sorted(times)


def test_one_that_failed_says_how_to_fetch_it_again(why):
    assert (
        "Failed for good: status 404. To fetch it again: scrape retry mine --reason 'status 404'"
        in why("missing")[1]
    )


def test_one_that_robots_txt_forbids_says_so(why, walked):
    sentence = why("private/1")[1][1]
    assert sentence.startswith(f"Refused, not fetched: robots, {walked[1]}robots.txt disallows it.")


def test_one_whose_redirect_led_off_the_site_says_so(why):
    assert "Refused, not fetched: offsite, where a redirect led." in why("away")[1]


def test_one_that_waits_for_its_time_says_until_when_and_that_nobody_is_at_it(why, asked):
    _, lines = why("later")
    assert lines[1].startswith("Waits until 20")
    assert lines[2] == "Nobody works on the run: scrape resume mine"
    (found,) = asked("later")["requests"]
    assert (found["fate"], found["attempts"]) == ("delayed", [])


def test_a_long_way_is_told_by_its_two_ends(why, asked, walked):
    site = walked[1]
    _, lines = why("12")
    ends = ["start()", site, f"{site}1", f"{site}2", "… 3 more …", *(f"{site}{n}" for n in range(6, 12))]
    assert [line.strip() for line in lines[lines.index("Found on") + 1 : lines.index("Attempts")]] == ends
    assert len(asked("12")["requests"][0]["found_on"]) == 12


# ── which request is meant ───────────────────────────────────────────────────────────────────────────────


def test_a_duplicate_is_told_by_the_page_that_came_first(why, walked):
    _, lines = why("shop?a=1&b=2")
    assert lines[0] == f"GET {walked[1]}shop?b=2&a=1#top"
    assert lines[2].startswith(f"It is the same page as {walked[1]}shop?a=1&b=2: every other request for it")


@pytest.mark.parametrize("typing", ["{}", "http://{}", " http://{} ", "http://{}#part", "HTTP://{}"])
def test_a_url_may_be_typed_as_people_type_it(why, walked, typing):
    code, lines = why(typing.format(walked[1].removeprefix("http://") + "1"))
    assert (code, lines[0]) == (0, f"GET {walked[1]}1")


def test_a_form_is_found_by_its_address(why, walked):
    _, lines = why("form")
    assert lines[0] == f"{walked[1]}form"
    assert lines[2].startswith("It is no plain GET (another method, a body, or dont_filter)")


def test_each_request_for_a_url_is_told(asked):
    assert [found["plain"] for found in asked("twice")["requests"]] == [True, False]


# ── what was never queued ────────────────────────────────────────────────────────────────────────────────


def never(why, url: str) -> str:
    """Why, in the sentence after the one that says so; the exit code is 1."""
    code, lines = why(url)
    assert code == 1
    assert lines[1] == "Run mine has never queued it."
    return lines[2]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "http://elsewhere.example/",
            "offsite, elsewhere.example is not in allowed_domains (127.0.0.1)."
            " 1 of the run's requests went the same way.",
        ),
        ("elsewhere.example/page", "offsite, elsewhere.example is not in allowed_domains (127.0.0.1)."),
        ("mailto:me@example.com", "scheme, mailto is no scheme to fetch, only http and https are."),
        (
            "http://[bad",
            "invalid url, 'http://[bad' is not a URL to fetch: its host or its port is not valid.",
        ),
        ("private/2", "robots, {site}robots.txt disallows it."),
        (f"http://127.0.0.1/{'x' * 9000}", "length, it has 9,017 characters; max_url_length is 8,000."),
    ],
)
def test_what_stands_against_it_is_asked_again(why, walked, url, sentence):
    said = never(why, url)
    assert said.startswith(
        "Had a page yielded it, it would not be fetched: " + sentence.format(site=walked[1])
    )


def test_where_requests_were_too_deep_it_may_have_been_one_of_them(why):
    assert never(why, "15") == (
        "No page has yielded it, or it was dropped: depth, max_depth is 14. 1 of the run's requests went the same way."
    )


def test_where_nothing_stands_against_it_no_page_has_yielded_it(typed, shelf):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    said = typed("why", "mine", f"{shelf.url}99")
    assert said.returncode == 1
    assert said.stdout.splitlines()[2].startswith(
        "Nothing stands against it, so no page that was fetched has yielded it"
    )


def test_without_the_spider_the_rest_is_still_told(typed, walked, project):
    shutil.copytree(walked[0], project, dirs_exist_ok=True)
    (project / "spiders" / "walk.py").unlink()
    lines = typed("why", "mine", "http://elsewhere.example/").stdout.splitlines()
    assert lines[2].startswith("No page has yielded it, or it was dropped: depth")
    assert lines[3] == (
        "Whether it is off the spider's site is not known: No spider named 'walk'. This project has: books."
    )


# ── a crawl that goes on, or did not come to its end ─────────────────────────────────────────────────────


@pytest.fixture
def held(started, shelf):
    """A crawl of one page at a time that hangs at /7: it knows of /1 … /20."""
    shelf.hold("/7")
    crawl = started(
        *("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine"),
        *("-s", "concurrency=1", "-s", "seats=1"),
    )
    shelf.wait_for("/7")
    return crawl


def test_one_that_is_out_is_being_fetched(typed, held, shelf):
    lines = typed("why", "mine", f"{shelf.url}7").stdout.splitlines()
    assert lines[1] == "On its way: it has been handed out to be fetched."


def test_one_that_waits_says_how_many_come_before_it(typed, held, shelf):
    lines = typed("why", "mine", f"{shelf.url}20").stdout.splitlines()
    assert lines[1] == f"Waits: 13 of its host ({shelf.url[7:-1]}) come before it."
    assert lines[2] == "Found on"


def test_after_a_crash_it_says_what_was_out_and_how_to_go_on(typed, held, shelf):
    held.kill()
    held.wait()
    lines = typed("why", "mine", f"{shelf.url}7").stdout.splitlines()
    assert lines[1:3] == [
        "Was on its way when the process ended; a resume fetches it first, alone.",
        "Nobody works on the run: scrape resume mine",
    ]


def test_one_whose_host_rests_says_until_when(typed, held, shelf, project):
    held.kill()
    held.wait()
    host = shelf.url[7:-1]
    rest = f"INSERT INTO memory VALUES ('hosts', '{host}', '{{\"until\": 4e9, \"delay\": 0}}')"
    statement(project, "mine", rest)
    assert ", and its host rests until 2096-10-0" in typed("why", "mine", f"{shelf.url}20").stdout


def test_what_is_on_its_pages_stage_waits_to_be_queued(typed, project):
    (project / "spiders" / "many.py").write_text(MANY, "utf-8")
    typed("crawl", "many", "--run", "mine", "-s", "frontier.page_in_memory=100", "--max-pages", "1")
    address = json.loads((project / "address.json").read_text())
    lines = typed("why", "mine", f"{address}?19999").stdout.splitlines()
    assert lines[1:3] == [
        "Waits to be queued: its page yielded more than one commit takes.",
        "Nobody works on the run: scrape resume mine",
    ]
    assert lines[3:] == ["Found on", "  start()", f"  {address}"]


MANY = """
import json
from pathlib import Path

from scraper import Request, Spider
from scraper.demo import bookshop


class Many(Spider):
    name = "many"

    async def open(self):
        self.url = await self.enter(bookshop(self.state))
        Path("address.json").write_text(json.dumps(self.url))

    async def start(self):
        yield Request(self.url)

    def parse(self, response):
        for n in range(20_000):
            yield Request(f"{self.url}?{n}")
"""


def test_a_page_that_led_to_another_by_its_errback_and_waits_again_is_still_named(typed, shelf, project):
    spider = project / "spiders" / "shelf.py"
    text = spider.read_text("utf-8").replace(
        "yield Request(self.url)", 'yield Request(self.url, errback="gone")'
    )
    spider.write_text(text + "\n    def gone(self, error):\n        yield Request(self.url + '5')\n", "utf-8")
    shelf.missing |= {"/"}
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    typed("retry", "mine")
    lines = typed("why", "mine", f"{shelf.url}5").stdout.splitlines()
    assert lines[2:5] == ["Found on", "  start()", f"  {shelf.url}"]
    again = typed("why", "mine", shelf.url).stdout.splitlines()
    assert again[1].startswith("Waits: 0 of its host")
    assert again[-1].endswith("status 404")


def test_a_request_that_is_in_no_table_is_sent_to_the_check(typed, shelf, project):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    statement(project, "mine", "DELETE FROM pages WHERE seq = 5")
    lines = typed("why", "mine", f"{shelf.url}4").stdout.splitlines()
    assert lines[1] == "Known as queued, but in no table: scrape runs check mine"


def test_a_url_must_be_named(typed):
    said = typed("why", "mine")
    assert (said.returncode, "Missing argument 'URL'" in said.stderr) == (2, True)


def test_an_unknown_run_is_refused(typed):
    assert refused(typed("why", "mine", "x")).startswith("There is no run 'mine'")
