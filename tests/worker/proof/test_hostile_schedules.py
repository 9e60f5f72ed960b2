"""Schedules whose jobs are cancelled, killed and retried: never two of a series at once."""

import signal
import time

import pytest

from tests.worker.processes.workshop import LEASE, alive, until
from tests.worker.proof.gated import Hall

pytestmark = pytest.mark.long


@pytest.mark.xfail(
    strict=True,
    reason="A job that is cancelled after its worker died ends at once, and its successor runs beside the orphan.",
)
async def test_a_series_does_not_overlap_an_orphan_of_its_own_that_was_cancelled(firm):
    async with Hall() as site:
        job = firm.add("blocker", every=1, arguments={"url": f"{site.url}/links?n=3"})
        first = await firm.worker("--no-http", "--grace", "20s")
        orphan = await firm.process_of(job)
        await until(lambda: site.gate.waiting, "the callback blocks")
        first.send(signal.SIGKILL)
        await first.ends()
        lease = time.time() + LEASE
        await until(lambda: time.time() > lease, "its lease is over")
        firm.store.cancel(job)
        await firm.worker("--no-http", "--grace", "20s")
        try:
            await until(lambda: site.times["/links"] > 1, "the next one begins", patience=5)
        except AssertionError:
            return
        assert not alive(orphan), "the next one runs beside the orphan"


async def test_two_jobs_do_not_mix_in_one_file(firm):
    async with Hall(closed="/ok/") as site:
        site.gate.allow(5)
        told = {"feeds": ["same.jsonl"], "arguments": {"url": f"{site.url}/links?n=30"}}
        first = firm.add("reader", **told)
        await firm.worker("--no-http")
        await until(lambda: site.gate.waiting, "the first is in its middle")
        second = await firm.reaches(firm.add("reader", **told), "failed")
        site.gate.open()
        await firm.reaches(first, "finished")
        assert "is being written by another crawl" in second.reason
        assert len(set((firm.root / "same.jsonl").read_text("utf-8").splitlines())) == 31
