"""The switchboard: which client sends a request, who may refuse, and clients of one's own."""

import asyncio
import os
import selectors
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from scraper import Request, Spider
from scraper.cli.scaffold import start_project
from scraper.clients import choice
from scraper.door import Door
from scraper.errors import InvalidRequest, MissingExtra, ReadTimeout, SettingsError, TotalTimeout
from scraper.parts import CLIENTS
from scraper.settings import Settings
from scraper.switchboard import Switchboard
from scraper.testing import FakeClient, Page, crawl
from tests.faulty import FaultySite

URL = "https://site.example/"
HERE = __name__


# ── clients that say who they are ────────────────────────────────────────────────────────────────────────


class Own(FakeClient):
    """A client of a user's own. `says`: its answer to everything."""

    now_open: ClassVar[list["Own"]] = []

    def __init__(self, says: str = "mine") -> None:
        super().__init__()
        self.says = says

    async def __aenter__(self) -> "Own":
        self.now_open.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.now_open.remove(self)

    async def open(self, request: Request):
        assert self in self.now_open
        self.requests.append(request)
        return await FakeClient({request.url: self.says}).open(request)


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    yield
    left = [client.says for client in Own.now_open]
    Own.now_open.clear()
    assert left == []


@pytest.fixture
def built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the built-in clients' names, each says its own; their libraries are all there."""
    for name in choice.BUILT_IN:
        made = type(name, (Own,), {"__init__": lambda self, *, says=name: Own.__init__(self, says)})
        monkeypatch.setattr(sys.modules[HERE], f"Stub_{name}", made, raising=False)
        monkeypatch.setitem(CLIENTS, name, f"{HERE}:Stub_{name}")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    """Makes libraries as if they were not installed."""

    def hide(*libraries: str) -> None:
        for library in libraries:
            monkeypatch.setitem(sys.modules, library, None)
            monkeypatch.delitem(sys.modules, f"scraper.clients.{library}", raising=False)
        choice._installed.cache_clear()

    yield hide
    choice._installed.cache_clear()


async def answered(client: object, /, **request) -> str:
    """Who answers a request, where the settings say `client`."""
    settings = Settings(client=client)
    async with Switchboard(settings) as board:
        return await through(board, settings, **request)


async def through(board: Switchboard, settings: Settings, **request) -> str:
    door = Door(timeouts=settings.timeouts, max_body=settings.max_body)
    return (await door.fetch(board, Request(URL, **request))).text


# ── who is asked ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("client", "request_", "who"),
    [
        ("aiohttp", {}, "aiohttp"),
        ("wreq", {}, "wreq"),
        ("wreq", {"client": "httpx"}, "httpx"),
        ("aiohttp", {"client": "requests"}, "requests"),
        ("curl_cffi", {"http2": True}, "curl_cffi"),
        ("aiohttp", {"client": "wreq", "impersonate": "chrome", "http2": True}, "wreq"),
        ("auto", {}, "aiohttp"),
        ("auto", {"http2": True}, "httpx"),
        ("auto", {"impersonate": "chrome"}, "curl_cffi"),
        ("auto", {"impersonate": "chrome", "http2": True}, "curl_cffi"),
        ("auto", {"client": "wreq", "impersonate": "chrome"}, "wreq"),
        ("wreq", {"client": "auto"}, "aiohttp"),
        ("wreq", {"client": "auto", "http2": True}, "httpx"),
    ],
)
async def test_a_requests_own_client_wins_then_the_settings_then_who_can(
    built_in, client: str, request_: dict, who: str
):
    assert await answered(client, **request_) == who


async def test_auto_takes_the_next_one_where_a_library_is_missing(built_in, without):
    without("curl_cffi")
    assert await answered("auto", impersonate="chrome") == "wreq"
    without("httpx")
    assert await answered("auto", http2=True) == "wreq"


