"""A body that is saved goes to its file whole, with its checksum, and a broken attempt is gone on with."""

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from multidict import CIMultiDict

from scraper import Request, Response, Spider
from scraper.door import Door
from scraper.errors import BodyTooLarge, BodyTruncated, FetchError, InvalidRequest, ProtocolViolation
from scraper.settings import Timeouts
from scraper.testing import FakeClient, Page, crawl
from tests.clients.servers import HOST, listening

CONTENT = bytes(range(256)) * 4_000  # 1 MB
ETAG = '"v1"'


class FileSite:
    """A client with one file. `breaks`: after so many bytes of each of the next answers the connection ends."""

    def __init__(self, content: bytes = CONTENT, *, etag: str = ETAG, breaks: tuple[int, ...] = ()) -> None:
        self.content, self.etag, self.breaks = content, etag, list(breaks)
        self.ranges: list[str | None] = []

    async def open(self, request: Request) -> "Answer":
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        start = self.start(asked, request.headers.get("If-Range")) if asked else 0
        if start >= len(self.content):
            return Answer(416, {}, b"", None)
        rest = self.content[start:]
        headers = {"ETag": self.etag} if self.etag else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        return Answer(206 if start else 200, headers, rest, self.breaks.pop(0) if self.breaks else None)

    def start(self, asked: str, version: str | None) -> int:
        return int(asked.removeprefix("bytes=").removesuffix("-")) if version == self.etag else 0


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes, breaks_after: int | None) -> None:
        self.status, self.headers = status, CIMultiDict(headers)
        self._body, self._breaks_after = body, breaks_after

    async def chunks(self) -> AsyncIterator[bytes]:
        sent = self._body[: self._breaks_after]
        for at in range(0, len(sent), 65_536):
            await asyncio.sleep(0)
            yield sent[at : at + 65_536]
        if self._breaks_after is not None:
            raise BodyTruncated

    async def close(self) -> None:
        """Nothing is open."""


Get = Callable[..., Awaitable[Response]]


@asynccontextmanager
async def fetching(site: FileSite, root: Path) -> AsyncIterator[Get]:
    door = Door(timeouts=Timeouts(), max_body=1_000, root=root)

    async def get(path: str = "file.bin", save_to: str = "down/file.bin", **options) -> Response:
        return await door.fetch(site, Request(f"http://files.example/{path}", save_to=save_to, **options))

    yield get


def left(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "down").iterdir())


