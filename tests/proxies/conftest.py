"""Real proxies from the package index, one process for each software, as long as the tests go on."""

import asyncio
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import trustme

from scraper.parts import CLIENTS
from tests.proxies.known import known
from tests.proxies.real import HOST, RealProxies, proxy_py, wheels

HERE = Path(__file__).parent


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The one that crawls use; the contract of clients is tried on both."""
    if sys.platform == "win32":
        return {"asyncio": asyncio.new_event_loop}
    import uvloop

    return {"uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """What is known to be wrong in a client is expected to fail; the items are those of the whole session."""
    for item in items:
        if item.path.is_relative_to(HERE) and hasattr(item, "callspec"):
            asked = item.callspec.params
            kind = " ".join(asked.get("kind", [asked.get("scheme", "")]))
            if reason := known(item.originalname, asked.get("client", ""), kind):
                item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: `ca.pem` vouches for `loopback.pem`."""
    folder = tmp_path_factory.mktemp("authority")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    ca.issue_cert(HOST, "localhost").private_key_and_cert_chain_pem.write_to_path(folder / "loopback.pem")
    return folder


@pytest.fixture(autouse=True)
def few_authorities(authority: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A client reads the system's certificates when it is made: that takes longer than all else here."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


@pytest.fixture(scope="session")
def tls(authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "loopback.pem")
    return context


@pytest.fixture(scope="session")
def real(authority: Path) -> Iterator[RealProxies]:
    with wheels(authority / "loopback.pem") as (_, ports), proxy_py(authority / "loopback.pem") as others:
        yield RealProxies({**ports, **others})
