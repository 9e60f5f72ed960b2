"""Real web sites, as Debian's -doc packages hold them: a crawl gets exactly the pages that links lead to.

`pytest -m sites`. What is right is known from ../shared/sites/oracle, made with other parsers and with `wget -r`.
"""

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest

SITES = Path(__file__).parents[2] / "shared" / "sites"
MOST_MEMORY = 200  # MB, at the crawl's peak
SPIDER = """
from pathlib import Path

from scraper import Request, Spider
from scraper.memory import peak


class Site(Spider):
    allowed_domains = ["127.0.0.1"]
    url: str

    async def start(self):
        yield Request(self.url)

    def parse(self, response):
        if response.headers["Content-Type"].startswith("text/html"):
            yield {"url": response.url}
            yield from response.follow_all("a, area")

    async def close(self, reason):
        Path("peak").write_text(str(peak()))
"""
NGINX = """
daemon off; master_process off; pid {work}/pid; error_log stderr; events {{ worker_connections 500; }}
http {{
  include /etc/nginx/mime.types; access_log off; keepalive_requests 1000000;
  client_body_temp_path {work}/1; proxy_temp_path {work}/2; fastcgi_temp_path {work}/3; uwsgi_temp_path {work}/4;
  scgi_temp_path {work}/5;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""

pytestmark = [pytest.mark.sites, pytest.mark.timeout(300)]


# ── a site on this machine ───────────────────────────────────────────────────────────────────────────────


def oracle(package: str) -> dict[str, Any]:
    """{root, start, pages, missing, …}; the handbook's is of its English edition."""
    if not (SITES / "get").is_file():
        pytest.skip("../shared/sites is not here.")
    (file,) = (SITES / "oracle").glob(f"{package}*.json")
    known: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return known


def unpacked(package: str, folder: Path, known: dict[str, Any]) -> Path:
    """The site's root; its package is fetched and unpacked, but not installed."""
    if shutil.which("apt-get") is None:
        pytest.skip("apt-get, which fetches the sites, is not here.")
    # its exit code says little: the list that it prints at its end may break its own pipe
    got = subprocess.run(
        [SITES / "get", package, folder], capture_output=True, text=True, timeout=240, check=False
    )
    root = folder / known["root"]
    if not Path(f"{root}{known['start']}").is_file():
        pytest.skip(f"{package} could not be fetched: {got.stderr[-500:]}")
    return root


@contextmanager
def serving(root: Path, work: Path) -> Iterator[str]:
    """The folder's files on loopback: by nginx where there is one, else by Python."""
    work.mkdir()
    port = free_port()
    if shutil.which("nginx"):
        (work / "nginx.conf").write_text(NGINX.format(work=work, port=port, root=root))
        command = ["nginx", "-c", str(work / "nginx.conf")]
    else:
        command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "-d", str(root), str(port)]
    with (work / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_for(port: int) -> None:
    """Connects until somebody answers; pytest's timeout ends it otherwise."""
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return


# ── a crawl of it ────────────────────────────────────────────────────────────────────────────────────────


def crawl(url: str, folder: Path) -> tuple[dict[str, Any], list[str], float]:
    """How it ended, the HTML pages it got, and the most memory it took, in MB."""
    (folder / "site.py").write_text(SPIDER)
    arguments = ["run", "site.py", "-a", f"url={url}", "-o", "pages.jsonl", "--log", "json"]
    said = subprocess.run(
        [sys.executable, "-m", "scraper", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    pages = [json.loads(line)["url"] for line in (folder / "pages.jsonl").read_text("utf-8").splitlines()]
    peak = int((folder / "peak").read_text()) / 2**20
    return json.loads(said.stderr.splitlines()[-1]), [urlsplit(page).path for page in pages], peak


@pytest.mark.parametrize(
    ("package", "html", "others"),
    [("debian-handbook", 127, 0), ("postgresql-doc-15", 1169, 0), ("linux-doc-6.1", 3062, 3061)],
)
def test_a_crawl_gets_exactly_the_pages_that_links_lead_to(tmp_path, package, html, others):
    known = oracle(package)
    with TemporaryDirectory() as folder:  # half a gigabyte, which pytest would keep
        root = unpacked(package, Path(folder), known)
        with serving(root, tmp_path / "server") as site:
            event, pages, memory = crawl(site + known["start"], tmp_path)
    print(f"{package}: {event['done']} pages in {event['seconds']:.1f} s, {memory:.0f} MB")
    assert (event["state"], event["exit_code"]) == ("finished", 0)
    assert len(pages) == html
    assert set(pages) == set(known["pages"])
    assert event["done"] == html + others
    assert event["failed_reasons"] == ({"status 404": len(known["missing"])} if known["missing"] else {})
    assert memory < MOST_MEMORY
