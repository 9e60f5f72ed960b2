"""The contract of clients: every client of `scraper.parts.CLIENTS` is tried, on both event loops."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import trustme

from scraper.parts import CLIENTS
from tests.clients.browser import HASTY, Browser
from tests.clients.cannot import CANNOT
from tests.clients.matrix import BEHAVIOUR, ROWS, cannot, client_of, row_of
from tests.clients.servers import HOST

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Python's own, and uvloop, which crawls use where it is installed."""
    return LOOPS


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """On Python's own loop the contract is for CI. What a client's library can't do is expected to fail, for the reason
    in cannot.py; of a whole row that it can't do, the first test shows it."""
    shown = set()
    for item in items:
        if row_of(item) in ROWS and "[asyncio-" in item.name and len(LOOPS) > 1:
            item.add_marker(pytest.mark.long)
        if entry := cannot(item):
            run = entry not in shown or entry[1] not in ROWS
            shown.add(entry)
            item.add_marker(pytest.mark.xfail(reason=CANNOT[entry], strict=True, run=run))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """For the ledger, which may be in another process than the test."""
    report = yield
    if row_of(item) in ROWS and client_of(item):
        report.user_properties.append((BEHAVIOUR, (client_of(item), row_of(item))))
    return report


@pytest.fixture(scope="package", autouse=True)
def few_authorities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The system trusts one, and no longer hundreds that every client would have to read."""
    folder = tmp_path_factory.mktemp("system")
    trustme.CA().cert_pem.write_to_path(folder / "ca.pem")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        patch.setenv("SSL_CERT_DIR", str(folder))
        yield


@pytest.fixture(params=list(CLIENTS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def browser(name: str) -> AsyncIterator[Browser]:
    async with Browser(name) as browser:
        yield browser


@pytest.fixture
async def hasty(name: str) -> AsyncIterator[Browser]:
    async with Browser(name, timeouts=HASTY) as browser:
        yield browser


@pytest.fixture
async def trusting(name: str, ca_file: Path) -> AsyncIterator[Browser]:
    """It trusts our authority."""
    async with Browser(name, tls={"ca_file": ca_file}) as browser:
        yield browser


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side, with a certificate that only `trusting` trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def tls2(authority: trustme.CA) -> ssl.SSLContext:
    """The same, of a site that speaks HTTP/2 and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    authority.issue_cert(HOST, "localhost").configure_cert(context)
    return context
