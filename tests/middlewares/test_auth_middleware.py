import base64

import pytest

from scraper.downloader import chain
from scraper.errors import SettingsError
from scraper.layers import Layer, load
from scraper.middlewares.auth import Auth
from scraper.middlewares.redirect import Redirect
from scraper.parts import MIDDLEWARES, build
from scraper.request import Request
from tests.middlewares.fakes import Web, answer

SHOP = "https://shop.example/"
BASIC = "Basic " + base64.b64encode(b"anna:secret").decode()


async def sent(layer: Auth, url: str = SHOP, **options) -> Request:
    """What goes on from there."""
    site = Web()
    await layer(Request(url, **options), site)
    return site.last


def from_settings(**auth) -> Auth:
    settings = load([Layer("test", {"auth": {SHOP: auth}})]).settings
    return build("auth", settings, MIDDLEWARES, "middlewares")


# ── basic and bearer ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("auth", [("anna", "secret"), ["anna", "secret"], {"basic": ("anna", "secret")}])
async def test_a_user_and_a_password_are_sent_at_once(auth):
    assert (await sent(Auth(), auth=auth)).headers["Authorization"] == BASIC


async def test_they_are_sent_in_utf_8():
    header = (await sent(Auth(), auth=("Zo\u00eb", "\u20ac"))).headers["Authorization"]
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == "Zo\u00eb:\u20ac"


async def test_a_token_is_sent_as_bearer():
    assert (await sent(Auth(), auth={"bearer": "abc.def"})).headers["Authorization"] == "Bearer abc.def"


async def test_a_request_that_is_queued_comes_back_with_its_auth():
    stored = Request(SHOP, auth={"digest": ("anna", "secret")}).encode()
    assert Request.decode(stored).auth == {"digest": ["anna", "secret"]}


async def test_a_request_without_auth_goes_on_as_it_is():
    request, site = Request(SHOP), Web()
    await Auth()(request, site)
    assert site.last is request


async def test_the_response_keeps_its_request():
    request = Request(SHOP, auth=("anna", "secret"))
    assert (await Auth()(request, Web())).request is request


async def test_a_password_is_in_no_text_about_the_request():
    assert "secret" not in repr(Request(SHOP, auth=("anna", "secret")))


@pytest.mark.parametrize(
    "auth",
    [
        "anna:secret",
        ("anna",),
        ("anna", "secret", "x"),
        ("anna", 5),
        {"basic": "secret"},
        {"bearer": ("anna", "secret")},
        {"basic": ("anna", "secret"), "bearer": "secret"},
        {"kerberos": "secret"},
        {},
    ],
)
def test_what_is_no_auth_is_refused_where_it_is_written(auth):
    with pytest.raises(TypeError, match="auth= is") as raised:
        Request(SHOP, auth=auth)
    assert "secret" not in str(raised.value).replace('"secret"', "")


@pytest.mark.parametrize(
    "auth", [("an:na", "letmein"), ("anna", "letmein\n"), {"bearer": "letmein now"}, {"bearer": ""}]
)
def test_what_can_not_be_sent_is_refused_without_being_said(auth):
    with pytest.raises(ValueError) as raised:
        Request(SHOP, auth=auth)
    assert "letmein" not in str(raised.value)


def test_a_digest_may_have_a_colon_in_its_name():
    assert Request(SHOP, auth={"digest": ("an:na", "secret")}).auth == {"digest": ["an:na", "secret"]}


def test_a_request_says_it_once():
    with pytest.raises(ValueError, match="auth= or an Authorization header"):
        Request(SHOP, auth=("anna", "secret"), headers={"authorization": "Basic x"})


# ── in the URL ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "goes", "proof"),
    [
        ("https://anna:secret@shop.example/a?b", "https://shop.example/a?b", b"anna:secret"),
        ("https://anna@shop.example/", "https://shop.example/", b"anna:"),
        ("https://an%40na:a%2Fb@shop.example/", "https://shop.example/", b"an@na:a/b"),
        ("https://anna:secret@shop.example:8443/@x", "https://shop.example:8443/@x", b"anna:secret"),
    ],
)
async def test_a_user_in_the_url_is_sent_as_a_header_and_not_in_the_url(url, goes, proof):
    request = await sent(Auth(), url)
    assert request.url == goes
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == proof


async def test_links_of_the_page_keep_the_user_of_its_url():
    response = await Auth()(Request("https://anna:secret@shop.example/a"), Web())
    assert response.urljoin("b") == "https://anna:secret@shop.example/b"


@pytest.mark.parametrize(
    "url", ["https://shop.example/@x", "https://shop.example/?mail=a@b.c", "https://shop.example/#a@b"]
)
async def test_an_at_sign_elsewhere_in_the_url_is_no_user(url):
    request = await sent(Auth(), url)
    assert (request.url, "Authorization" in request.headers) == (url, False)


# ── for an origin ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "goes"),
    [
        (SHOP + "a?b", True),
        ("https://shop.example:443/", True),
        ("http://shop.example/", False),
        ("https://shop.example:8443/", False),
        ("https://api.shop.example/", False),
        ("https://shop.example.evil.example/", False),
    ],
)
async def test_the_settings_auth_goes_to_its_origin_alone(url, goes):
    request = await sent(from_settings(basic=["anna", "secret"]), Request(url).url.replace(":443/", "/"))
    assert ("Authorization" in request.headers) is goes


