"""Has two pages that take the process with them, one of them when it has yielded more than memory holds."""

import faulthandler
import os
import resource
import signal

from scraper import Item, Request, Spider

NOTES, WORDS = 40, 30
KILLS, CRASHES = 5, 8


class Word(Item):
    number: int
    nth: int


class Martyr(Spider):
    name = "martyr"
    url: str

    async def open(self):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    async def start(self):
        for number in range(NOTES):
            yield Request(f"{self.url}/note/{number}", data={"number": number}, errback="failed")

    def parse(self, response):
        number = response.data["number"]
        if number == KILLS:
            os.kill(os.getpid(), signal.SIGKILL)
        for nth in range(WORDS):
            yield Word(number=number, nth=nth)
        if number == CRASHES:
            faulthandler._sigsegv()
        yield Request(f"{self.url}/note/{number}/more", callback="parse_more", data={"number": number})

    def parse_more(self, response):
        yield Word(number=response.data["number"], nth=WORDS)

    def failed(self, error):
        raise AssertionError(f"{error.request.url} should not have failed in a life")
