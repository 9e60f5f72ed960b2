"""What `scrape worker` says of what it can't do."""

import pytest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "127.0.0.1:0", "--no-http"], "--listen and --no-http can't go together"),
        (["--grace", "soon"], "--grace: 'soon' is no duration"),
        (["--token-file", "nowhere"], "--token-file: nowhere can't be read"),
        (["--token-file", "empty"], "--token-file: empty is empty"),
        (["--listen", "everywhere"], "'everywhere' is no address to listen at"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_what_a_worker_can_not_do_is_one_sentence(typed, project, words, said):
    (project / "empty").touch()
    result = typed("worker", *words)
    assert result.returncode == 2
    assert said in " ".join(result.stderr.split())


def test_an_address_that_is_open_to_others_needs_a_token(typed):
    result = typed("worker", "--listen", "0.0.0.0:0")
    assert (result.returncode, "needs a token" in result.stderr) == (2, True)


def test_without_a_project_there_is_no_worker(typed, tmp_path):
    assert typed("worker", at=tmp_path).returncode == 2
