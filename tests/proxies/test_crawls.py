"""Crawls through proxies: what a user finds in the run, the log and the files."""

import traceback
from base64 import b64encode
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from scraper import Request, Spider
from scraper.errors import FetchError
from scraper.layers import Layer
from scraper.project import Project
from scraper.testing import crawl
from tests.clients.servers import closed_port, listening
from tests.proxies.real import HOST, PASSWORD, USER, RealProxies
from tests.proxies.servers import break_off

WRONG = "wr:ng/geheim"


def spellings(password: str) -> list[str]:
    return [password, quote(password, safe=""), b64encode(f"{USER}:{password}".encode()).decode()]


class Pages(Spider):
    name = "pages"
    custom_settings: ClassVar = {"obey_robots": False, "retry": {"attempts": 5}, "timeouts": {"connect": 5}}
    url: str
    pages: int = 20

    async def start(self):
        for n in range(self.pages):
            yield Request(f"{self.url}/ok/{n}")

    def parse(self, response):
        yield {"page": response.css("h1::text").get(), "proxy": response.proxy}


async def test_a_crawl_takes_turns_through_its_proxies(real: RealProxies, site, tmp_path):
    pool = {"one": real.url("pproxy", "http"), "two": real.asking_url("pproxy", "socks5")}
    done = await crawl(
        Pages, root=tmp_path, settings={"proxies": {"pool": pool}}, arguments={"url": site.url}
    )
    assert sorted(item["page"] for item in done.items) == sorted(f"Page {n}" for n in range(20))
    assert [item["proxy"] for item in done.items].count("one") == 10


async def test_a_dead_proxy_costs_time_but_no_page(real, site, tmp_path):
    with closed_port() as port:
        pool = {"dead": f"http://{HOST}:{port}", "alive": real.url("proxy.py", "http")}
        done = await crawl(
            Pages, root=tmp_path, settings={"proxies": {"pool": pool}}, arguments={"url": site.url}
        )
    assert (len(done.items), done.failed) == (20, {})
    (rests,) = [event for event in done.log if event["event"] == "proxy rests"]
    assert (rests["proxy"], rests["reason"]) == ("dead", "proxy failed")


# ── passwords ────────────────────────────────────────────────────────────────────────────────────────────


class Secretive(Pages):
    """Goes every way that a password may be given."""

    mine: ClassVar[str]  # no argument: those are stored

    async def start(self):
        for name in ("right", "wrong", "closed", "broken"):
            yield Request(f"{self.url}/ok/1", proxy=name, dont_filter=True)
            yield Request("https://site.example/", proxy=name, dont_filter=True)
        yield Request(f"{self.url}/ok/named", proxy=self.mine)

    async def parse(self, response):
        for proxy in (self.mine, "wrong", self.mine.replace("http://", "ftp://")):
            try:
                fetched = await self.fetch(Request(response.url, proxy=proxy))
                yield {"proxy": fetched.proxy}
            except FetchError as error:
                yield {"error": str(error), "traceback": traceback.format_exc()}


async def test_a_password_is_nowhere_to_be_read(real, site, tmp_path, capfd, monkeypatch):
    right = real.asking_url("pproxy", "http")
    monkeypatch.setattr(Secretive, "mine", right, raising=False)
    async with listening(break_off) as broken:
        with closed_port() as closed:
            pool = {
                "right": right,
                "wrong": real.asking_url("pproxy", "http", password=WRONG),
                "closed": f"http://{USER}:{quote(WRONG, safe='')}@{HOST}:{closed}",
                "broken": f"socks5://{USER}:{quote(WRONG, safe='')}@{HOST}:{broken}",
            }
            done = await crawl(
                Secretive,
                root=tmp_path,
                settings={"proxies": {"pool": pool}, "retry": {"attempts": 2}},
                arguments={"url": site.url},
            )
    assert {"proxy": "right"} in done.items
    assert done.failed["proxy failed"] == 4
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    said = "".join(map(str, capfd.readouterr())) + repr(done.log) + repr(done.result) + repr(done.items)
    assert b"proxy failed" in written
    assert "proxy rests" in said
    for spelling in spellings(PASSWORD) + spellings(WRONG):
        assert spelling.encode() not in written
        assert spelling not in said


async def test_a_proxy_that_has_a_name_may_be_given_by_its_url(real, site, tmp_path):
    class Given(Pages):
        async def start(self):
            yield Request(f"{self.url}/ok/1", proxy=real.asking_url("pproxy", "http"))

    pool = {"mine": real.asking_url("pproxy", "http"), "other": real.url("pproxy", "socks5")}
    done = await crawl(
        Given, root=tmp_path, settings={"proxies": {"pool": pool}}, arguments={"url": site.url}
    )
    assert [item["proxy"] for item in done.items] == ["mine"]


async def test_a_proxy_that_has_none_is_an_error_in_words(site, tmp_path):
    class Given(Pages):
        pages = 1

        def parse(self, response):
            yield Request(f"{self.url}/ok/2", proxy="http://user:geheim@de.example:8080")

    done = await crawl(Given, root=tmp_path, arguments={"url": site.url})
    assert done.failed == {"callback parse() yielded a request whose proxy= has a user or password": 1}
    (failed,) = [event for event in done.log if event["event"] == "page failed"]
    assert "a run does not store those. Give http://de.example:8080 a name" in failed["error"]
    assert "geheim" not in repr(done.log)


async def test_so_it_is_in_start(site, tmp_path):
    class Given(Pages):
        async def start(self):
            yield Request(f"{self.url}/ok/1")
            yield Request(f"{self.url}/ok/2", proxy="http://user:geheim@de.example:8080")

    done = await crawl(Given, root=tmp_path, arguments={"url": site.url})
    assert (len(done.items), done.result.exit_code) == (1, 1)
    assert "geheim" not in repr(done.log)


async def test_a_proxy_that_has_left_the_pool_is_a_dead_letter_in_words(site, tmp_path):
    class Given(Pages):
        async def start(self):
            yield Request(f"{self.url}/ok/1", proxy="gone")

    done = await crawl(Given, root=tmp_path, arguments={"url": site.url})
    assert done.failed == {"invalid request": 1}
    assert any("No proxy named 'gone'" in event.get("error", "") for event in done.log)


# ── resumes ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_resume_goes_through_the_spiders_own_proxies(tmp_path: Path):
    class Own(Pages):
        custom_settings: ClassVar = {"proxies": {"pool": ["http://own.example:1"]}}

    (tmp_path / "settings.toml").write_text("")
    project = Project(tmp_path)
    stored = project.settings(Own).settings.model_dump(mode="json", exclude={"proxies"})
    resumed = project.settings(Own, stored=Layer("run", stored)).settings
    assert set(resumed.proxies.pool) == {"proxy1"}
