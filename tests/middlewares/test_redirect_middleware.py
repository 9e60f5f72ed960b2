import pytest

from scraper.errors import DropRequest, InvalidRequest, TooManyRedirects
from scraper.middlewares.redirect import Redirect
from scraper.middlewares.robots import RobotsTxt
from scraper.request import Request
from scraper.settings import Settings
from tests.middlewares.fakes import Web, answer

HOME = "http://site.example/"


def to(location: str, status: int = 302):
    return answer(status, {"Location": location})


async def pieces():
    yield b"piece"


def a_redirect(limit: int = 10, refused: dict[str, str] | None = None) -> Redirect:
    middleware = Redirect(limit=limit)
    middleware.admit = lambda request: (refused or {}).get(request.url)
    return middleware


async def last_hop(request: Request, first_answer) -> Request:
    """The request that follows the first answer."""
    site = Web({request.url.partition("#")[0]: first_answer})
    await a_redirect()(request, site)
    assert len(site.asked) == 2
    return site.last


# ── following ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_every_redirection_with_a_location_is_followed(status):
    site = Web({HOME: to("/there", status)})
    response = await a_redirect()(Request(HOME), site)
    assert (response.status, response.url) == (200, "http://site.example/there")


@pytest.mark.parametrize("status", [200, 300, 304, 305, 404])
async def test_other_statuses_are_not_followed(status):
    site = Web({HOME: to("/there", status)})
    response = await a_redirect()(Request(HOME), site)
    assert (response.status, len(site.asked)) == (status, 1)


async def test_the_response_keeps_the_request_as_it_was_yielded():
    site = Web({HOME: to("/a"), HOME + "a": to("/b")})
    request = Request(HOME, data={"n": 1})
    response = await a_redirect()(request, site)
    assert response.request is request
    assert response.url == HOME + "b"


async def test_the_response_keeps_the_request_whatever_inner_layers_made_of_it():
    site = Web()

    async def with_headers(request):
        return await site(request.replace(headers={"Accept": "*/*"}))

    request = Request(HOME)
    response = await a_redirect()(request, with_headers)
    assert response.request is request


async def test_a_status_that_the_request_calls_ok_is_handed_back():
    site = Web({HOME: to("/there", 302)})
    response = await a_redirect()(Request(HOME, ok={302}), site)
    assert (response.status, len(site.asked)) == (302, 1)


async def test_a_redirection_without_location_is_taken_as_it_is():
    response = await a_redirect()(Request(HOME), Web({HOME: answer(302)}))
    assert response.status == 302


@pytest.mark.parametrize("location", ["", "http://", "http://[::1", "https://a b/"])
async def test_a_redirection_with_a_location_that_is_no_url_is_taken_as_it_is(location):
    response = await a_redirect()(Request(HOME), Web({HOME: to(location)}))
    assert response.status == 302


async def test_more_hops_than_the_limit_raise_with_the_yielded_request():
    site = Web({HOME: to("/")})
    request = Request(HOME)
    with pytest.raises(TooManyRedirects, match="More than 3 redirects, the last to http://site") as raised:
        await a_redirect(limit=3)(request, site)
    assert raised.value.request is request
    assert len(site.asked) == 4


async def test_as_many_hops_as_the_limit_are_fine():
    site = Web({HOME: [to("/"), to("/"), to("/"), answer()]})
    assert (await a_redirect(limit=3)(Request(HOME), site)).status == 200


# ── locations ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("b", "http://site.example/a/b"),
        ("../b", "http://site.example/b"),
        ("?page=2", "http://site.example/a/x?page=2"),
        ("//other.example/b", "http://other.example/b"),
        ("HTTPS://Other.Example:443/b", "https://other.example/b"),
        ("  /b  ", "http://site.example/b"),
        ("/a b", "http://site.example/a%20b"),
        ("\\b", "http://site.example/b"),
        ("\\\\other.example\\b", "http://other.example/b"),
        ("///other.example/b", "http://other.example/b"),
        ("http:b", "http://site.example/a/b"),
        ("http:/b", "http://site.example/b"),
        ("https:other.example/b", "https://other.example/b"),
        ("/a/../../b", "http://site.example/b"),
        ("/b%2f%7E", "http://site.example/b%2f%7E"),
        (";b", "http://site.example/a/;b"),
        ("?", "http://site.example/a/x?"),
        ("http://other.example", "http://other.example/"),
        ("http://other.example?b", "http://other.example/?b"),
        ("http://0x7f.1/b", "http://127.0.0.1/b"),
    ],
)
async def test_a_location_is_joined_to_the_hop_as_browsers_do(location, url):
    hop = await last_hop(Request("http://site.example/a/x"), to(location))
    assert hop.url == url


