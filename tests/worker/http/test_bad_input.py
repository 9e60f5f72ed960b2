"""What is asked wrongly is answered in a sentence, and the worker goes on."""

import asyncio
import io
import socket

import pytest

from scraper.errors import ProjectError
from scraper.project import Project
from scraper.worker.http import bodies
from scraper.worker.http.bodies import MOST
from tests.worker.http.asking import BEARER

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"spider": "shpo"}, "No spider named 'shpo'. Did you mean 'shop'?"),
        ({"spider": "shop", "arguments": {"pages": "many"}}, "pages"),
        ({"spider": "shop", "arguments": {"pages": 3}}, "arguments.pages"),
        ({"spider": "shop", "arguments": {"colour": "red"}}, "colour"),
        ({"spider": "shop", "settings": ["concurency=5"]}, "concurency"),
        ({"spider": "shop", "settings": ["concurrency"]}, "key=value"),
        ({"spider": "shop", "feeds": ["../out.jsonl"]}, "leads out of the project"),
        ({"spider": "shop", "feeds": ["/etc/passwd.jsonl"]}, "leads out of the project"),
        ({"spider": "shop", "feeds": ["-"]}, "'-'"),
        ({"spider": "shop", "feeds": ["o\0ut.jsonl"]}, "null byte"),
        ({"spider": "shop", "every": 60, "feeds": ["out.jsonl"]}, "{job}"),
        ({"spider": "shop", "every": 60, "cron": "* * * * *"}, "one of at, every and cron"),
        ({"spider": "shop", "cron": "every day"}, "cron"),
        ({"spider": "shop", "timezone": "Mars/Olympus"}, "time zone"),
        ({"spider": "shop", "timezone": "../../etc/passwd"}, "time zone"),
        ({"spider": "shop", "max_pages": -1}, "max_pages"),
        ({"spider": "shop", "at": "soon"}, "at:"),
        ({"spider": "shop", "urgent": True}, "urgent"),
        ({}, "spider"),
    ],
)
async def test_a_job_that_the_project_cannot_run_is_refused(worker, desk, spec, says):
    said = await worker.post("/api/jobs", spec)
    assert said.status == 422, said.body
    assert says in said.problem
    assert (desk.store.list(), desk.rung) == ([], 0)


@pytest.mark.parametrize(
    "spec",
    [
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
        {"at": "1969-12-31T23:59:59"},
        {"every": 1e308},
        {"cron": "0 0 31 2 *"},
        {"max_pages": 10**40},
        {"max_time": 1e308},
        {"resumes": 10**18},
        {"arguments": {"pages": "9" * 5_000}},
        {"arguments": {"\0": "\0"}},
        {"settings": ["a" * 100_000 + "=1"]},
        {"settings": ["concurrency=" + "[" * 10_000]},
        {"settings": ["concurrency=1\nperhost=2"]},
        {"feeds": ["x" * 5_000 + ".jsonl"]},
        {"feeds": ["{" * 1_000 + "}" * 1_000]},
        {"feeds": ["\u202e.jsonl", "a/" * 2_000 + "b.jsonl"]},
        {"timezone": "x" * 10_000},
    ],
    ids=lambda spec: f"{spec}"[:40],
)
async def test_no_value_however_extreme_is_too_much_for_the_worker(worker, spec):
    said = await worker.post("/api/jobs", {"spider": "shop", **spec})
    assert said.status in (201, 422), said.problem
    assert (await worker.get("/api/jobs")).status == 200


async def test_a_schedule_of_no_time_at_all_is_refused(worker):
    assert (await worker.post("/api/jobs", {"spider": "shop", "every": 1e-308})).status == 422


def test_a_spider_that_exits_while_it_is_imported_is_told_in_words(root):
    (root / "spiders" / "rude.py").write_text("import sys\nsys.exit(3)\n", "utf-8")
    with pytest.raises(ProjectError, match=r"rude\.py"):
        Project(root).spiders()


async def test_what_was_given_wrongly_is_named_and_not_repeated(worker):
    said = await worker.post("/api/jobs", {"spider": "shop", "arguments": {"password": ["hunter2"]}})
    assert [wrong["at"] for wrong in said.json["errors"]] == ["arguments.password"]
    assert b"hunter2" not in said.body


