"""A small site whose pages can be held up, so that a crawl stands still in its middle."""

import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 30  # seconds for what takes one


class Shelf(ThreadingHTTPServer):
    """Its front page links to /1 … /20; what `hold` names is answered after `release`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ShelfPage)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.held: set[str] = set()
        self.missing: set[str] = {"/robots.txt"}
        self.release = threading.Event()
        self.asked: dict[str, threading.Event] = defaultdict(threading.Event)

    def hold(self, *paths: str) -> None:
        self.held = set(paths)
        self.asked.clear()

    def wait_for(self, path: str) -> None:
        assert self.asked[path].wait(PATIENCE), f"nobody asked for {path}"

    def handle_error(self, *_: object) -> None:
        """A crawl that was killed leaves its connections behind."""


class ShelfPage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shelf

    def do_GET(self) -> None:
        self.server.asked[self.path].set()
        if self.path in self.server.held:
            self.server.release.wait(PATIENCE)
        links = range(1, 21) if self.path == "/" else []
        body = "".join(f'<a href="/{n}">{n}</a>' for n in links).encode()
        self.send_response(404 if self.path in self.server.missing else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


SPIDER = '''
"""The pages of a shelf."""

from scraper import Request, Spider


class Shelf(Spider):
    name = "shelf"
    url: str

    async def start(self):
        yield Request(self.url)

    def parse(self, response):
        yield {"url": response.url}
        yield from response.follow_all("a")
'''
