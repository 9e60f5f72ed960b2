"""What an error says of a proxy: never its password, however deep in its causes a library has put it."""

import traceback

import pytest

from scraper.errors import ProxyFailed
from scraper.middlewares.proxies.secrets import conceal

URL = "http://me:p%40ssword@de.example:8080"
HEADER = "Basic bWU6cEBzc3dvcmQ="


class Talkative(Exception):
    """Makes its text anew each time, as many libraries do."""

    def __str__(self) -> str:
        return f"cannot connect to {URL}"


def told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def failed(*causes: BaseException) -> ProxyFailed:
    """An error that came of these, the nearest first."""
    error: BaseException = ProxyFailed(f"proxy failed: {URL}")
    above = error
    for cause in causes:
        above.__cause__ = cause
        above = cause
    assert isinstance(error, ProxyFailed)
    return error


@pytest.mark.parametrize(
    "causes",
    [
        [],
        [ValueError(f"no route to {URL}")],
        [ValueError("p@ssword"), OSError(111, f"refused: {URL}")],
        [ValueError(ValueError(URL), "nested")],
        [OSError(111, "refused", URL)],
        [ValueError({"headers": {"Proxy-Authorization": HEADER}})],
        [ValueError("told"), Talkative(), ValueError("the first")],
    ],
)
def test_no_cause_tells_the_password(causes):
    error = failed(*causes)
    conceal(error, URL)
    assert not any(secret in told(error) for secret in ("p%40ssword", "p@ssword", "bWU6cEBzc3dvcmQ="))
    assert str(error) == "proxy failed: http://me:***@de.example:8080"


def test_what_was_being_handled_meanwhile_does_not_tell_it_either():
    error = failed()
    error.__context__ = ValueError(f"no route to {URL}")
    conceal(error, URL)
    assert "p%40ssword" not in told(error)
    assert "no route to http://me:***@de.example:8080" in told(error)


def test_causes_that_keep_quiet_stay():
    cause = ValueError("refused", 111)
    error = failed(cause)
    conceal(error, URL)
    assert error.__cause__ is cause
    assert cause.args == ("refused", 111)


def test_a_user_without_a_password_is_a_key_and_hidden():
    error = ProxyFailed("no route to http://apikey:@de.example:8080")
    conceal(error, "http://apikey:@de.example:8080")
    assert str(error) == "no route to http://***:@de.example:8080"


def test_without_a_password_nothing_is_rewritten():
    error = ProxyFailed("no route to http://de.example:8080")
    conceal(error, "http://de.example:8080")
    assert str(error) == "no route to http://de.example:8080"


def test_causes_that_go_in_a_circle_come_to_an_end():
    one, other = ValueError(URL), ValueError(URL)
    one.__cause__, other.__cause__ = other, one
    conceal(one, URL)
    assert "p%40ssword" not in str(one) + str(other)