@pytest.mark.parametrize("body", [b"", b"{", b"spider=shop", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
async def test_a_body_that_is_no_json_is_refused(worker, body):
    said = await worker.ask("POST", "/api/jobs", data=body, headers=JSON)
    assert said.status == 400
    assert said.problem.startswith("The body of the request is no JSON: ")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"shop"', b'[{"spider": "shop"}]'])
async def test_json_that_is_no_object_is_refused(worker, body):
    said = await worker.ask("POST", "/api/jobs", data=body, headers=JSON)
    assert said.status == 422
    assert "must be a JSON object" in said.problem


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_a_body_of_another_kind_is_refused(worker, kind):
    for path in ("/api/jobs", "/api/jobs/1/cancel"):
        said = await worker.ask("POST", path, data=b'{"spider": "shop"}', headers={"Content-Type": kind})
        assert said.status == 415
        assert "application/json" in said.problem


async def test_a_compressed_body_is_refused(worker):
    headers = {**JSON, "Content-Encoding": "gzip"}
    said = await worker.ask("POST", "/api/jobs", data=b"\x1f\x8b", headers=headers)
    assert said.status == 415


async def test_a_body_that_grows_too_large_is_refused(worker):
    async def endless():
        while True:
            yield b" " * 65_536

    async with asyncio.timeout(10):
        said = await _refused_while_sending(worker, endless())
    assert said is None or said.status == 413
    assert (await worker.get("/healthz")).status == 200


async def _refused_while_sending(worker, pieces):
    """None where the connection ended before the client could read why."""
    try:
        return await worker.ask("POST", "/api/jobs", data=pieces, headers=JSON)
    except OSError:
        return None


async def test_a_body_of_a_megabyte_is_read_and_one_byte_more_is_not(worker):
    whole = b'{"spider": "shop"}'.ljust(MOST)
    assert (await worker.ask("POST", "/api/jobs", data=io.BytesIO(whole), headers=JSON)).status == 201
    said = await worker.ask("POST", "/api/jobs", data=io.BytesIO(whole + b" "), headers=JSON)
    assert said.status == 413
    assert "too large" in said.problem


def _raw(base: str, request: bytes) -> bytes:
    """The first that is answered."""
    host, _, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(request)
        return wire.recv(65_536)


def _raw_to_its_end(base: str, request: bytes) -> bytes:
    """All that is answered until the connection ends."""
    host, _, port = base.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(request)
        return b"".join(iter(lambda: wire.recv(65_536), b""))


def _post(*headers: str) -> bytes:
    token = f"Authorization: {BEARER['Authorization']}"
    lines = ["POST /api/jobs HTTP/1.1", "Host: localhost", token, "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("headers", [(), ("Expect: 100-continue",)])
async def test_a_hundred_megabytes_are_refused_before_a_byte_of_them_is_read(worker, headers):
    request = _post("Content-Length: 100000000", *headers)
    answer = await asyncio.to_thread(_raw, worker.base, request)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in answer


async def test_a_body_that_is_wanted_is_asked_for(worker, desk):
    body = b'{"spider": "shop"}'
    request = _post(f"Content-Length: {len(body)}", "Expect: 100-continue", "Connection: close") + body
    answer = await asyncio.to_thread(_raw_to_its_end, worker.base, request)
    assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")
    assert len(desk.store.list()) == 1


async def test_a_body_that_does_not_come_is_not_waited_for(worker, monkeypatch):
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)
    answer = await asyncio.to_thread(_raw, worker.base, _post("Content-Length: 20") + b'{"spider"')
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_another_expectation_cannot_be_met(worker):
    request = _post("Content-Length: 2", "Expect: the-inquisition", "Connection: close") + b"{}"
    answer = await asyncio.to_thread(_raw, worker.base, request)
    assert answer.startswith(b"HTTP/1.1 417 ")


@pytest.mark.parametrize(
    "request_",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_http_are_answered_and_tell_no_version(worker, request_):
    answer = await asyncio.to_thread(_raw_to_its_end, worker.base, request_)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert b"Content-Type: application/problem+json" in head
    assert b"aiohttp" not in answer
    assert b"no request of HTTP/1.1" in body


async def test_a_client_that_goes_in_the_middle_of_its_body_does_no_harm(worker, desk):
    host, _, port = worker.base.removeprefix("http://").partition(":")
    _, wire = await asyncio.open_connection(host, int(port))
    wire.write(_post("Content-Length: 500") + b'{"spider"')
    await wire.drain()
    wire.close()
    await wire.wait_closed()
    assert (await worker.get("/healthz")).status == 200
    assert desk.store.list() == []


@pytest.mark.parametrize(
    "path", ["/", "/api", "/api/", "/api/jobs/", "/api/jobs/1/", "/admin", "/..%2f..%2fetc/passwd"]
)
async def test_a_path_that_leads_nowhere_is_told_in_a_sentence(worker, path):
    said = await worker.get(path)
    assert said.status == 404
    assert "/openapi.json" in said.problem


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/jobs", "GET, HEAD, POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("GET", "/api/jobs/1/cancel", "POST"),
        ("OPTIONS", "/api/jobs/1/events", "GET"),
    ],
)
async def test_a_method_that_a_path_has_not_is_told_with_those_it_has(worker, method, path, allowed):
    said = await worker.ask(method, path)
    assert (said.status, said.headers["Allow"]) == (405, allowed)
    assert allowed in said.problem
