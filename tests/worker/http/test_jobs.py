"""Jobs over HTTP: added, listed, shown, cancelled, tried again."""

import asyncio

import pytest

from scraper.errors import StorageError
from tests.worker.http.asking import asking


async def test_a_job_that_is_added_is_in_the_store_and_the_worker_hears_of_it(worker, desk):
    said = await worker.post("/api/jobs", {"spider": "shop", "arguments": {"pages": "3"}, "priority": 7})
    assert said.status == 201
    assert said.headers["Location"] == "/api/jobs/1"
    job = desk.store.get("1")
    assert (job.spec.spider, job.spec.arguments, job.spec.priority) == ("shop", {"pages": "3"}, 7)
    assert (said.json["id"], said.json["state"], desk.rung) == ("1", "queued", 1)
    assert (await worker.get(said.headers["Location"])).json == said.json


async def test_a_schedule_may_be_told_in_words(worker, desk):
    await worker.add(every="1h30m", feeds=["{spider}-{job}.jsonl"])
    job = desk.store.get("1")
    assert (job.spec.every, job.series) == (5400.0, "1")


async def test_jobs_are_listed_newest_first_page_by_page(worker):
    for _ in range(5):
        await worker.add()
    first = (await worker.get("/api/jobs?limit=2")).json
    second = (await worker.get(f"/api/jobs?limit=2&before={first['next']}")).json
    last = (await worker.get(f"/api/jobs?limit=2&before={second['next']}")).json
    assert [[job["id"] for job in page["jobs"]] for page in (first, second, last)] == [
        ["5", "4"],
        ["3", "2"],
        ["1"],
    ]
    assert last["next"] is None


async def test_jobs_are_listed_by_state_and_spider(worker):
    await worker.add()
    await worker.add()
    await worker.post("/api/jobs/1/cancel")

    async def ids(query: str) -> list[str]:
        return [job["id"] for job in (await worker.get(f"/api/jobs?{query}")).json["jobs"]]

    assert await ids("state=queued") == ["2"]
    assert await ids("state=cancelled&state=queued&spider=shop") == ["2", "1"]
    assert await ids("spider=other") == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("limit=1&limit=2", "'limit' more than once"),
        ("state=lost", "state"),
        ("before=..%2f..", "before"),
        ("order=oldest", "order"),
    ],
)
async def test_a_query_that_means_nothing_is_refused(worker, query, says):
    said = await worker.get(f"/api/jobs?{query}")
    assert said.status == 400
    assert says in said.problem


async def test_a_queued_job_is_cancelled_once(worker, desk):
    await worker.add()
    said = await worker.post("/api/jobs/1/cancel")
    assert (said.status, said.json["state"], desk.rung) == (200, "cancelled", 2)
    again = await worker.post("/api/jobs/1/cancel")
    assert again.status == 409
    assert "Job 1 is cancelled" in again.problem


async def test_a_running_job_is_asked_to_stop(worker, desk):
    await worker.add()
    desk.begin()
    said = await worker.post("/api/jobs/1/cancel")
    assert (said.json["state"], said.json["cancelling"]) == ("running", True)


async def test_only_a_job_that_failed_or_was_cancelled_is_tried_again(worker, desk):
    await worker.add()
    refused = await worker.post("/api/jobs/1/retry")
    assert refused.status == 409
    await worker.post("/api/jobs/1/cancel")
    said = await worker.post("/api/jobs/1/retry")
    assert (said.status, said.json["state"], desk.rung) == (200, "queued", 3)


@pytest.mark.parametrize(
    "job_id",
    [
        "99",
        "0",
        "007",
        "-1",
        "abc",
        "1.0",
        "..%2f..%2fetc",
        "%00",
        "%ff",
        "1%0a",
        "9" * 30,
        "x" * 3_000,
        "%D9%A1",
    ],
)
@pytest.mark.parametrize("what", ["", "/cancel", "/retry", "/events", "/log"])
async def test_a_job_that_is_none_is_not_found(worker, job_id, what):
    method = "POST" if what in ("/cancel", "/retry") else "GET"
    said = await worker.ask(method, f"/api/jobs/{job_id}{what}")
    assert said.status == 404
    assert "There is no job" in said.problem


async def test_a_secret_that_a_job_was_given_is_shown_to_nobody(worker, desk):
    given = {
        "arguments": {"password": "hunter2", "pages": "2"},
        "settings": ["auth={'https://shop.example' = {bearer = 'hunter2'}}", "concurrency=5"],
    }
    added = await worker.post("/api/jobs", {"spider": "shop", **given})
    assert added.status == 201, added.problem
    for path in ("/api/jobs", "/api/jobs/1"):
        assert b"hunter2" not in (await worker.get(path)).body
    assert added.json["spec"]["arguments"] == {"password": "***", "pages": "2"}
    assert added.json["spec"]["settings"] == ["auth=***", "concurrency=5"]
    assert desk.store.get("1").spec.arguments["password"] == "hunter2"


@pytest.mark.parametrize("key", ["auth", " auth ", "'auth'", '"auth"', '"\\u0061uth"'])
async def test_a_secret_setting_is_known_however_its_key_is_written(worker, key):
    pair = f"{key}.'https://shop.example'.bearer='hunter2'"
    said = await worker.post("/api/jobs", {"spider": "shop", "settings": [pair]})
    assert said.status == 201, said.problem
    assert b"hunter2" not in said.body


async def test_a_password_in_an_address_is_not_shown(worker):
    added = await worker.add(arguments={"pages": "1"}, settings=["user_agent=http://me:hunter2@shop.example"])
    assert added["spec"]["settings"] == ["user_agent=http://me:***@shop.example"]


async def test_where_the_spider_is_gone_no_argument_is_shown(worker, desk):
    await worker.add(arguments={"password": "hunter2", "pages": "2"})
    (desk.root / "spiders" / "shop.py").unlink()
    said = await worker.get("/api/jobs/1")
    assert said.json["spec"]["arguments"] == {"password": "***", "pages": "***"}


async def test_a_store_that_does_not_answer_is_told_as_such(worker, desk, monkeypatch):
    def refuse(*given, **more):
        raise StorageError("The disk is full.")

    for method in ("add", "get", "list", "counts"):
        monkeypatch.setattr(desk.store, method, refuse)
    for said in (
        await worker.post("/api/jobs", {"spider": "shop"}),
        await worker.get("/api/jobs"),
        await worker.get("/api/jobs/1"),
        await worker.get("/metrics"),
    ):
        assert (said.status, said.problem) == (503, "The disk is full.")


async def test_what_nobody_expected_is_logged_and_not_shown(worker, desk, monkeypatch, log):
    def break_down(*given, **more):
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr(desk.store, "get", break_down)
    said = await worker.get("/api/jobs/1")
    assert said.status == 500
    assert said.problem == "Something went wrong inside the worker; its log says what."
    assert [event["event"] for event in log if event["log_level"] == "error"] == ["a request failed"]
    assert (await worker.get("/healthz")).status == 200


async def test_many_clients_at_once_add_each_job_once(desk):
    async with asking(desk.office) as worker:
        added = await asyncio.gather(*(worker.add() for _ in range(50)))
    assert sorted(int(job["id"]) for job in added) == list(range(1, 51))
