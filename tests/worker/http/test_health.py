"""Whoever looks after the worker is told whether it lives, and whether it takes work."""

from tests.worker.http.asking import asking


async def test_a_worker_that_lives_says_so(worker):
    said = await worker.get("/healthz")
    assert (said.status, said.json) == (200, {"status": "alive"})


async def test_a_worker_that_takes_work_says_so(worker):
    said = await worker.get("/readyz")
    assert (said.status, said.json) == (200, {"status": "ready"})


async def test_a_worker_that_stops_lives_and_takes_no_work(worker, desk):
    desk.office.ready = False
    assert (await worker.get("/healthz")).status == 200
    said = await worker.get("/readyz")
    assert said.status == 503
    assert said.problem == "The worker takes no new jobs: it is stopping, or its store does not answer."


async def test_health_can_be_asked_for_without_a_body(worker):
    said = await worker.ask("HEAD", "/healthz")
    assert (said.status, said.body) == (200, b"")


async def test_health_needs_no_token_and_any_name(desk):
    async with asking(desk.office, sent="") as stranger:
        for path in ("/healthz", "/readyz"):
            assert (await stranger.get(path, headers={"Host": "worker.example"})).status == 200
