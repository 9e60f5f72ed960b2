import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scraper.downloader import chain
from scraper.middlewares import jar, set_cookie
from scraper.middlewares.cookies import Cookies
from scraper.middlewares.redirect import Redirect
from scraper.request import Request
from scraper.settings import Settings
from tests.middlewares.fakes import Time, Web, answer

HOME = "http://www.shop.example/"
SECURE = "https://www.shop.example/"


async def taught(*lines: str, url: str = HOME, now: Time | None = None, session: str = "") -> Cookies:
    """A layer that has got these Set-Cookie lines from this URL."""
    layer = Cookies(now=now or Time())
    await teach(layer, *lines, url=url, session=session)
    return layer


async def teach(layer: Cookies, *lines: str, url: str = HOME, session: str = "") -> None:
    site = Web({url: answer(headers=[("Set-Cookie", line) for line in lines])})
    await layer(Request(url, session=session), site)


async def sent(layer: Cookies, url: str = HOME, **options) -> str | None:
    """The Cookie header of a request to this URL."""
    site = Web()
    await layer(Request(url, **options), site)
    return site.last.headers.get("Cookie")


# ── sending back ─────────────────────────────────────────────────────────────────────────────────────────


async def test_every_set_cookie_line_is_learnt_and_sent_back():
    assert await sent(await taught("a=1; Path=/", "b=2; HttpOnly; SameSite=Lax")) == "a=1; b=2"


async def test_a_request_without_cookies_goes_on_as_it_is():
    request, site = Request("http://other.example/"), Web()
    await (await taught("a=1"))(request, site)
    assert site.last is request


async def test_a_value_goes_back_exactly_as_it_came():
    assert (
        await sent(await taught('a="x y=z"; Path=/', "b=%7B%22k%22:1%7D")) == 'a="x y=z"; b=%7B%22k%22:1%7D'
    )


async def test_the_users_own_cookie_header_wins_entirely():
    layer = await taught("a=1")
    site = Web()
    await layer(Request(HOME, headers={"cookie": "mine=1"}), site)
    assert dict(site.last.headers) == {"cookie": "mine=1"}


async def test_other_headers_stay():
    layer = await taught("a=1")
    site = Web()
    await layer(Request(HOME, headers={"X-Mine": "1"}), site)
    assert dict(site.last.headers) == {"X-Mine": "1", "Cookie": "a=1"}


async def test_a_new_value_replaces_the_old_one_in_its_place():
    layer = await taught("a=1", "b=2")
    await teach(layer, "a=3")
    assert await sent(layer) == "a=3; b=2"


async def test_longer_paths_go_first():
    layer = await taught("a=1; Path=/", "b=2; Path=/deep", url=HOME + "deep/page")
    assert await sent(layer, HOME + "deep/page") == "b=2; a=1"


async def test_of_equal_paths_the_older_cookie_goes_first_whatever_its_domain():
    layer = await taught("a=1; Domain=shop.example", "b=2", "c=3; Domain=shop.example")
    await teach(layer, "a=4; Domain=shop.example")  # a new value keeps the old place
    assert await sent(layer) == "a=4; b=2; c=3"


async def test_a_resumed_crawl_sends_them_in_the_same_order():
    first = await taught("a=1; Domain=shop.example", "b=2", "c=3; Domain=shop.example")
    second = Cookies(now=Time())
    second.restore(first.changes())
    await teach(second, "d=4")
    assert await sent(second) == "a=1; b=2; c=3; d=4"


async def test_a_cookie_of_the_host_and_one_of_its_domain_may_share_a_name():
    layer = await taught("a=host", "a=domain; Domain=www.shop.example")
    assert await sent(layer) == "a=host; a=domain"
    assert await sent(layer, "http://x.www.shop.example/") == "a=domain"


@pytest.mark.parametrize("site", ["Strict", "Lax", "None", "whatever"])
async def test_same_site_means_nothing_to_a_crawl(site):
    assert await sent(await taught(f"a=1; SameSite={site}")) == "a=1"


async def test_a_cookie_set_in_the_middle_of_a_chain_of_redirects_goes_along_from_there():
    hops = ("login", "welcome", "home")
    site = Web(
        {
            HOME + "login": answer(302, [("Location", "/welcome"), ("Set-Cookie", "key=1; Path=/")]),
            HOME + "welcome": answer(302, [("Location", "/home"), ("Set-Cookie", "seen=1; Path=/")]),
        }
    )
    layer, redirect = Cookies(now=Time()), Redirect(limit=5)
    redirect.admit = lambda request: None
    await redirect(Request(HOME + "login"), chain([layer], site))
    assert site.urls == [HOME + hop for hop in hops]
    assert [request.headers.get("Cookie") for request in site.asked] == [None, "key=1", "key=1; seen=1"]


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_each_session_has_its_own_cookies():
    layer = await taught("id=anna", session="anna")
    await teach(layer, "id=bert", session="bert")
    assert [await sent(layer, session=name) for name in ("anna", "bert", "")] == ["id=anna", "id=bert", None]


