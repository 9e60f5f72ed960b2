"""Who may ask a worker, by which name, and from where."""

import pytest

from scraper.worker.http.app import make_app
from tests.worker.http.asking import BEARER, TOKEN, Asking, asking

ROUTES = ["/metrics", "/api/jobs", "/api/jobs/1", "/api/jobs/1/log", "/api/runs", "/openapi.json", "/nothing"]
WRONG = [
    "Bearer",
    "Bearer ",
    "Bearer x",
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    f"Basic {TOKEN}",
    TOKEN,
    "Bearer pässwörd",
]


@pytest.fixture
async def elsewhere(desk, serving):
    """A worker that other machines can reach; asked without a token."""
    app = make_app(desk.office, token=TOKEN, listen_is_loopback=False)
    async with serving(app) as client:
        yield client


@pytest.mark.parametrize("path", ROUTES)
async def test_elsewhere_than_on_loopback_every_route_wants_the_token(elsewhere, path):
    said = await elsewhere.get(path)
    assert (said.status, said.headers["WWW-Authenticate"]) == (401, 'Bearer realm="scraper"')
    assert "Authorization: Bearer TOKEN" in said.problem
    assert (await elsewhere.get(path, headers=BEARER)).status in (200, 404)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_elsewhere_health_needs_no_token(elsewhere, method, path):
    assert (await elsewhere.ask(method, path)).status == 200


async def test_elsewhere_a_worker_answers_to_any_name(elsewhere):
    said = await elsewhere.get("/api/jobs", headers={**BEARER, "Host": "worker.example"})
    assert said.status == 200


@pytest.mark.parametrize("given", WRONG)
async def test_a_wrong_token_opens_nothing(worker, desk, given, log):
    for method, path in (("GET", "/api/jobs"), ("POST", "/api/jobs")):
        said = await worker.ask(method, path, headers={"Authorization": given})
        assert said.status == 401
        assert said.headers["WWW-Authenticate"] == 'Bearer realm="scraper", error="invalid_token"'
        assert said.problem.startswith("The token is wrong.")
    assert [event["event"] for event in log] == ["a wrong token"] * 2
    assert TOKEN[:-1] not in str(log)


async def test_on_loopback_looking_needs_no_token_and_changing_does(desk):
    async with asking(desk.office, sent="") as worker:
        assert (await worker.get("/api/jobs")).status == 200
        for path in ("/api/jobs", "/api/jobs/1/cancel", "/api/jobs/1/retry"):
            assert (await worker.post(path, {"spider": "shop"})).status == 401
    assert desk.store.list() == []


async def test_a_worker_without_a_token_changes_nothing_and_says_how_to_set_one(desk):
    async with asking(desk.office, token="") as worker:
        assert (await worker.get("/api/jobs")).status == 200
        for path in ("/api/jobs", "/api/jobs/1/cancel", "/api/jobs/1/retry"):
            said = await worker.post(path, {"spider": "shop"}, headers=BEARER)
            assert said.status == 403
            assert "SCRAPER_WORKER__TOKEN" in said.problem
    assert desk.store.list() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_site_changes_nothing(worker, desk, headers):
    said = await worker.post("/api/jobs", {"spider": "shop"}, headers=headers)
    assert said.status == 403
    assert "another site" in said.problem
    assert desk.store.list() == []


async def test_a_page_of_the_same_host_may_ask(worker):
    headers = {"Origin": worker.base, "Sec-Fetch-Site": "same-origin"}
    assert (await worker.post("/api/jobs", {"spider": "shop"}, headers=headers)).status == 201


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8480", "10.0.0.1", "", "[::1", "@"],
)
async def test_on_loopback_a_name_that_is_not_this_machine_s_is_refused(desk, host):
    async with asking(desk.office, sent="") as stranger:
        said = await stranger.get("/api/jobs", headers={"Host": host})
        assert said.status == 421
        assert "127.0.0.1" in said.problem


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8480", "127.0.0.1", "127.8.8.8:1", "[::1]:8480"])
async def test_on_loopback_every_name_of_this_machine_is_answered(desk, host):
    async with asking(desk.office, sent="") as worker:
        assert (await worker.get("/api/jobs", headers={"Host": host})).status == 200


async def test_behind_a_proxy_any_name_will_do_with_the_token(worker):
    headers = {"Host": "worker.example", "Origin": "https://worker.example"}
    assert (await worker.post("/api/jobs", {"spider": "shop"}, headers=headers)).status == 201


async def test_no_page_may_show_or_keep_an_answer(worker: Asking):
    for path in ("/healthz", "/api/jobs", "/metrics", "/nothing"):
        headers = (await worker.get(path)).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; frame-ancestors 'none'")
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers
