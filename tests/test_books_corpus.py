"""`spiders/books.py` on 200 real product pages takes what another parser took from them."""

import json
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
CORPORA = REPOSITORY.parent / "shared" / "corpora"
RATINGS = ["Zero", "One", "Two", "Three", "Four", "Five"]

pytestmark = pytest.mark.skipif(
    not (CORPORA / "books.tar.gz").is_file(), reason="../shared/corpora (200 real product pages) is not here"
)


class Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def the_shop(folder: Path, pages: list[str]) -> None:
    """The pages, and a catalogue that leads to them."""
    with tarfile.open(CORPORA / "books.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    pods = (f'<article class="product_pod"><h3><a href="{page}">…</a></h3></article>' for page in pages)
    (folder / "index.html").write_text(f"<!DOCTYPE html><meta charset=utf-8>{''.join(pods)}", "utf-8")


def as_a_record(book: dict[str, Any]) -> dict[str, Any]:
    """As the spider writes it: a number for the stars, no text where there is none."""
    wanted = {"price": book["price"].removeprefix("£"), "rating": RATINGS.index(book["rating"])}
    return {**book, **wanted, "description": book["description"] or None}


def test_the_books_spider_takes_the_200_records(tmp_path):
    expected = {
        book.pop("file"): as_a_record(book)
        for book in json.loads((CORPORA / "books.json").read_text("utf-8"))
    }
    the_shop(tmp_path / "shop", list(expected))
    shutil.copy(REPOSITORY / "spiders" / "books.py", tmp_path)
    with serving(tmp_path / "shop") as url:
        command = ["run", "books.py", "-a", f"url={url}", "-o", "books.jsonl"]
        subprocess.run([sys.executable, "-m", "scraper", *command], cwd=tmp_path, check=True, timeout=50)
    taken = [json.loads(line) for line in (tmp_path / "books.jsonl").read_text("utf-8").splitlines()]
    assert len(taken) == 200
    assert {book.pop("url").removeprefix(url): book for book in taken} == expected