async def test_a_session_that_is_forgotten_has_no_cookies_and_the_others_keep_theirs():
    layer = await taught("id=anna", session="anna")
    await teach(layer, "id=bert", session="bert")
    layer.forget("anna")
    assert [await sent(layer, session=name) for name in ("anna", "bert")] == [None, "id=bert"]


async def test_a_forgotten_session_is_forgotten_on_disk_too():
    layer = await taught("id=anna", session="anna")
    layer.changes()
    layer.forget("anna")
    assert layer.changes() == {"www.shop.example/anna": None}


async def test_what_answers_after_the_session_was_forgotten_is_not_learnt():
    layer = Cookies(now=Time())

    async def slow_site(request):
        layer.forget("anna")
        return await Web({HOME: answer(headers=[("Set-Cookie", "id=old")])})(request)

    await layer(Request(HOME, session="anna"), slow_site)
    assert await sent(layer, session="anna") is None
    await teach(layer, "id=new", session="anna")
    assert await sent(layer, session="anna") == "id=new"


async def test_a_session_without_cookies_keeps_no_jar():
    layer = Cookies()
    await layer(Request(HOME, session="anna"), Web())
    assert layer._jars == {}


# ── domain ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "url", "goes"),
    [
        ("a=1", "http://www.shop.example:8080/", True),  # cookies know no ports
        ("a=1", "http://shop.example/", False),
        ("a=1", "http://x.www.shop.example/", False),  # host-only
        ("a=1; Domain=shop.example", "http://shop.example/", True),
        ("a=1; Domain=.SHOP.example", "http://api.shop.example/", True),
        ("a=1; Domain=shop.example", "http://myshop.example/", False),
        ("a=1; Domain=", "http://www.shop.example/", True),
    ],
)
async def test_a_cookie_goes_to_its_host_or_to_its_domain(line, url, goes):
    assert bool(await sent(await taught(line), url)) is goes


@pytest.mark.parametrize(
    ("url", "suffix"),
    [
        ("http://www.shop.com/", "com"),
        ("http://www.shop.co.uk/", "co.uk"),
        ("http://www.shop.co.uk/", ".CO.UK"),
        ("http://me.github.io/", "github.io"),  # of the list's private part
        ("http://shop.xn--55qx5d.cn/", "xn--55qx5d.cn"),
        ("http://shop.ck/", "ck"),
        ("http://www.shop.unheard-of/", "unheard-of"),
    ],
)
async def test_a_public_suffix_is_refused(url, suffix):
    layer = await taught(f"a=1; Domain={suffix}", url=url)
    assert layer.changes() is None


async def test_below_a_public_suffix_a_domain_is_as_any_other():
    layer = await taught("a=1; Domain=me.github.io", url="http://www.me.github.io/")
    places = ["http://me.github.io/", "http://you.github.io/"]
    assert [await sent(layer, url) for url in places] == ["a=1", None]


async def test_a_host_that_is_a_public_suffix_has_cookies_of_its_own():
    layer = await taught("a=1; Domain=github.io", url="http://github.io/")
    places = ["http://github.io/", "http://me.github.io/"]
    assert [await sent(layer, url) for url in places] == ["a=1", None]


@pytest.mark.parametrize("domain", ["", ".", "." + "x" * set_cookie.LONGEST_ATTRIBUTE])
async def test_a_domain_that_says_nothing_means_this_host_alone(domain):
    layer = await taught(f"a=1; Domain={domain}")
    places = [HOME, "http://x.www.shop.example/", "http://shop.example/"]
    assert [await sent(layer, url) for url in places] == ["a=1", None, None]


@pytest.mark.parametrize("domain", ["bücher.example", "..shop.example", "shop.example.", "*.shop.example"])
async def test_a_domain_that_is_no_name_is_refused(domain):
    layer = await taught(f"a=1; Domain={domain}", url="http://www.shop.example/")
    assert layer.changes() is None


