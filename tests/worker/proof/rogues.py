"""Spiders that make life hard for whoever runs them."""

import os
import signal
import subprocess
import urllib.request
from pathlib import Path

from scraper import Request, Spider

ONE_AT_A_TIME = {"per_host": 1}


class OnSite(Spider):
    url: str

    async def start(self):
        yield Request(self.url)


class Single(OnSite):
    """One page, one item."""

    name = "single"

    def parse(self, response):
        yield {"title": response.css("h1::text").get()}


class Blocker(OnSite):
    """Its second page gives nothing else a turn until the site answers /ok/held."""

    name = "blocker"
    custom_settings = ONE_AT_A_TIME

    def parse(self, response):
        yield {"title": response.css("h1::text").get()}
        yield from response.follow_all("a", callback=self.parse_page)

    def parse_page(self, response):
        if response.url.endswith("/ok/1"):
            urllib.request.urlopen(response.urljoin("/ok/held"), timeout=60).read()
        yield {"title": response.css("h1::text").get()}


class Deserter(OnSite):
    """Starts a process in a session of its own that keeps every file open which a fork gives it."""

    name = "deserter"

    def parse(self, response):
        if not Path("deserter.pid").exists():
            pid = os.fork()
            if not pid:
                os.setsid()
                while True:
                    signal.pause()
            Path("deserter.pid").write_text(str(pid), "ascii")
        yield {"title": response.css("h1::text").get()}
        yield Request(response.urljoin("/ok/held"), callback=self.parse_page)

    def parse_page(self, response):
        yield {"title": response.css("h1::text").get()}


class Chatterer(OnSite):
    """Says so many megabytes, in lines of all lengths, before its only item."""

    name = "chatterer"
    megabytes: int = 100

    def parse(self, response):
        for length in (200, 20_000, 2_000_000, 20_000_000):
            line = b"x" * (length - 1) + b"\n"
            for _ in range(self.megabytes * 250_000 // length):
                left = memoryview(line)
                while left:
                    left = left[os.write(2, left) :]
        yield {"title": response.css("h1::text").get()}


class Reader(OnSite):
    """A page of links, and theirs."""

    name = "reader"

    def parse(self, response):
        yield {"title": response.css("h1::text").get()}
        yield from response.follow_all("a")


class Nester(OnSite):
    """Starts a program that would outlive it."""

    name = "nester"

    def parse(self, response):
        started = subprocess.Popen(["sleep", "600"])
        Path("nester.pid").write_text(str(started.pid), "ascii")
        yield {"title": response.css("h1::text").get()}
        yield Request(response.urljoin("/ok/held"))
