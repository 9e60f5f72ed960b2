"""A site and a spider for it, in which a request meets every fate."""

from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROBOTS = b"User-agent: *\nDisallow: /private\n"


class Town(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), TownPage)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.asked: Counter[str] = Counter()


class TownPage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Town

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked[self.path] += 1
        body = ROBOTS if self.path == "/robots.txt" else b"a page"
        self.send_response(self._status())
        if self.path == "/away":
            self.send_header("Location", "http://elsewhere.example/")
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def _status(self) -> int:
        busy = self.path == "/busy" and self.server.asked["/busy"] < 3
        return {"/missing": 404, "/away": 302}.get(self.path, 503 if busy else 200)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


SPIDER = '''
"""A walk through town."""

from scraper import Request, Spider


class Walk(Spider):
    name = "walk"
    url: str
    allowed_domains = ["127.0.0.1"]
    custom_settings = {"max_depth": 14, "max_wait": 1, "retry": {"wait": 0.01, "jitter": 0.01}}

    async def start(self):
        yield Request(self.url)

    def parse(self, response):
        yield {"url": response.url}
        if response.url != self.url:
            number = response.url.rpartition("/")[2]
            if number.isdigit():
                yield Request(f"{self.url}{int(number) + 1}")
            return
        for path in ("shop?b=2&a=1#top", "shop?a=1&b=2", "missing", "private/1", "away", "busy", "1"):
            yield Request(self.url + path)
        yield Request(self.url + "form", form={"q": "x"})
        yield Request(self.url + "twice")
        yield Request(self.url + "twice", dont_filter=True)
        yield Request(self.url + "later", delay=3600)
        yield Request("http://elsewhere.example/")
        yield Request("mailto:me@example.com")
'''
