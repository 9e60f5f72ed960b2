"""Testing: a spider tried out without a network, its callbacks on saved pages or all of it in a real crawl."""

from scraper.testing.client import Answer, FakeClient, Page
from scraper.testing.crawling import Crawl, crawl
from scraper.testing.saving import saved_page

__all__ = ["Answer", "Crawl", "FakeClient", "Page", "crawl", "saved_page"]