@pytest.mark.parametrize(
    ("client", "request_", "words"),
    [
        (
            "aiohttp",
            {"http2": True},
            r"aiohttp can't do http2=True: say client='httpx' or client='curl_cffi'",
        ),
        ("aiohttp", {"impersonate": "chrome"}, r"impersonate=: say client='curl_cffi' or client='wreq'"),
        ("httpx", {"impersonate": "chrome"}, r'client = "auto" in the settings'),
        ("auto", {"client": "requests", "http2": True}, "requests can't do http2=True"),
    ],
)
async def test_who_can_not_do_it_says_who_can(built_in, client: str, request_: dict, words: str):
    with pytest.raises(InvalidRequest, match=words) as caught:
        await answered(client, **request_)
    assert caught.value.request.url == URL


async def test_a_client_is_opened_when_it_is_first_asked_for_and_then_kept(built_in):
    settings = Settings(client="aiohttp")
    async with Switchboard(settings) as board:
        assert [client.says for client in Own.now_open] == ["aiohttp"]
        for _ in range(3):
            assert await through(board, settings, client="wreq") == "wreq"
        assert [client.says for client in Own.now_open] == ["aiohttp", "wreq"]


class Slow(Own):
    """Takes its time to start."""

    may_start = asyncio.Event()

    async def __aenter__(self) -> "Slow":
        await self.may_start.wait()
        await super().__aenter__()
        return self


async def test_who_comes_while_a_client_starts_waits_for_it(monkeypatch):
    monkeypatch.setattr(Slow, "may_start", asyncio.Event())
    settings = Settings()
    async with Switchboard(settings) as board, asyncio.TaskGroup() as group:
        asked = [group.create_task(through(board, settings, client=f"{HERE}:Slow")) for _ in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert not any(task.done() for task in asked)
        assert await asyncio.wait_for(answered(f"{HERE}:Own"), 5) == "mine"  # nobody else waits
        Slow.may_start.set()
        assert await asyncio.gather(*asked) == ["mine"] * 3
        assert len([client for client in Own.now_open if isinstance(client, Slow)]) == 1


# ── clients of one's own ─────────────────────────────────────────────────────────────────────────────────


async def test_a_client_of_ones_own_is_named_in_the_settings():
    assert await answered(f"{HERE}:Own") == "mine"
    assert await answered({"use": f"{HERE}:Own", "says": "hello"}) == "hello"
    assert await answered("aiohttp", client=f"{HERE}:Own") == "mine"


async def test_a_client_of_ones_own_may_be_able_to_do_anything():
    assert await answered(f"{HERE}:Own", http2=True, impersonate="chrome") == "mine"


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("htpx", "there is no built-in 'htpx'"),
        ("no.such:Client", "can't be imported"),
        (f"{HERE}:Nobody", "has no 'Nobody'"),
        ({"use": f"{HERE}:Own", "sings": True}, "does not take these options"),
        ({"says": "hello"}, "an entry is a name"),
        ({"use": "auto", "http2": True}, '"auto" takes no options'),
        ({"use": "requests", "threads": 0}, "threads is a number from 1 on"),
        ({"use": "requests", "session": "no.such:make"}, "can't be imported"),
        ({"use": "wreq", "impersonate": "netscape"}, "wreq can't be 'netscape'"),
    ],
)
def test_what_is_no_client_is_said_before_anything_is_fetched(client: object, words: str):
    with pytest.raises(SettingsError, match=words):
        Switchboard(Settings(client=client))


async def test_what_is_no_client_of_a_request_is_that_requests_failure():
    with pytest.raises(InvalidRequest, match="there is no built-in 'htpx'") as caught:
        await answered("aiohttp", client="htpx")
    assert caught.value.request.client == "htpx"


# ── libraries that are not installed ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["wreq", "requests"])
def test_a_crawl_does_not_begin_without_its_clients_library(without, name: str):
    without(name)
    with pytest.raises(MissingExtra, match=rf"client = '{name}' needs .*pip install 'scrapeloom\[{name}\]'"):
        Switchboard(Settings(client=name))