@pytest.mark.parametrize(
    "as_read_by_a_client",
    ["/café", "/caf\u00c3\u00a9"],  # UTF-8 read as UTF-8, and as Latin-1
)
async def test_a_location_in_utf_8_is_percent_encoded_as_utf_8(as_read_by_a_client):
    hop = await last_hop(Request(HOME), to(as_read_by_a_client))
    assert hop.url == "http://site.example/caf%C3%A9"


async def test_a_location_in_another_encoding_keeps_its_bytes():
    latin_1 = b"/caf\xe9".decode("utf-8", "surrogateescape")
    hop = await last_hop(Request(HOME), to(latin_1))
    assert hop.url == "http://site.example/caf%E9"


async def test_a_location_with_an_international_host_goes_there():
    hop = await last_hop(Request(HOME), to("http://bücher.example/"))
    assert hop.url == "http://xn--bcher-kva.example/"


async def test_the_fragment_is_inherited():
    hop = await last_hop(Request(HOME + "#chapter"), to("/there"))
    assert hop.url == "http://site.example/there#chapter"


async def test_an_empty_fragment_is_a_fragment_of_its_own():
    hop = await last_hop(Request(HOME + "#chapter"), to("/there#"))
    assert hop.url == "http://site.example/there#"


async def test_the_fragment_is_inherited_over_several_hops():
    site = Web({HOME: to("/a"), HOME + "a": to("/b")})
    response = await a_redirect()(Request(HOME + "#chapter"), site)
    assert response.url == "http://site.example/b#chapter"


