"""An argument of the type SecretStr: nobody can read it in a run, and a resume asks for it again."""

import pytest

from tests.cli.said import ended, listed, refused

SPIDER = """
from pydantic import SecretStr

from scraper import Request, Spider


class Vault(Spider):
    name = "vault"
    custom_settings = {"obey_robots": False}
    url: str
    token: SecretStr = SecretStr("none")
    keys: list[SecretStr] = []

    async def start(self):
        for n in range(4):
            yield Request(f"{self.url}item/{n}", dont_filter=True)

    def parse(self, response):
        yield {"right": self.token.get_secret_value() == "geheim" and len(self.keys) == 2}
"""


@pytest.fixture
def begun(typed, project, shelf):
    """A run that was told two secrets, and stopped after a page."""
    (project / "spiders" / "vault.py").write_text(SPIDER, "utf-8")
    secrets = ["-a", "token=geheim", "-a", 'keys=["geheim1", "geheim2"]']
    words = ["crawl", "vault", "--run", "mine", "-a", f"url={shelf.url}", *secrets, "-s", "concurrency=1"]
    said = typed(*words, "--max-pages", "1", "-o", "all.jsonl", "--log", "json", "-s", "log_level=debug")
    assert ended(said)["state"] == "stopped"
    assert "geheim" not in said.stdout + said.stderr
    return project


def test_a_run_does_not_keep_it(begun):
    run = begun / ".scrape" / "runs" / "mine"
    assert [file for file in run.rglob("*") if file.is_file() and b"geheim" in file.read_bytes()] == []


def test_a_resume_says_which_it_needs_again(typed, begun):
    assert refused(typed("resume", "mine")) == (
        "Run mine was begun with a secret that it does not store. Give it again:"
        " scrape resume mine -a keys=… -a token=…"
    )
    assert "-a keys=…" not in refused(typed("resume", "mine", "-a", "keys=[]"))


def test_a_resume_goes_on_with_it(typed, begun):
    said = typed("resume", "mine", "-a", "token=geheim", "-a", 'keys=["geheim1", "geheim2"]', "--log", "json")
    assert (said.returncode, ended(said)["state"]) == (0, "finished")
    assert (begun / "all.jsonl").read_text().splitlines() == ['{"right":true}'] * 4


def test_one_that_does_not_fit_is_not_repeated(typed, begun):
    sentence = refused(typed("crawl", "vault", "-a", "url=x", "-a", "keys=geheim"))
    assert (
        sentence
        == "Spider 'vault': argument keys=… is no list[pydantic.types.SecretStr]: input should be a valid list."
    )


def test_a_resume_that_is_told_something_new_does_not_repeat_it(typed, begun):
    sentence = refused(
        typed("resume", "mine", "-a", "password=geheim", "-a", "token=geheim", "-a", "keys=[]")
    )
    assert "leave -a password=… out" in sentence
    assert "geheim" not in sentence


def test_why_still_answers(typed, begun, shelf):
    found = listed(typed, "why", "mine", f"{shelf.url}item/0")
    assert [request["status"] for request in found["requests"]] == [200]