def test_the_command_says_what_to_install(tmp_path: Path):
    project, broken = tmp_path / "shop", tmp_path / "broken"
    start_project(project, "shop")
    broken.mkdir()
    (broken / "wreq.py").write_text("raise ImportError('not here')\n")
    said = subprocess.run(
        [sys.executable, "-m", "scraper", "crawl", "books", "-s", "client=wreq"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(broken)},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert "pip install 'scrapeloom[wreq]'" in said.stderr
    assert "Traceback" not in said.stderr
    assert list((project / ".scrape" / "runs").iterdir()) == []  # no run began


async def test_a_single_request_without_its_clients_library_is_a_dead_letter(
    without, site: FaultySite, tmp_path: Path
):
    class Two(Spider):
        name = "two"

        async def start(self):
            yield Request(site.url + "/ok/1")
            yield Request(site.url + "/ok/2", client="wreq")

        def parse(self, response):
            yield {"url": response.url}

    without("wreq")
    done = await crawl(Two, root=tmp_path)
    assert [item["url"] for item in done.items] == [site.url + "/ok/1"]
    assert done.failed == {"invalid request": 1}
    assert any("pip install 'scrapeloom[wreq]'" in str(event) for event in done.log)


async def test_the_reasons_are_those_of_the_choice(built_in, without):
    for missing in ((), ("curl_cffi",), ("curl_cffi", "httpx")):
        without(*missing)
        asked, *told = [why.partition(":")[0] for _, why in choice.reasons()]
        assert asked == choice.SOCKETS[0]
        for who, request in zip(told, ({"impersonate": "chrome"}, {"http2": True}, {}), strict=True):
            assert await answered("auto", **request) == who


def test_the_reasons_say_what_is_not_installed(without):
    without("curl_cffi", "wreq")
    told = dict(choice.reasons())
    assert told["Request(impersonate=…)"].endswith("but is not installed")
    assert "not installed" not in told["every other request"]


# ── a browser that renders pages, some day ───────────────────────────────────────────────────────────────


class Renderer:
    """Takes `seconds` to load a page and run its scripts, and hands back ready HTML."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def open(self, request: Request):
        await asyncio.sleep(self._seconds)
        page = Page(200, {"Content-Type": "text/html; charset=utf-8"}, "<h1>Rendered</h1>")
        return await FakeClient({request.url: page}).open(request)


class Impatient(asyncio.SelectorEventLoop):
    """A loop on which waiting takes no time: when nothing is left to do, the next timer rings at once."""

    def __init__(self) -> None:
        self._skipped = 0.0
        super().__init__(selectors.DefaultSelector())
        really = self._selector.select

        def select(timeout: float | None = None):
            events = really(0 if timeout else timeout)
            if timeout and not events:
                self._skipped += timeout
            return events

        self._selector.select = select

    def time(self) -> float:
        return super().time() + self._skipped


@pytest.fixture
def impatiently() -> AsyncIterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=Impatient) as runner:
        yield runner


async def rendered(seconds: float, **request):
    settings = Settings(client={"use": f"{HERE}:Renderer", "seconds": seconds})
    door = Door(timeouts=settings.timeouts, max_body=settings.max_body)
    async with Switchboard(settings) as board:
        return await door.fetch(board, Request(URL, **request))


def test_a_client_may_take_seconds_and_hand_back_ready_html(impatiently: asyncio.Runner):
    response = impatiently.run(rendered(2))
    assert response.css("h1::text").get() == "Rendered"
    assert response.elapsed == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize(("request_", "error"), [({}, ReadTimeout), ({"timeout": 3}, TotalTimeout)])
def test_it_is_waited_for_no_longer_than_for_any_other(
    impatiently: asyncio.Runner, request_: dict, error: type
):
    with pytest.raises(error):
        impatiently.run(rendered(1_000, **request_))
