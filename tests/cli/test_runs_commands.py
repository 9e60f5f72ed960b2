"""`scrape runs`, `failed`, `retry` and `export`: what a run remembers, for a person and for the next program."""

import json
import re

from tests.cli.said import ended, records, refused


def listed(typed, *words: str) -> list[dict[str, object]]:
    said = typed(*words, "--json")
    assert said.returncode == 0
    return json.loads(said.stdout)


def test_a_project_that_has_run_nothing_has_no_runs(typed):
    assert listed(typed, "runs") == []


def test_runs_are_listed_with_how_they_stand(started, typed, shelf):
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    shelf.wait_for("/7")
    (live,) = listed(typed, "runs")
    crawl.kill()
    crawl.wait()
    (killed,) = listed(typed, "runs")
    assert (live["run"], live["state"], killed["state"]) == ("mine", "running", "crashed")
    assert re.search(r"mine +crashed +\d+ +0 +\d+", typed("runs").stdout)


def test_what_failed_is_listed_and_put_back_and_fetched_again(typed, shelf, project):
    shelf.missing |= {"/3", "/4"}
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    letters = listed(typed, "failed", "mine")
    shelf.missing -= {"/3", "/4"}
    other_reason, this_reason = (typed("retry", "mine", "--reason", f"status {code}") for code in (500, 404))
    resumed = typed("resume", "mine", "--log", "json")
    urls = {page["url"] for page in records((project / "all.jsonl").read_text())}
    assert {(letter["url"], letter["reason"], letter["attempts"]) for letter in letters} == {
        (f"{shelf.url}3", "status 404", 1),
        (f"{shelf.url}4", "status 404", 1),
    }
    assert other_reason.stdout == "Put back 0 requests.\n"
    assert this_reason.stdout == "Put back 2 requests. Now: scrape resume mine\n"
    assert (resumed.returncode, ended(resumed)["state"], ended(resumed)["failed"]) == (0, "finished", 0)
    assert (len(urls), listed(typed, "failed", "mine")) == (21, [])


def test_items_are_exported_without_crawling_again(typed, shelf, project):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    assert typed("export", "mine", "-o", "again.jsonl", "-o", "again.csv").returncode == 0
    assert (project / "again.jsonl").read_bytes() == (project / "all.jsonl").read_bytes()
    assert len((project / "again.csv").read_text().splitlines()) == 22


def test_a_spider_that_lost_a_method_that_is_waited_for_is_not_resumed(typed, shelf, project):
    spider = project / "spiders" / "shelf.py"
    text = spider.read_text()
    spider.write_text(
        text.replace('follow_all("a")', 'follow_all("a", self.page)').replace("def parse", "def page")
    )
    spider.write_text(spider.read_text() + "\n    parse = page\n")
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine", "--max-pages", "1")
    spider.write_text(text)
    assert refused(typed("resume")).startswith(
        "Spider 'shelf' has changed since run mine began, and does not fit it any more:"
        " 20 queued requests want the method page(). Put these back to go on, or start a new run."
    )


def test_commands_about_a_run_that_is_not_there(typed):
    for words in (["failed", "mine"], ["retry", "mine"], ["export", "mine", "-o", "x.jsonl"]):
        assert refused(typed(*words)) == "There is no run 'mine' in this project. The latest: none."
