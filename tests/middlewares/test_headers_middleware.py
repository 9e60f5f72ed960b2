import pytest

from scraper.errors import SettingsError
from scraper.middlewares.headers import ACCEPT_ENCODING, DefaultHeaders
from scraper.request import Request
from scraper.settings import Settings
from tests.middlewares.fakes import Web

PAGE = "http://site.example/"


async def sent(layer: DefaultHeaders, **headers: str) -> dict[str, str]:
    site = Web()
    await layer(
        Request(PAGE, headers={name.replace("_", "-"): value for name, value in headers.items()}), site
    )
    return dict(site.last.headers)


async def test_a_request_without_headers_gets_the_defaults():
    layer = DefaultHeaders(user_agent="bot/1", headers={"Accept": "text/html"})
    assert await sent(layer) == {
        "User-Agent": "bot/1",
        "Accept-Encoding": ACCEPT_ENCODING,
        "Accept": "text/html",
    }


async def test_what_the_request_says_itself_wins_whatever_its_case():
    layer = DefaultHeaders(user_agent="bot/1", headers={"Accept": "text/html"})
    own = await sent(layer, user_agent="mine/2", X_Mine="1")
    assert own == {
        "Accept-Encoding": ACCEPT_ENCODING,
        "Accept": "text/html",
        "user-agent": "mine/2",
        "X-Mine": "1",
    }


async def test_the_headers_setting_wins_over_the_user_agent():
    layer = DefaultHeaders(user_agent="bot/1", headers={"user-agent": "other/3"})
    assert await sent(layer) == {"Accept-Encoding": ACCEPT_ENCODING, "user-agent": "other/3"}


async def test_requests_without_headers_share_one_mapping():
    layer, site = DefaultHeaders(user_agent="bot/1", headers={}), Web()
    await layer(Request(PAGE), site)
    await layer(Request(PAGE), site)
    assert site.asked[0].headers is site.asked[1].headers


async def test_the_yielded_request_stays_as_it_is():
    request = Request(PAGE)
    await DefaultHeaders(user_agent="bot/1", headers={})(request, Web())
    assert dict(request.headers) == {}


async def test_options_of_the_layer_go_before_the_settings():
    settings = Settings(user_agent="bot/1", headers={"Accept": "text/html"})
    assert (await sent(DefaultHeaders.from_settings(settings)))["User-Agent"] == "bot/1"
    assert (await sent(DefaultHeaders.from_settings(settings, user_agent="bot/2")))["User-Agent"] == "bot/2"


@pytest.mark.parametrize("name", ["Authorization", "cookie", "Proxy-Authorization"])
def test_a_secret_that_would_go_to_every_site_is_refused_without_being_said(name):
    with pytest.raises(SettingsError, match=rf"headers has {name}, .*\[auth\]") as raised:
        DefaultHeaders.from_settings(Settings(headers={name: "letmein"}))
    assert "letmein" not in str(raised.value)
