"""A job's log over HTTP: its end, in whole lines."""

import pytest

LINES = [f'{{"event": "page fetched", "page": {n}}}\n' for n in range(100)]


@pytest.fixture
async def log_file(worker, desk):
    await worker.add()
    file = desk.office.log_file("1")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(LINES), "utf-8")
    return file


async def test_a_job_that_has_not_begun_has_no_lines(worker):
    await worker.add()
    said = await worker.get("/api/jobs/1/log")
    assert (said.status, said.body) == (200, b"")


async def test_a_short_log_is_shown_whole(worker, log_file):
    said = await worker.get("/api/jobs/1/log")
    assert said.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert said.body == log_file.read_bytes()


@pytest.mark.parametrize("most", [1, 40, len(LINES[-1]), len(LINES[-1]) + 1, 1_000, len("".join(LINES)) - 1])
async def test_of_a_long_log_the_last_whole_lines_are_shown(worker, log_file, most):
    said = await worker.get(f"/api/jobs/1/log?bytes={most}")
    whole = "".join(LINES)
    wanted = next(found for n in range(101) if len(found := "".join(LINES[n:])) <= most)
    assert said.body.decode() == wanted
    assert whole.endswith(wanted)


@pytest.mark.parametrize("most", ["0", "-1", "1048577", "all"])
async def test_no_more_than_a_megabyte_of_a_log_is_shown(worker, log_file, most):
    said = await worker.get(f"/api/jobs/1/log?bytes={most}")
    assert said.status == 400
    assert "bytes" in said.problem