async def test_the_settings_say_bearer_too():
    assert (await sent(from_settings(bearer="abc"))).headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (SHOP, {"auth": ("me", "mine")}),
        ("https://me:mine@shop.example/", {}),
        (SHOP, {"headers": {"authorization": "Basic bWU6bWluZQ=="}}),
    ],
)
async def test_what_a_request_says_goes_before_the_settings(url, options):
    request = await sent(from_settings(basic=["anna", "secret"]), url, **options)
    assert {name.title(): value for name, value in request.headers.items()} == {
        "Authorization": "Basic bWU6bWluZQ=="
    }


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ({SHOP: {}}, "give one of basic, digest and bearer"),
        ({SHOP: {"basic": ["anna", "letmein"], "bearer": "letmein"}}, "give one of basic, digest and bearer"),
        ({SHOP: {"basic": ["an:na", "letmein"]}}, "has no colon"),
        ({SHOP: {"basic": ["letmein"]}}, "basic"),
        ({"shop.example": {"bearer": "letmein"}}, 'such as "https://shop.example"'),
        ({SHOP + "path": {"bearer": "letmein"}}, 'such as "https://shop.example"'),
        ({"ftp://shop.example": {"bearer": "letmein"}}, 'such as "https://shop.example"'),
        ({"https://letmein:letmein@shop.example": {"bearer": "x"}}, 'such as "https://shop.example"'),
    ],
)
def test_settings_that_can_not_be_right_are_refused_without_the_secret(auth, words):
    with pytest.raises(SettingsError) as raised:
        load([Layer("settings.toml", {"auth": auth})])
    assert words in str(raised.value)
    assert "letmein" not in str(raised.value)


async def test_a_redirect_takes_auth_to_no_other_origin():
    site = Web({SHOP: answer(302, {"Location": "https://evil.example/"})})
    redirect = Redirect(limit=3)
    redirect.admit = lambda request: None
    layers = chain([from_settings(bearer="abc")], site)
    await redirect(Request(SHOP), layers)
    await redirect(Request(SHOP, auth=("anna", "secret")), layers)
    await redirect(Request("https://anna:secret@shop.example/"), layers)
    assert [("Authorization" in request.headers) for request in site.asked] == [True, False] * 3


# ── digest ───────────────────────────────────────────────────────────────────────────────────────────────


def refusal(nonce: str, more: str = ""):
    return answer(401, {"WWW-Authenticate": f'Digest realm="r", nonce="{nonce}", qop="auth"{more}'})


async def test_a_digest_answers_what_the_server_asks():
    site = Web({SHOP: [refusal("n1"), answer()]})
    response = await Auth()(
        Request(SHOP, auth={"digest": ("anna", "secret")}, method="POST", body=b"x"), site
    )
    assert response.status == 200
    assert ["Authorization" in request.headers for request in site.asked] == [False, True]
    assert 'nonce="n1"' in site.last.headers["Authorization"]
    assert [(request.method, request.body) for request in site.asked] == [("POST", b"x")] * 2


async def test_the_next_request_answers_without_being_asked():
    site = Web({SHOP: [refusal("n1"), answer()]})
    layer = Auth()
    for _ in range(3):
        await layer(Request(SHOP, auth={"digest": ("anna", "secret")}), site)
    assert len(site.asked) == 4
    assert "nc=00000003" in site.last.headers["Authorization"]


async def test_a_nonce_that_has_run_out_is_replaced():
    site = Web({SHOP: [refusal("n1"), answer(), refusal("n2", ", stale=true"), answer()]})
    layer = Auth()
    for _ in range(2):
        response = await layer(Request(SHOP, auth={"digest": ("anna", "secret")}), site)
    assert response.status == 200
    assert 'nonce="n2"' in site.last.headers["Authorization"]


async def test_a_wrong_password_is_asked_about_once_and_never_in_a_loop():
    site = Web({SHOP: refusal("n1")})
    layer = Auth()
    first = await layer(Request(SHOP, auth={"digest": ("anna", "wrong")}), site)
    second = await layer(Request(SHOP, auth={"digest": ("anna", "wrong")}), site)
    assert (first.status, second.status, len(site.asked)) == (401, 401, 3)


async def test_a_site_that_wants_no_digest_answers_401():
    site = Web({SHOP: answer(401, {"WWW-Authenticate": 'Basic realm="r"'})})
    response = await Auth()(Request(SHOP, auth={"digest": ("anna", "secret")}), site)
    assert (response.status, len(site.asked)) == (401, 1)


async def test_what_is_signed_is_the_path_and_query_as_they_are_sent():
    url = "https://shop.example:8443/a%20b|c?d=e&f=%2F#g"
    site = Web({url.partition("#")[0]: [refusal("n1"), answer()]})
    await Auth()(Request(url, auth={"digest": ("anna", "secret")}), site)
    assert 'uri="/a%20b|c?d=e&f=%2F"' in site.last.headers["Authorization"]


async def test_each_user_of_a_site_has_an_answer_of_its_own():
    site = Web({SHOP: [refusal("n1"), answer(), refusal("n2"), answer()]})
    layer = Auth()
    for user in ("anna", "bert"):
        await layer(Request(SHOP, auth={"digest": (user, "secret")}), site)
    answers = [request.headers.get("Authorization", "") for request in site.asked]
    assert ["anna" in one for one in answers] == [False, True, False, False]
    assert "bert" in answers[-1]