@pytest.mark.parametrize("domain", ["other.example", "x.www.shop.example", "example", "hop.example"])
async def test_a_domain_that_does_not_cover_the_host_is_refused(domain):
    layer = await taught(f"a=1; Domain={domain}")
    assert layer.changes() is None


async def test_a_host_of_one_word_may_name_itself():
    layer = await taught("a=1; Domain=localhost", url="http://localhost/")
    assert await sent(layer, "http://localhost/") == "a=1"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://[::1]/"])
async def test_an_ip_address_has_cookies_too(url):
    assert await sent(await taught("a=1", url=url), url) == "a=1"


async def test_nothing_above_an_ip_address_is_a_domain():
    layer = await taught("a=1; Domain=0.0.1", url="http://127.0.0.1/")
    assert layer.changes() is None


# ── path ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "path", "goes"),
    [
        ("a=1; Path=/shop", "shop", True),
        ("a=1; Path=/shop", "shop/x", True),
        ("a=1; Path=/shop", "shop?x=1", True),
        ("a=1; Path=/shop", "shopping", False),
        ("a=1; Path=/shop/", "shop/x", True),
        ("a=1; Path=/shop/", "shop", False),
        ("a=1", "dir/other", True),  # default path: that of the page that set it
        ("a=1", "", False),
        ("a=1; Path=relative", "dir/other", True),
    ],
)
async def test_a_cookie_goes_to_its_path_and_below(line, path, goes):
    layer = await taught(line, url=HOME + "dir/page")
    assert bool(await sent(layer, HOME + path)) is goes


# ── secure ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_secure_cookie_goes_over_tls_only():
    layer = await taught("a=1; Secure", url=SECURE)
    assert [await sent(layer, url) for url in (SECURE, HOME)] == ["a=1", None]


async def test_a_secure_cookie_is_not_taken_without_tls():
    assert (await taught("a=1; Secure")).changes() is None


@pytest.mark.parametrize("rival", ["a=2", "a=2; Domain=www.shop.example", "a=2; Path=/deep/"])
async def test_a_secure_cookie_is_neither_overwritten_nor_shadowed_without_tls(rival):
    layer = await taught("a=1; Secure; Domain=shop.example", url=SECURE)
    await teach(layer, rival, url=HOME)
    assert await sent(layer, SECURE + "deep/") == "a=1"


async def test_beside_a_secure_cookie_others_may_be_set_without_tls():
    layer = await taught("a=1; Secure; Path=/shop", url=SECURE)
    await teach(layer, "a=2; Path=/", "b=3; Path=/shop", url=HOME)
    assert await sent(layer, SECURE + "shop") == "a=1; b=3; a=2"


@pytest.mark.parametrize(
    ("line", "url", "taken"),
    [
        ("__Secure-a=1; Secure", SECURE, True),
        ("__Secure-a=1", SECURE, False),
        ("__Secure-a=1; Secure", HOME, False),
        ("__secure-a=1", SECURE, False),
        ("__Host-a=1; Secure; Path=/", SECURE, True),
        ("__Host-a=1; Secure", SECURE, False),  # the path is to be said
        ("__Host-a=1; Secure; Path=/deep", SECURE, False),
        ("__Host-a=1; Path=/", SECURE, False),
        ("__Host-a=1; Secure; Path=/; Domain=www.shop.example", SECURE, False),
        ("__HOST-a=1; Secure; Path=/; Domain=", SECURE, True),
        ("=__Secure-a; Secure", SECURE, False),  # would be sent as if it were a name
        ("__Host-a; Secure; Path=/", SECURE, False),
        ("__Other-a=1", HOME, True),
    ],
)
async def test_a_cookie_is_what_the_prefix_of_its_name_says(line, url, taken):
    assert ((await taught(line, url=url)).changes() is not None) is taken


# ── expiry ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("attributes", "seconds"),
    [
        ("Max-Age=60", 60),
        ("max-age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 60),  # Max-Age wins
        ("Expires=Tue, 14 Nov 2023 22:14:20 GMT", 60),
        ("expires=Tue, 14-Nov-2023 22:14:20 GMT", 60),
        ("expires=Tuesday, 14-Nov-23 22:14:20 GMT", 60),
    ],
)
async def test_a_cookie_ends_when_it_said(attributes, seconds):
    now = Time(1_700_000_000.0)
    layer = await taught(f"a=1; {attributes}", now=now)
    now.at += seconds - 1
    assert await sent(layer) == "a=1"
    now.at += 1
    assert await sent(layer) is None


