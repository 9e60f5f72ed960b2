"""What systemd hears, over a real socket."""

import os
import secrets
import socket
import sys
import time

import pytest

from scraper.worker.systemd import Systemd

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there is no systemd here")


@pytest.fixture(params=["path", "abstract"])
def listening(request, tmp_path):
    """A socket, and NOTIFY_SOCKET as systemd writes it."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("only Linux has such names")
    name = str(tmp_path / "notify") if request.param == "path" else f"@scrape-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind("\0" + name[1:] if name.startswith("@") else name)
        made.settimeout(10)
        yield made, name


def test_systemd_hears_of_every_step(listening):
    made, name = listening
    service = Systemd({"NOTIFY_SOCKET": name})
    before = time.monotonic_ns() // 1000
    service.ready()
    service.reloading()
    service.ready()
    service.stopping()
    heard = [made.recv(1000).decode() for _ in range(4)]
    reloading, _, micros = heard[1].partition("\nMONOTONIC_USEC=")
    assert [heard[0], reloading, *heard[2:]] == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert before <= int(micros) <= time.monotonic_ns() // 1000


def test_the_watchdog_hears_twice_in_its_time_and_not_more_often(listening, monkeypatch):
    made, name = listening
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    service = Systemd({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())})
    for _ in range(20):
        service.well()
        now += 1
    service.stopping()
    heard = [made.recv(1000).decode() for _ in range(5)]
    assert heard == ["WATCHDOG=1"] * 4 + ["STOPPING=1"]


@pytest.mark.parametrize(
    "told", [{}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}]
)
def test_a_watchdog_that_is_not_ours_is_left_alone(told):
    assert Systemd(told).watchdog == 0


def test_a_systemd_that_does_not_answer_is_no_reason_to_stop(tmp_path, log):
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()
    assert [one["event"] for one in log] == ["systemd can't be told"]


def test_without_systemd_nothing_is_said(log):
    Systemd({}).ready()
    assert log == []
