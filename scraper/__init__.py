"""An async web scraping framework that loses nothing. What spiders import:"""

from scraper.errors import DropItem, Retry, StopCrawl
from scraper.item import Item
from scraper.request import Request
from scraper.response import Response
from scraper.spider import Spider
from scraper.spiders import CrawlSpider, Rule, SitemapSpider
from scraper.version import __version__

__all__ = [
    "CrawlSpider",
    "DropItem",
    "Item",
    "Request",
    "Response",
    "Retry",
    "Rule",
    "SitemapSpider",
    "Spider",
    "StopCrawl",
    "__version__",
]
