"""Spiders for common shapes of sites: rules over links, and sitemaps."""

from scraper.spiders.crawl import CrawlSpider, Rule
from scraper.spiders.sitemap import SitemapSpider

__all__ = ["CrawlSpider", "Rule", "SitemapSpider"]
