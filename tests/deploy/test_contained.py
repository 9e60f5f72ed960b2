"""The worker as the image starts it, where nothing can be written but the two volumes."""

import asyncio
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from scraper.cli.scaffold import start_project
from tests.cli.conftest import environment
from tests.deploy.files import dockerfile, typed, worker_service
from tests.deploy.page import free_port

APART = ("unshare", "--map-root-user", "--mount")
IMAGES = "HEALTHCHECK in the Dockerfile"
COMPOSES = "healthcheck in compose.yaml"
TOKEN = "not-so-secret"
PATIENCE = 30  # seconds


def can_mount() -> bool:
    found = shutil.which("unshare")
    return bool(found) and subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not can_mount(), reason="unshare (util-linux) is missing, or the system allows no namespaces"
    ),
]


def health_checks() -> dict[str, list[str]]:
    image = dockerfile()["HEALTHCHECK"]
    return {
        IMAGES: json.loads(image[image.index("[") :]),
        COMPOSES: worker_service()["healthcheck"]["test"][1:],
    }


class Contained:
    """`root`: of the project, which is read-only for it but for `.scrape` and `data`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = str(free_port())
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *(
                *APART,
                "sh",
                "-ec",
                self._mounts,
                "sh",
                *self._here(sys.executable, "-m", "scraper"),
                *self._worker(),
            ),
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE):
            line = await self._process.stdout.readline()
        assert json.loads(line)["event"] == "worker ready"

    def healthy(self, check: list[str]) -> bool:
        """As Docker asks, with a proxy for crawls in the environment."""
        assert check[0] == "python"
        told = self._here(sys.executable, *check[1:])
        proxy = {"http_proxy": "http://127.0.0.1:9"}
        return (
            subprocess.run(told, env=environment() | proxy, capture_output=True, check=False).returncode == 0
        )

    async def stop(self) -> int:
        assert self._process
        with suppress(ProcessLookupError):
            self._process.terminate()
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    def _worker(self) -> list[str]:
        told = typed()["Dockerfile"]
        told[told.index("--token-file") + 1] = str(self.root.parent / "token")
        return self._here(*told)

    def _here(self, *told: str) -> list[str]:
        return [word.replace("8480", self.port) for word in told]

    @property
    def _mounts(self) -> str:
        root = shlex.quote(str(self.root))
        return f"""
            mount --bind {root} {root}
            mount --bind {root}/.scrape {root}/.scrape
            mount --bind {root}/data {root}/data
            mount -o remount,bind,ro {root}
            cd {root}
            ! touch written 2>/dev/null
            exec "$@"
        """


@pytest.fixture
async def worker(tmp_path) -> AsyncIterator[Contained]:
    root = tmp_path / "shop"
    start_project(root, "shop")
    for volume in (".scrape", "data"):
        (root / volume).mkdir()
    (tmp_path / "token").write_text(TOKEN, "utf-8")
    one = Contained(root)
    try:
        await one.start()
        yield one
    finally:
        await one.stop()


async def crawl(port: str, feed: str) -> str:
    """The job's events, until it has ended."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    told = {"spider": "books", "feeds": [feed]}
    url = f"http://127.0.0.1:{port}/api/jobs"
    async with asyncio.timeout(PATIENCE), aiohttp.ClientSession(headers=bearer) as session:
        async with session.post(url, json=told) as added:
            job = (await added.json())["id"]
        async with session.get(f"{url}/{job}/events") as events:
            return await events.text()


async def test_it_crawls_where_all_but_the_volumes_is_read_only(worker):
    last = json.loads((await crawl(worker.port, "data/books.jsonl")).strip().rpartition("data: ")[2])
    assert (last["state"], last["reason"]) == ("finished", "")
    assert len((worker.root / "data" / "books.jsonl").read_text("utf-8").splitlines()) == 1_000
    assert await worker.stop() == 0


@pytest.mark.parametrize("place", [IMAGES, COMPOSES])
async def test_its_health_check_tells_a_worker_from_none(worker, place):
    check = health_checks()[place]
    assert await asyncio.to_thread(worker.healthy, check)
    await worker.stop()
    assert not await asyncio.to_thread(worker.healthy, check)
