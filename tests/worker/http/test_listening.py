"""Where a worker listens, and what stands in the way of it."""

import socket
import sys

import pytest

from scraper.errors import MissingExtra, UsageError
from scraper.worker.http.app import make_app, serve


async def refused(office, listen: str, token: str = "") -> str:
    with pytest.raises(UsageError) as caught:
        async with serve(office, listen, token):
            pass
    return str(caught.value)


async def test_a_taken_port_is_told_in_a_sentence(desk):
    async with serve(desk.office, "127.0.0.1:0", "") as base:
        port = base.rpartition(":")[2]
        assert await refused(desk.office, f"127.0.0.1:{port}") == (
            f"The worker can't listen at 127.0.0.1, port {port}: another program listens there."
            " Stop it, or choose another port."
        )


async def test_a_port_is_free_again_when_the_worker_has_gone(desk):
    async with serve(desk.office, "127.0.0.1:0", "") as base:
        listen = base.removeprefix("http://")
    async with serve(desk.office, listen, "") as again:
        assert again == base


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
async def test_other_machines_may_not_connect_where_there_is_no_token(desk, listen):
    assert "SCRAPER_WORKER__TOKEN" in await refused(desk.office, listen)


async def test_an_address_of_another_machine_is_told_in_a_sentence(desk):
    assert "this machine has no such address" in await refused(desk.office, "192.0.2.1:0", "token")


@pytest.mark.parametrize(
    "listen", ["", "8480", ":8480", "localhost", "localhost:http", "127.0.0.1:65536", "127.0.0.1:-1"]
)
async def test_what_is_no_address_is_told_in_a_sentence(desk, listen):
    assert "write it as 127.0.0.1:8480" in await refused(desk.office, listen)


async def test_a_name_that_no_machine_has_is_told_in_a_sentence(desk):
    assert "There is no machine" in await refused(desk.office, f"{'x' * 70}.invalid:8480", "token")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_a_worker_may_listen_on_ipv6(desk):
    async with serve(desk.office, "[::1]:0", "") as base:
        assert base.startswith("http://[::1]:")


def test_without_prometheus_the_extra_is_named(desk, monkeypatch):
    monkeypatch.delitem(sys.modules, "scraper.worker.http.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'scrapeloom\[worker\]'"):
        make_app(desk.office, token="", listen_is_loopback=True)
