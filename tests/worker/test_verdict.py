"""What becomes of a job, from how its process ended."""

import signal

import pytest

from scraper.worker.verdict import BUSY, Again, Ending, Over, verdict
from scraper.worker.words import Busy, Ended, Refused

NOW = 1_000_000.0
KILLED = Ending(None, -signal.SIGKILL)


def decided(ending: Ending, *, cancelled: bool = False, stopped: bool = False) -> Over | Again:
    return verdict(ending, now=NOW, cancelled=cancelled, stopped=stopped)


@pytest.mark.parametrize(
    ("last", "becomes"),
    [
        (Ended("finished"), Over("finished", "")),
        (Ended("finished", "start() raised", 1), Over("failed", "start() raised")),
        (Ended("stopped", "max_pages"), Over("finished", "max_pages")),
        (Ended("stopped", "3 of 4 pages failed", 1), Over("failed", "3 of 4 pages failed")),
        (Ended("crashed", "the disk is full", 1), Over("failed", "the disk is full")),
        (Ended("waiting", waiting_until=NOW + 60), Again(NOW + 60)),
        (Ended("interrupted", "interrupted", 130), Again()),
        (Refused("There is no such spider."), Over("failed", "There is no such spider.")),
        (Busy("Another process has it."), Again(NOW + BUSY)),
    ],
)
def test_the_last_word_of_a_process_decides(last, becomes):
    assert decided(Ending(last, 0)) == becomes


@pytest.mark.parametrize(
    ("ending", "died"),
    [
        (KILLED, "its process was ended by SIGKILL"),
        (Ending(None, -63), "its process was ended by signal 63"),
        (Ending(None, 3), "its process ended with exit code 3 before the crawl did"),
        (Ending(None, -9, why_killed="its process did not stop"), "its process did not stop"),
    ],
)
def test_a_process_without_a_last_word_has_died(ending, died):
    assert decided(ending) == Again(died=died)


@pytest.mark.parametrize("ending", [KILLED, Ending(Ended("interrupted"), 0), Ending(Busy(""), 0)])
def test_the_end_of_a_process_that_was_to_stop_does_not_count(ending):
    assert decided(ending, stopped=True) == Again()


@pytest.mark.parametrize("ending", [KILLED, Ending(Ended("interrupted"), 0), Ending(Refused("no"), 0)])
def test_a_job_that_was_cancelled_is_cancelled_however_its_process_ended(ending):
    assert decided(ending, cancelled=True, stopped=True) == Over("cancelled", "cancelled")


def test_a_job_that_finished_before_it_could_be_cancelled_has_finished():
    assert decided(Ending(Ended("finished"), 0), cancelled=True) == Over("finished", "")


@pytest.mark.parametrize("last", [None, Ended("interrupted")])
def test_too_much_memory_fails_the_job_however_its_process_ended(last):
    assert decided(Ending(last, 0, outgrown=True)) == Over("failed", "max_memory")
