"""Spiders for common shapes of sites: rules over links, and sitemaps."""

import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scraper import CrawlSpider, Request, Response, Rule, SitemapSpider
from scraper.spiders.sitemap import locations, unpacked
from scraper.testing import Crawl, FakeClient, Page, crawl, saved_page

SITE = "https://site.example/"
NO_ROBOTS = ["obey_robots=false"]


def links(*hrefs: str) -> str:
    return "".join(f'<a href="{href}">a link</a>' for href in hrefs)


# ── CrawlSpider ──────────────────────────────────────────────────────────────────────────────────────────


class Docs(CrawlSpider):
    name = "docs"
    start_urls = (SITE,)
    allowed_domains = ("site.example",)
    rules = (
        Rule(allow=r"/page/", deny=r"secret", callback="parse_page"),
        Rule(allow=r"/list/"),
        Rule(allow=r"/both/", callback="parse_page", follow=True),
    )

    def parse_page(self, response: Response):
        yield {"url": response.url.removeprefix(SITE)}


async def crawled(spider: type, pages: dict[str, Any], root: Path) -> tuple[Crawl, list[str]]:
    """What it brought, and the paths that it asked for."""
    client = FakeClient({SITE + path: page for path, page in pages.items()})
    done = await crawl(spider, client=client, root=root, settings=NO_ROBOTS)
    return done, sorted(url.removeprefix(SITE) for url in done.urls)


def urls(done: Crawl) -> list[str]:
    return sorted(item["url"] for item in done.items)


async def test_links_are_followed_by_the_first_rule_that_matches(tmp_path: Path):
    pages = {
        "": links("/page/1", "/page/secret", "/list/1", "/elsewhere", "https://other.example/page/1"),
        "list/1": links("/page/2", "/list/2", "/page/1"),
        "list/2": "",
        "page/1": links("/page/3"),
        "page/2": "",
    }
    done, asked = await crawled(Docs, pages, tmp_path)
    assert urls(done) == ["page/1", "page/2"]
    assert asked == [
        "",
        "list/1",
        "list/2",
        "page/1",
        "page/2",
    ]  # /page/3 stands on a page that does not lead on
    assert done.counted("dropped") == {"duplicate": 1, "offsite": 1}


async def test_a_rule_with_a_callback_may_lead_on_too(tmp_path: Path):
    done, _ = await crawled(Docs, {"": links("/both/1"), "both/1": links("/page/1"), "page/1": ""}, tmp_path)
    assert urls(done) == ["both/1", "page/1"]


@pytest.mark.parametrize(
    ("rule", "matched"),
    [
        (Rule(), ["/a", "/b", "/b/c"]),
        (Rule(allow="/b"), ["/b", "/b/c"]),
        (Rule(allow=("/a$", "/c$")), ["/a", "/b/c"]),
        (Rule(deny="/b"), ["/a"]),
        (Rule(allow="/b", deny=["/c", "/d"]), ["/b"]),
        (Rule(within="nav"), ["/a"]),
        (Rule(within="nav, p", allow="/b"), ["/b"]),
        (Rule(within=".none"), []),
    ],
)
def test_a_rule_takes_the_links_it_says(rule: Rule, matched: list[str]):
    page = saved_page(
        "<nav><a href='/a'></a></nav><p><a href='/b'></a></p><map><area href='b/c'></map><a>no link</a>", SITE
    )
    assert [url.removeprefix(SITE[:-1]) for url in rule.links(page)] == matched


async def test_a_link_that_stands_there_twice_is_asked_for_once(tmp_path: Path):
    class Two(CrawlSpider):
        name = "two"
        rules = (Rule(allow="/a"), Rule(allow="/"))

    requests = list(Two().follow_rules(saved_page(links("/a", "/b", "/a", "/b"), SITE)))
    assert [(request.url, request.data["rule"]) for request in requests] == [(SITE + "a", 0), (SITE + "b", 1)]


@pytest.mark.parametrize(
    "form",
    [
        "one",
        "a_list",
        "a_generator",
        "a_coroutine",
        "an_async_generator",
        "a_view",
    ],
)
async def test_a_rules_callback_may_have_any_form(tmp_path: Path, form: str):
    class Forms(CrawlSpider):
        name = "forms"
        start_urls = (SITE,)
        rules = (Rule(allow="/page/", callback=form),)

        def one(self, response: Response):
            return {"url": response.url}

        def a_list(self, response: Response):
            return [self.one(response)]

        def a_view(self, response: Response):
            return {"one": self.one(response)}.values()

        def a_generator(self, response: Response):
            yield self.one(response)

        async def a_coroutine(self, response: Response):
            return self.one(response)

        async def an_async_generator(self, response: Response) -> AsyncIterator[Any]:
            yield self.one(response)

    done, _ = await crawled(Forms, {"": links("/page/1"), "page/1": ""}, tmp_path)
    assert done.items == [{"url": SITE + "page/1"}]


async def test_links_that_lead_nowhere_are_dropped_and_counted(tmp_path: Path):
    class All(Docs):
        rules = (Rule(),)

    done, asked = await crawled(
        All, {"": links("mailto:a@b", "javascript:x()", "http://[broken/", "#top")}, tmp_path
    )
    assert asked == [""]
    assert done.counted("dropped") == {"scheme": 2, "invalid url": 1, "duplicate": 1}


