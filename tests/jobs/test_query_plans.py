"""What a worker asks again and again is a look into an index, however many jobs have ended."""

import pytest

from scraper.jobs import store


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (store.ORPHANED, "jobs_running (lease<?)"),
        (store.AHEAD, "jobs_running (lease>?)"),
        (store.READY, "jobs_queued"),
        (store.RENEW, "jobs_by_state (state=?)"),
        (store.HELD, "jobs_by_state (state=?)"),
        (store.LATER, "jobs_by_series (series=? AND number>?)"),
    ],
)
def test_no_job_that_has_ended_is_looked_at(jobs, statement, index):
    names = {"now": 0, "longest": 0, "worker": "w1", "until": 0, "1": "", "2": 0}
    values = names if ":" in statement else ("1", 2)
    plan = [row["detail"] for row in jobs._base.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any(index in step for step in plan), plan
    assert not [step for step in plan if "SCAN jobs" in step and "INDEX" not in step], plan
