"""A small site that has everything a commit carries; what a URL answers does not depend on how often it was asked."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALLS = 8
CRATES = 14  # that one page leads to: more than a crawl of it may hold in memory
BUSY = {"/stall/2", "/stall/5", "/crate/3"}  # the first time somebody asks; never again
PATIENCE = 30  # seconds for what takes one


class Market(ThreadingHTTPServer):
    """Each crawl has the site for itself, below a name of its own: `url("killed-1")`.

    /stall/N lead to each other, /crates to each /crate/N, /gone and /broken nowhere, /private is for no robot.
    POST /login sets the cookie that /member/N wants.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Stall)
        self.visits: Counter[str] = Counter()
        self.asked = threading.Condition()
        self.open = threading.Event()
        self.open.set()
        self.held: frozenset[str] = frozenset()

    def url(self, crawl: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{crawl}"

    @contextmanager
    def holding(self, *paths: str) -> Iterator[None]:
        """Inside, whoever asks for such a page waits for the end of it."""
        self.held = frozenset(paths)
        self.open.clear()
        try:
            yield
        finally:
            self.open.set()

    def wait_for(self, path: str) -> None:
        """Until somebody has asked for /CRAWL/…"""
        with self.asked:
            assert self.asked.wait_for(lambda: self.visits[path], PATIENCE), f"nobody asked for {path}"

    def visit(self, path: str) -> int:
        with self.asked:
            self.visits[path] += 1
            self.asked.notify_all()
            return self.visits[path]

    def handle_error(self, *_: object) -> None:
        """A crawl that was killed leaves its connections behind."""


class Stall(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one piece: two of them wait for each other
    server: Market
    timeout = PATIENCE

    def do_GET(self) -> None:
        visit = self.server.visit(self.path)
        crawl, _, rest = self.path.removeprefix("/").partition("/")
        if rest in self.server.held:
            self.server.open.wait(PATIENCE)
        if crawl == "robots.txt":
            return self._answer("User-agent: *\nDisallow: /*/private\n", kind="text/plain")
        if visit == 1 and f"/{rest}" in BUSY:
            return self._answer("busy", 503)
        name, _, number = rest.partition("/")
        return getattr(self, f"_{name}", self._gone)(f"/{crawl}", int(number or 0))

    def do_POST(self) -> None:
        self.server.visit(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer("<h1>Welcome</h1>", cookie="member=ann; Path=/")

    def _stall(self, base: str, number: int) -> None:
        links = [f"{base}/stall/{n % STALLS}" for n in (number + 1, 2 * number + 1, 3 * number)]
        more = {0: ("gone", "broken"), 1: ("crates",), 3: ("private",)}.get(number, ())
        self._answer(_page(f"Stall {number}", [*links, *(f"{base}/{name}" for name in more)]))

    def _crates(self, base: str, number: int) -> None:
        self._answer(_page("Crates", [f"{base}/crate/{n % CRATES}" for n in range(CRATES + 5)]))

    def _crate(self, base: str, number: int) -> None:
        self._answer(_page(f"Crate {number}", [f"{base}/stall/0"]))

    def _member(self, base: str, number: int) -> None:
        known = "member=ann" in self.headers.get("Cookie", "")
        self._answer(_page(f"Ann's {number}", []) if known else "who are you?", 200 if known else 403)

    def _broken(self, base: str, number: int) -> None:
        self._answer("broken", 500)

    def _gone(self, base: str, number: int) -> None:
        self._answer("gone", 404)

    def _answer(self, body: str, status: int = 200, *, kind: str = "text/html", cookie: str = "") -> None:
        sent = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(sent)))
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _page(title: str, links: list[str]) -> str:
    return f"<h1>{title}</h1>" + "".join(f'<a href="{link}">there</a>' for link in links)
