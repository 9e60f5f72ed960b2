"""Runs over HTTP: how each stands, and nothing of what it was told in secret."""

import pytest

from scraper.runs import Runs


@pytest.fixture
def runs(root) -> Runs:
    return Runs(root)


async def test_a_project_without_runs_has_none(worker):
    assert (await worker.get("/api/runs")).json == {"runs": []}


async def test_a_run_is_shown_with_its_state_and_counters(worker, runs):
    run = runs.create(
        "shop", run_id="first", settings={"user_agent": "hunter2"}, arguments={"pages": "hunter2"}
    )
    run.info = run.info.model_copy(
        update={"state": "finished", "ended": run.info.started + 2, "counters": {"done": 3, "items": 5}}
    )
    run.save()
    said = await worker.get("/api/runs/first")
    assert said.status == 200
    shown = said.json
    assert (shown["run"], shown["spider"], shown["state"]) == ("first", "shop", "finished")
    assert (shown["pages"], shown["items"], shown["counters"]) == (3, 5, {"done": 3, "items": 5})
    assert (shown["seconds"], shown["resumable"]) == (pytest.approx(2), False)
    assert b"hunter2" not in said.body
    assert (await worker.get("/api/runs")).json["runs"] == [shown]


async def test_runs_are_listed_by_spider_newest_first(worker, runs):
    for number, spider in enumerate(("shop", "quotes", "shop")):
        runs.create(spider, run_id=f"run-{number}")
    listed = (await worker.get("/api/runs?spider=shop")).json["runs"]
    assert [run["run"] for run in listed] == ["run-2", "run-0"]
    assert len((await worker.get("/api/runs?limit=1")).json["runs"]) == 1


async def test_a_run_whose_process_was_killed_has_crashed(worker, runs):
    runs.create("shop", run_id="first")
    assert (await worker.get("/api/runs/first")).json["state"] == "crashed"


async def test_a_run_that_is_damaged_is_told_as_such(worker, runs):
    folder = runs.create("shop", run_id="first").folder
    (folder / "run.json").write_text("{", "utf-8")
    said = await worker.get("/api/runs/first")
    assert said.status == 500
    assert "is damaged" in said.problem


@pytest.mark.parametrize(
    "name",
    [
        "none",
        "..",
        "%2e%2e",
        "..%2f..%2fsecret",
        "..%2fruns%2ffirst",
        "%2fetc",
        "..%5cfirst",
        "first%00",
        "%00",
        "%0a",
        "%ff",
        ".new-1",
        "x" * 256,
        "x" * 5_000,
        "%C3%A9" * 200,
        "%E2%80%AE",
    ],
)
async def test_no_name_leads_out_of_the_folder_of_the_runs(worker, runs, root, name):
    runs.create("shop", run_id="first")
    outside = root / "secret"
    outside.mkdir()
    (outside / "run.json").write_bytes((runs.folder / "first" / "run.json").read_bytes())
    said = await worker.get(f"/api/runs/{name}")
    assert said.status == 404
    assert "There is no run" in said.problem or "nothing at this path" in said.problem
