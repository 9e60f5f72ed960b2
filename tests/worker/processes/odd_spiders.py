"""Spiders that a worker must be able to live with."""

import os
import subprocess
import sys
import time

from pydantic import SecretStr

from scraper import Request, Spider

ONE_AT_A_TIME = {"per_host": 1}
NO_WAITING = {"max_wait": 0}


class OnShelf(Spider):
    url: str

    async def start(self):
        yield Request(self.url)


class One(OnShelf):
    """As short as can be."""

    name = "one"

    def parse(self, response):
        yield {"url": response.url}


class Talker(OnShelf):
    """Says all sorts of things, in all ways that there are."""

    name = "talker"
    password: SecretStr

    def parse(self, response):
        print("a sentence,", "and its end")
        print('{"word": "Ended", "state": "crashed"}', flush=True)
        print("no end of a line", end="")
        self.log.warning("logged in", password=self.password.get_secret_value())
        print(
            f"with {self.password.get_secret_value()} and http://anna:{self.password.get_secret_value()}@x.test/"
        )
        os.write(1, b"said by C, at http://anna:letmeinnow@x.test/\n")
        subprocess.run(["echo", "said by another program"], check=True)
        print("standard error", file=sys.stderr)
        yield {"url": response.url}


class Member(OnShelf):
    name = "member"
    password: SecretStr

    def parse(self, response):
        yield {"knows": self.password.get_secret_value() == "letmeinnow"}
        yield Request(f"{self.url}1")


class Hungry(OnShelf):
    """Each page of it takes 40 MB, for ever."""

    name = "hungry"
    custom_settings = ONE_AT_A_TIME

    def __init__(self):
        super().__init__()
        self.eaten = []

    def parse(self, response):
        self.eaten.append(b"x" * 40_000_000)
        yield Request(f"{self.url}{len(self.eaten)}")


class Endless(OnShelf):
    name = "endless"
    custom_settings = ONE_AT_A_TIME

    def parse(self, response):
        number = int(response.url.rpartition("/")[2] or 0)
        yield {"number": number}
        yield Request(f"{self.url}{number + 1}")


class Blocking(OnShelf):
    """Its callback gives nothing else a turn."""

    name = "blocking"

    def parse(self, response):
        print("blocks", flush=True)
        while True:
            time.sleep(60)


class Vanishing(OnShelf):
    """Its process ends in the middle of a page."""

    name = "vanishing"

    def parse(self, response):
        os._exit(3)


class Crashing(OnShelf):
    name = "crashing"

    async def start(self):
        yield Request(self.url)
        raise RuntimeError("the list of shops is gone")

    def parse(self, response):
        yield {"url": response.url}


class Broken(OnShelf):
    """None of its pages can be read."""

    name = "broken"

    def parse(self, response):
        raise ValueError("no price")


class Patient(OnShelf):
    """Has something to fetch in an hour."""

    name = "patient"
    custom_settings = NO_WAITING

    def parse(self, response):
        yield Request(f"{self.url}1", delay=3600)


class Starter(OnShelf):
    """Starts a program that would outlive it, and that keeps its pipes open."""

    name = "starter"

    def parse(self, response):
        started = subprocess.Popen(["sleep", "600"])
        yield {"pid": started.pid}