@pytest.mark.parametrize(
    "attributes",
    ["Max-Age=999999999999", "Max-Age=" + "9" * 1000, "Expires=Fri, 31 Dec 9999 23:59:59 GMT"],
)
async def test_no_cookie_lives_longer_than_400_days(attributes):
    now = Time()
    layer = await taught(f"a=1; {attributes}", now=now)
    now.at += 400 * 86_400 - 1
    assert await sent(layer) == "a=1"
    now.at += 1
    assert await sent(layer) is None


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "Max-Age=soon",
        "Max-Age=-",
        "Max-Age=+60",
        "Max-Age=1e3",
        "Expires=0",
        "Expires=Tue, 99 Nov 2023 22:14:20 GMT",
    ],
)
async def test_a_cookie_without_a_readable_end_lasts(attributes):
    now = Time()
    layer = await taught(f"a=1; {attributes}", now=now)
    now.at += 10**9
    assert await sent(layer) == "a=1"


@pytest.mark.parametrize("attributes", ["Max-Age=0", "Max-Age=-1", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_cookie_that_is_over_deletes_what_was_there(attributes):
    layer = await taught("a=1", "b=2")
    await teach(layer, f"a=; {attributes}")
    assert await sent(layer) == "b=2"


# ── what is not taken ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "line", ["", "; Path=/", "=", "a=\x01", "a=\udce9", "a=" + "x" * set_cookie.LONGEST, "a=" + "é" * 2048]
)
async def test_an_empty_unsendable_or_huge_cookie_is_refused(line):
    assert (await taught(line)).changes() is None


@settings(database=None, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab=;, \t\"'/.-:0123456789") | st.characters(), max_size=60))
def test_no_set_cookie_line_breaks_the_jar(text):
    for line in (
        text,
        f"a={text}",
        f"a=1; Expires={text}; Max-Age={text}",
        f"a=1; Domain={text}; Path={text}",
    ):
        jar.Jar().learn(line, HOME, 1_700_000_000.0)


async def test_one_domain_has_a_limited_number_of_cookies():
    layer = await taught(*(f"c{n}=1" for n in range(jar.PER_DOMAIN + 5)))
    names = (await sent(layer) or "").split("; ")
    assert (len(names), names[0]) == (jar.PER_DOMAIN, "c5=1")


async def test_of_too_many_cookies_the_secure_ones_stay_longest():
    layer = await taught("key=1; Secure", *(f"c{n}=1" for n in range(jar.PER_DOMAIN)), url=SECURE)
    names = (await sent(layer, SECURE) or "").split("; ")
    assert (len(names), names[:2]) == (jar.PER_DOMAIN, ["key=1", "c1=1"])


async def test_the_domain_unused_longest_is_forgotten_first(monkeypatch):
    monkeypatch.setattr(jar, "DOMAINS", 2)
    layer = await taught("a=1", url="http://login.example/")
    await teach(layer, "a=1", url="http://b.example/")
    await sent(layer, "http://login.example/")
    await teach(layer, "a=1", url="http://c.example/")
    assert (layer.changes() or {})["b.example/"] is None
    assert await sent(layer, "http://login.example/") == "a=1"


# ── memory ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_resumed_crawl_has_its_cookies_with_all_that_decides_about_them():
    now = Time()
    first = await taught(
        "a=1; Domain=shop.example; Path=/x; Secure; Max-Age=60", "b=2", url=SECURE, session="anna/1", now=now
    )
    second = Cookies(now=now)
    second.restore(first.changes())
    places = [SECURE + "x", "https://shop.example/x", "http://www.shop.example/x", "https://shop.example/"]
    assert [await sent(second, url, session="anna/1") for url in places] == ["a=1; b=2", "a=1", "b=2", None]
    now.at += 60
    assert await sent(second, SECURE + "x", session="anna/1") == "b=2"


async def test_changes_name_only_what_changed_since_they_were_last_told():
    layer = await taught("a=1")
    assert set(layer.changes() or {}) == {"www.shop.example/"}
    assert layer.changes() is None
    await teach(layer, "a=1")
    assert layer.changes() is None


async def test_a_deleted_cookie_is_forgotten_on_disk_too():
    layer = await taught("a=1")
    layer.changes()
    await teach(layer, "a=; Max-Age=0")
    assert layer.changes() == {"www.shop.example/": None}


async def test_what_ended_between_two_runs_is_not_restored():
    now = Time()
    first = await taught("a=1; Max-Age=60", now=now)
    now.at += 61
    second = Cookies(now=now)
    second.restore(first.changes())
    assert await sent(second) is None


def test_every_settings_have_cookies():
    assert isinstance(Cookies.from_settings(Settings()), Cookies)
