"""`scrape failed` and `scrape retry`: what failed for good, and putting it back."""

import pytest

from tests.cli.said import ended, listed, records, refused


@pytest.fixture
def failed(typed, shelf, project):
    """A run of 21 pages of which two failed."""
    shelf.missing |= {"/3", "/4"}
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "-o", "all.jsonl", "--run", "mine")
    return project


def test_what_failed_is_listed_and_put_back_and_fetched_again(typed, shelf, failed):
    letters = listed(typed, "failed", "mine")
    shelf.missing -= {"/3", "/4"}
    put_back = typed("retry", "mine", "--reason", "status 404")
    resumed = typed("resume", "mine", "--log", "json")
    urls = {page["url"] for page in records((failed / "all.jsonl").read_text())}
    assert {(letter["url"], letter["reason"], letter["attempts"]) for letter in letters} == {
        (f"{shelf.url}3", "status 404", 1),
        (f"{shelf.url}4", "status 404", 1),
    }
    assert put_back.stdout == "Put back 2 requests. Now: scrape resume mine\n"
    assert (resumed.returncode, ended(resumed)["state"], ended(resumed)["failed"]) == (0, "finished", 0)
    assert (len(urls), listed(typed, "failed", "mine")) == (21, [])


def test_a_person_reads_when_why_and_what_to_do(typed, shelf, failed):
    titles, third, fourth, total, hint = typed("failed").stdout.splitlines()
    assert titles.split() == ["when", "attempts", "reason", "url"]
    assert third.endswith(f"1  status 404  {shelf.url}3")
    assert fourth.endswith(f"{shelf.url}4")
    assert total == "2 failed in run mine: 2 status 404."
    assert hint == "To fetch them again: scrape retry mine"


def test_those_of_one_reason(typed, failed):
    assert typed("failed", "mine", "--reason", "status 404").stdout.splitlines()[-1] == (
        "To fetch them again: scrape retry mine --reason 'status 404'"
    )
    assert listed(typed, "failed", "mine", "--reason", "read timeout") == []
    assert (
        typed("failed", "mine", "--reason", "read timeout").stdout == "2 failed in run mine: 2 status 404.\n"
    )


def test_a_long_list_is_cut_and_says_so(typed, failed):
    lines = typed("failed", "mine", "--limit", "1").stdout.splitlines()
    assert (len(lines), lines[2]) == (5, "… and 1 more: --limit 0 shows all.")
    assert len(typed("failed", "mine", "--limit", "0").stdout.splitlines()) == 5
    assert len(listed(typed, "failed", "mine", "--limit", "1")) == 2


def test_a_run_without_failures_says_so(typed, shelf):
    typed("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    assert typed("failed").stdout == "No page of run mine failed.\n"
    assert typed("retry", "mine").stdout == "Put back 0 requests.\n"
    assert refused(typed("resume", "mine")) == "Run mine is finished: there is nothing to resume."


def test_a_reason_that_is_none_is_refused_with_those_there_are(typed, failed):
    assert refused(typed("retry", "mine", "--reason", "status 500")) == (
        "No page of run mine failed for 'status 500'. Their reasons: 2 status 404."
    )


def test_a_live_run_keeps_its_dead_letters(typed, started, shelf):
    shelf.missing |= {"/3"}
    shelf.hold("/7")
    crawl = started("crawl", "shelf", "-a", f"url={shelf.url}", "--run", "mine")
    shelf.wait_for("/7")
    assert refused(typed("retry", "mine")) == "Run mine is being worked on by another process."
    crawl.kill()
    crawl.wait()


def test_no_password_of_a_url_is_told(typed, shelf):
    shelf.missing |= {"/"}
    url = shelf.url.replace("//", "//me:secret@")
    typed("crawl", "shelf", "-a", f"url={url}", "--run", "mine")
    said = [typed("failed").stdout, typed("failed", "--json").stdout]
    said += [typed("why", "mine", url).stdout, typed("why", "mine", url, "--json").stdout]
    assert all("//me:***@127.0.0.1" in text and "secret" not in text for text in said)