async def test_a_page_that_is_no_html_leads_nowhere(tmp_path: Path):
    class All(Docs):
        rules = (Rule(),)

    pdf = Page(200, {"Content-Type": "application/pdf"}, b"%PDF-1.7\0\xff\xfe" + bytes(range(256)))
    done, asked = await crawled(All, {"": links("/file.pdf"), "file.pdf": pdf}, tmp_path)
    assert asked == ["", "file.pdf"]
    assert done.failed == {}


# ── SitemapSpider ────────────────────────────────────────────────────────────────────────────────────────

NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def sitemap(*paths: str, kind: str = "url") -> str:
    entries = "".join(f"<{kind}><loc> {SITE}{path} </loc><lastmod>2025</lastmod></{kind}>" for path in paths)
    name = {"url": "urlset", "sitemap": "sitemapindex"}[kind]
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{NAMESPACE}">{entries}</{name}>'


class Mapped(SitemapSpider):
    name = "mapped"
    sitemap_urls = (SITE + "sitemap.xml",)

    def parse(self, response: Response):
        yield {"url": response.url.removeprefix(SITE)}


async def test_every_page_of_a_sitemap_is_fetched(tmp_path: Path):
    pages = {"sitemap.xml": sitemap("a", "b?x=1&amp;y=2"), "a": "", "b?x=1&y=2": ""}
    done, _ = await crawled(Mapped, pages, tmp_path)
    assert urls(done) == ["a", "b?x=1&y=2"]


async def test_an_index_leads_to_sitemaps_which_may_be_packed(tmp_path: Path):
    pages = {
        "sitemap.xml": sitemap("one.xml", "two.xml.gz", kind="sitemap"),
        "one.xml": sitemap("a"),
        "two.xml.gz": gzip.compress(sitemap("b").encode()),
        "a": "",
        "b": "",
    }
    assert urls((await crawled(Mapped, pages, tmp_path))[0]) == ["a", "b"]


async def test_robots_txt_names_sitemaps(tmp_path: Path):
    class FromRobots(Mapped):
        sitemap_urls = (SITE + "robots.txt",)

    robots = f"User-agent: *\nDisallow:\n\nSitemap: {SITE}one.xml\nsitemap:/two.xml\n"
    pages = {"robots.txt": robots, "one.xml": sitemap("a"), "two.xml": sitemap("b"), "a": "", "b": ""}
    assert urls((await crawled(FromRobots, pages, tmp_path))[0]) == ["a", "b"]


async def test_only_pages_that_match_are_fetched(tmp_path: Path):
    class Some(Mapped):
        sitemap_follow = ("/book/", "/author/")

    pages = {"sitemap.xml": sitemap("book/1", "cart", "author/1"), "book/1": "", "author/1": ""}
    done, asked = await crawled(Some, pages, tmp_path)
    assert urls(done) == ["author/1", "book/1"]
    assert "cart" not in asked


async def test_a_callback_may_be_given_by_overriding_the_requests(tmp_path: Path):
    class Own(Mapped):
        async def start(self) -> AsyncIterator[Request]:
            async for request in super().start():
                yield request
            yield Request(SITE + "more", callback=self.parse)

    pages = {"sitemap.xml": sitemap("a"), "a": "", "more": ""}
    assert urls((await crawled(Own, pages, tmp_path))[0]) == ["a", "more"]


@pytest.mark.parametrize(
    ("xml", "found"),
    [
        (sitemap("a", "b"), ["a", "b"]),
        (sitemap("a").replace(f' xmlns="{NAMESPACE}"', ""), ["a"]),
        (sitemap("a", "b", "c")[:-60], ["a", "b"]),
        (f"<urlset><url><loc><![CDATA[{SITE}a?b&c]]></loc></url></urlset>", ["a?b&c"]),
        (f"<urlset><url><image><loc>{SITE}image</loc></image><loc>{SITE}a</loc></url></urlset>", ["a"]),
        ("<urlset><url><loc></loc></url><url></url></urlset>", []),
        ("", []),
        ("<html><p>Not found", []),
        ("\ufeff" + sitemap("a"), ["a"]),
        pytest.param(sitemap("a", "b?x&y", "c"), ["a"]),
        pytest.param("no xml at all", []),
        pytest.param("\n  " + sitemap("a"), ["a"]),
    ],
)
def test_a_sitemap_is_read_as_far_as_it_can_be(xml: str, found: list[str]):
    assert [url.removeprefix(SITE) for _, url in locations(xml.encode())] == found


def test_a_sitemap_tells_pages_from_other_sitemaps():
    assert list(locations(sitemap("a", kind="sitemap").encode())) == [("sitemap", SITE + "a")]


def test_a_sitemap_takes_nothing_from_elsewhere():
    entity = '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    xml = f"{entity}<urlset><url><loc>{SITE}a</loc></url><url><loc>{SITE}&secret;</loc></url></urlset>"
    assert list(locations(xml.encode())) == [("url", SITE + "a")]


def test_a_packed_sitemap_that_holds_too_much_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("scraper.spiders.sitemap.LARGEST", 1_000)
    assert unpacked(gzip.compress(b"x" * 1_000)) == b"x" * 1_000
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        unpacked(gzip.compress(b"x" * 1_001))


async def test_a_sitemap_that_can_not_be_had_is_a_failed_page(tmp_path: Path):
    done, _ = await crawled(Mapped, {"sitemap.xml": Page(500)}, tmp_path)
    assert done.failed == {"status 500": 1}