async def test_a_location_with_its_own_fragment_keeps_it():
    hop = await last_hop(Request(HOME + "#chapter"), to("/there#top"))
    assert hop.url == "http://site.example/there#top"


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "GET", "GET"),
        (303, "DELETE", "GET"),
        (302, "PUT", "PUT"),
        (302, "HEAD", "HEAD"),
        (307, "DELETE", "DELETE"),
        (308, "HEAD", "HEAD"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (301, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
async def test_the_method_follows_the_fetch_standard(status, method, becomes):
    hop = await last_hop(Request(HOME, method=method), to("/there", status))
    assert hop.method == becomes


async def test_a_post_that_becomes_a_get_loses_its_body_and_the_headers_about_it():
    request = Request(HOME, json={"a": 1}, headers={"content-language": "en", "X-Mine": "1"})
    hop = await last_hop(request, to("/there", 302))
    assert (hop.body, dict(hop.headers)) == (b"", {"X-Mine": "1"})


@pytest.mark.parametrize(("status", "method"), [(301, "PUT"), (302, "PATCH"), (308, "POST")])
async def test_a_method_that_stays_keeps_its_body(status, method):
    hop = await last_hop(Request(HOME, method=method, body=b"x"), to("/there", status))
    assert (hop.method, hop.body) == (method, b"x")


@pytest.mark.parametrize(("status", "method"), [(307, "POST"), (308, "PUT"), (302, "PUT")])
async def test_a_body_that_has_been_read_can_not_be_sent_on(status, method):
    request = Request(HOME, method=method, body=pieces())
    with pytest.raises(
        InvalidRequest, match=f"Redirected with {status} to http://site.example/there, but the body"
    ):
        await a_redirect()(request, Web({HOME: to("/there", status)}))


async def test_a_body_that_has_been_read_is_not_needed_where_a_get_follows():
    hop = await last_hop(Request(HOME, method="POST", body=pieces()), to("/there", 303))
    assert (hop.method, hop.body) == ("GET", b"")


async def test_307_keeps_the_body_and_its_headers():
    hop = await last_hop(Request(HOME, json={"a": 1}), to("/there", 307))
    assert (hop.body, dict(hop.headers)) == (b'{"a":1}', {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "elsewhere", ["http://other.example/", "https://site.example/", "http://site.example:8080/"]
)
async def test_credentials_do_not_go_to_another_origin(elsewhere):
    secrets = {"authorization": "Basic x", "Cookie": "id=1", "Proxy-Authorization": "y", "X-Mine": "1"}
    hop = await last_hop(Request(HOME, headers=secrets), to(elsewhere))
    assert dict(hop.headers) == {"X-Mine": "1"}


async def test_credentials_stay_within_the_origin():
    hop = await last_hop(
        Request(HOME, headers={"Authorization": "Basic x"}), to("http://site.example:80/there")
    )
    assert dict(hop.headers) == {"Authorization": "Basic x"}


@pytest.mark.parametrize("elsewhere", ["http://other.example/", "https://site.example/"])
async def test_auth_does_not_go_to_another_origin_and_does_not_come_back(elsewhere):
    site = Web({HOME: to(elsewhere), elsewhere: to(HOME + "again")})
    await a_redirect()(Request(HOME, auth=("anna", "secret")), site)
    assert [request.auth for request in site.asked] == [{"basic": ["anna", "secret"]}, None, None]


async def test_auth_stays_within_the_origin():
    hop = await last_hop(Request(HOME, auth=("anna", "secret")), to("/there"))
    assert hop.auth == {"basic": ["anna", "secret"]}


async def test_a_user_in_the_url_goes_along_to_relative_locations_only():
    here = "http://anna:secret@site.example/"
    assert (await last_hop(Request(here), to("there"))).url == "http://anna:secret@site.example/there"
    assert (await last_hop(Request(here), to("//other.example/"))).url == "http://other.example/"


@pytest.mark.parametrize(
    ("referer", "location", "goes"),
    [
        ("https://site.example/list?q=1", "https://site.example/there", "https://site.example/list?q=1"),
        ("https://site.example/list?q=1", "https://other.example/", "https://site.example/"),
        ("https://site.example/list?q=1", "http://site.example/", None),
        ("http://anna:secret@found.example/?q=1#top", "https://other.example/", "http://found.example/"),
        ("about:blank", "https://other.example/", None),
        ("no url", "https://other.example/", None),
    ],
)
async def test_another_origin_learns_no_more_than_where_it_was_found(referer, location, goes):
    hop = await last_hop(Request("https://site.example/", headers={"referer": referer}), to(location))
    assert hop.headers.get("referer") == goes


async def test_everything_else_of_the_request_goes_along():
    request = Request(HOME, session="anna", proxy="eu", timeout=3, max_body=9, client="httpx")
    hop = await last_hop(request.replace(id=b"i", depth=2, attempt=2), to("/there"))
    kept = (hop.session, hop.proxy, hop.timeout, hop.max_body, hop.client, hop.id, hop.depth, hop.attempt)
    assert kept == ("anna", "eu", 3, 9, "httpx", b"i", 2, 2)


async def test_a_password_in_a_location_is_in_no_error():
    site = Web({HOME: to("http://anna:secret@site.example/"), "http://anna:secret@site.example/": to("/")})
    with pytest.raises(TooManyRedirects) as raised:
        await a_redirect(limit=3)(Request(HOME), site)
    assert "secret" not in str(raised.value)


# ── admission ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_hop_that_admission_refuses_is_not_fetched():
    site = Web({HOME: to("http://other.example/")})
    with pytest.raises(DropRequest, match="offsite"):
        await a_redirect(refused={"http://other.example/": "offsite"})(Request(HOME), site)
    assert site.urls == [HOME]


async def test_a_robots_txt_may_live_on_another_site():
    site = Web({HOME + "robots.txt": to("http://other.example/robots.txt")})
    asked = RobotsTxt(HOME + "robots.txt")
    await a_redirect(refused={"http://other.example/robots.txt": "offsite"})(asked, site)
    assert isinstance(site.last, RobotsTxt)


@pytest.mark.parametrize(("options", "limit"), [({}, 4), ({"limit": 2}, 2)])
async def test_the_limit_comes_from_the_settings_unless_the_layer_has_its_own(options, limit):
    layer = Redirect.from_settings(Settings(max_redirects=4), **options)
    layer.admit = lambda request: None
    with pytest.raises(TooManyRedirects, match=f"More than {limit} "):
        await layer(Request(HOME), Web({HOME: to("/")}))