async def test_a_body_larger_than_memory_should_hold_goes_to_its_file(tmp_path: Path):
    async with fetching(FileSite(), tmp_path) as get:
        response = await get()
    saved = response.saved
    assert (response.body, saved.path) == (b"", tmp_path / "down" / "file.bin")
    assert (saved.size, saved.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert saved.path.read_bytes() == CONTENT
    assert left(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("breaks", [(1,), (300_000,), (300_000, 100_000), (len(CONTENT) - 1,)])
async def test_a_broken_download_is_gone_on_with_where_it_broke(tmp_path: Path, breaks):
    site = FileSite(breaks=breaks)
    async with fetching(site, tmp_path) as get:
        for _ in breaks:
            with pytest.raises(BodyTruncated):
                await get()
            assert not (tmp_path / "down" / "file.bin").exists()  # a file is whole or not there
        saved = (await get()).saved
    assert (saved.size, saved.sha256) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert saved.path.read_bytes() == CONTENT
    assert site.ranges == [None, *(f"bytes={sum(breaks[: n + 1])}-" for n in range(len(breaks)))]
    assert left(tmp_path) == ["file.bin"]


async def test_a_file_that_changed_in_between_starts_again(tmp_path: Path):
    site = FileSite(breaks=(300_000,))
    async with fetching(site, tmp_path) as get:
        with pytest.raises(BodyTruncated):
            await get()
        site.content, site.etag = CONTENT[::-1], '"v2"'
        assert (await get()).saved.path.read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", ['W/"v1"', ""])
async def test_without_a_strong_validator_nothing_is_joined(tmp_path: Path, etag):
    site = FileSite(etag=etag, breaks=(300_000,))
    async with fetching(site, tmp_path) as get:
        with pytest.raises(BodyTruncated):
            await get()
        assert (await get()).saved.path.read_bytes() == CONTENT
    assert site.ranges == [None, None]


async def test_a_part_of_another_url_is_not_gone_on_with(tmp_path: Path):
    site = FileSite(breaks=(300_000,))
    async with fetching(site, tmp_path) as get:
        with pytest.raises(BodyTruncated):
            await get("other.bin")
        assert (await get()).saved.path.read_bytes() == CONTENT
    assert site.ranges == [None, None]


async def test_a_file_that_is_shorter_now_is_fetched_again(tmp_path: Path):
    site = FileSite(breaks=(300_000,))
    async with fetching(site, tmp_path) as get:
        with pytest.raises(BodyTruncated):
            await get()
        site.content = b"short"
        with pytest.raises(BodyTruncated, match="fetched again"):  # retryable: the crawl comes back
            await get()
        assert (await get()).saved.path.read_bytes() == b"short"


async def test_another_part_than_was_asked_for_is_refused(tmp_path: Path):
    site = FileSite(breaks=(300_000,))
    async with fetching(site, tmp_path) as get:
        with pytest.raises(BodyTruncated):
            await get()
        site.start = lambda asked, version: 5
        with pytest.raises(ProtocolViolation):
            await get()


async def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path):
    (tmp_path / "down").mkdir()
    (tmp_path / "down" / "file.bin").write_bytes(b"old")
    async with fetching(FileSite(breaks=(300_000,)), tmp_path) as get:
        with pytest.raises(BodyTruncated):
            await get()
        assert (tmp_path / "down" / "file.bin").read_bytes() == b"old"
        await get()
        assert (tmp_path / "down" / "file.bin").read_bytes() == CONTENT


async def test_its_own_limit_holds(tmp_path: Path):
    async with fetching(FileSite(), tmp_path) as get:
        with pytest.raises(BodyTooLarge):
            await get(max_body=100_000)
    assert not (tmp_path / "down" / "file.bin").exists()


async def test_what_is_no_success_is_a_body_as_ever(tmp_path: Path):
    site = FakeClient({"http://a.example/x": Page(404, body="gone")})
    door = Door(timeouts=Timeouts(), max_body=1_000, root=tmp_path)
    response = await door.fetch(site, Request("http://a.example/x", save_to="x"))
    assert (response.saved, response.body, list(tmp_path.iterdir())) == (None, b"gone", [])


async def test_two_that_save_to_one_file_at_once_do_not_mix(tmp_path: Path):
    async with fetching(FileSite(), tmp_path) as get:
        results = await asyncio.gather(get(), get(), return_exceptions=True)
    refused = [result for result in results if isinstance(result, FetchError)]
    assert [type(error) for error in refused] == [InvalidRequest]
    assert (tmp_path / "down" / "file.bin").read_bytes() == CONTENT


async def test_a_path_that_can_not_be_is_the_requests_own_fault(tmp_path: Path):
    (tmp_path / "file").touch()
    async with fetching(FileSite(), tmp_path) as get:
        with pytest.raises(InvalidRequest, match="can't be written"):
            await get(save_to="file/below.bin")


@pytest.mark.parametrize("path", ["../up", "a/../../up", "..", "", "."])
def test_a_name_that_came_from_a_page_leads_nowhere_else(path):
    with pytest.raises(ValueError, match="save_to="):
        Request("http://a.example/", save_to=path)


async def test_a_spider_is_told_where_its_file_is(tmp_path: Path):
    class Files(Spider):
        name = "files"

        async def start(self):
            yield Request("http://a.example/f", save_to="files/f.pdf")

        def parse(self, response):
            saved = response.saved
            yield {"path": str(saved.path.relative_to(tmp_path)), "size": saved.size, "sha256": saved.sha256}

    done = await crawl(Files, client=FakeClient({"http://a.example/f": b"pdf"}), root=tmp_path)
    assert done.items == [{"path": "files/f.pdf", "size": 3, "sha256": hashlib.sha256(b"pdf").hexdigest()}]
    assert (tmp_path / "files" / "f.pdf").read_bytes() == b"pdf"


LARGE = 200 * 1024 * 1024
MEASURED = """
import asyncio, sys
from pathlib import Path
from scraper import Request
from scraper.clients.aiohttp import AiohttpClient
from scraper.door import Door
from scraper.memory import peak
from scraper.settings import Settings, Timeouts

async def main(url, root):
    async with AiohttpClient.from_settings(Settings()) as client:
        before = peak()
        door = Door(timeouts=Timeouts(), max_body=1, root=Path(root))
        saved = (await door.fetch(client, Request(url, save_to="large"))).saved
        print(saved.size, peak() - before)

asyncio.run(main(*sys.argv[1:]))
"""


async def send_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % LARGE)
    for _ in range(LARGE // len(CONTENT)):
        writer.write(CONTENT)
        await writer.drain()
    writer.write(CONTENT[: LARGE % len(CONTENT)])
    writer.close()
    await writer.wait_closed()  # all of it has been sent


async def test_memory_does_not_grow_with_the_file(tmp_path: Path):
    async with listening(send_much) as port:
        command = [sys.executable, "-c", MEASURED, f"http://{HOST}:{port}/", str(tmp_path)]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        said, _ = await process.communicate()
    size, grown = map(int, said.split())
    assert size == LARGE
    assert grown < 30_000_000
