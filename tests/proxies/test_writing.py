"""How proxies and patterns are written: in `[proxies]`, in a request, in the environment."""

import pytest

from scraper.clients.proxy_urls import proxy_of
from scraper.errors import InvalidRequest, SettingsError
from scraper.layers import Layer, flat, load
from scraper.middlewares.proxies.environment import environment_rules
from scraper.middlewares.proxies.routes import Routes
from scraper.proxy_addresses import InvalidAddress, address, secrets, shown
from scraper.proxy_patterns import InvalidPattern, Pattern
from scraper.request import Request
from scraper.settings import Settings
from scraper.urls import normalize

# ── a proxy's URL ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://p.example:8080", "http://p.example:8080"),
        ("HTTP://p.example:8080/", "http://p.example:8080"),
        ("http://p.example", "http://p.example:80"),
        ("https://p.example", "https://p.example:443"),
        ("socks4a://p.example:1080", "socks4a://p.example:1080"),
        ("socks5h://me:p%40ss@p.example:1080", "socks5h://me:p%40ss@p.example:1080"),
        ("http://me:pa@ss@p.example:1", "http://me:pa@ss@p.example:1"),
        ("http://key@p.example:1", "http://key:@p.example:1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[::1]", "http://[::1]:80"),
    ],
)
def test_a_proxys_url_has_one_spelling(url, meant):
    assert address(url) == meant
    assert proxy_of(Request("http://a.example/", proxy=url)) == meant


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("geheim", "begins with one of http://, https://, socks4://, socks4a://, socks5://, socks5h://"),
        ("me:geheim@p.example:80", "begins with one of"),
        ("socks9://me:geheim@p.example:1", "begins with one of"),
        ("http://", "no host"),
        ("http://:80", "no host"),
        ("socks5://me:geheim@p.example", "a socks5 proxy's URL says its port"),
        ("http://me:geheim@p.example:0", "no number from 1 to 65535"),
        ("http://me:geheim@p.example:99999", "no number from 1 to 65535"),
        ("http://me:geheim@p.example:x", "no number from 1 to 65535"),
        ("http://me:geh/eim@p.example:80", "write / as %2F"),
        ("http://me:geheim@p.example:80/path", "ends with its port"),
        ("http://me:geheim@[::1", "host of the proxy's URL is not valid"),
        ("http://me:geheim@p.example:80\n", "blanks or control characters"),
    ],
)
def test_what_is_no_proxys_url_is_said_in_words_that_do_not_repeat_it(url, said):
    with pytest.raises(InvalidAddress, match=said) as raised:
        address(url)
    assert "geh" not in str(raised.value)
    with pytest.raises(InvalidRequest, match=said) as raised:
        proxy_of(Request("http://a.example/", proxy=url))
    assert url == "geheim" or "geh" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "may_be_shown"),
    [
        ("http://me:geheim@p.example:1", "http://p.example:1"),
        ("http://key@p.example:1", "http://p.example:1"),
        ("http://me:ge@heim@p.example:1", "http://p.example:1"),
        ("me:geheim@p.example:1", "***@p.example:1"),
        ("http://p.example:1", "http://p.example:1"),
        ("de", "de"),
    ],
)
def test_neither_user_nor_password_is_shown(url, may_be_shown):
    assert shown(url) == may_be_shown


def test_a_password_has_several_spellings():
    assert secrets("http://me:p%40ss@p.example:1") == ("bWU6cEBzcw==", "p%40ss", "p@ss")
    assert "key" in secrets("http://key@p.example:1")
    assert secrets("http://p.example:1") == ()
    assert secrets("socks4://user@p.example:1") == ()


# ── patterns ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("pattern", "fits", "others"),
    [
        ("all://", ["http://a.example/", "https://[::1]:8/"], []),
        ("https://", ["https://a.example/"], ["http://a.example/"]),
        ("all://a.example", ["http://a.example/x", "https://a.example:8/"], ["http://www.a.example/"]),
        ("all://A.Example/", ["http://a.example/"], []),
        (
            "all://*.a.example",
            ["http://www.a.example/", "http://x.y.a.example/"],
            ["http://a.example/", "http://ba.example/"],
        ),
        (
            "http://a.example:8080",
            ["http://a.example:8080/"],
            ["http://a.example/", "https://a.example:8080/"],
        ),
        ("http://a.example:80", ["http://a.example/"], ["https://a.example/"]),
        ("https://:8443", ["https://a.example:8443/"], ["https://a.example/"]),
        ("all://bücher.example", ["http://bücher.example/"], []),
        ("all://10.0.0.0/8", ["http://10.1.2.3/"], ["http://11.1.2.3/", "http://ten.example/"]),
        ("all://127.0.0.1", ["http://127.1/"], ["http://127.0.0.2/"]),
        ("all://[::1]:8080", ["http://[0:0::1]:8080/"], ["http://[::1]/"]),
        ("all://[fd00::]/8", ["http://[fd12::1]/"], ["http://[::1]/", "http://10.0.0.1/"]),
    ],
)
def test_what_a_pattern_is_for(pattern, fits, others):
    routes = Routes({pattern: "de"})
    assert [url for url in (*fits, *others) if routes.target(normalize(url))] == fits


def test_the_more_a_pattern_says_the_earlier_it_counts():
    ranked = [
        "http://a.example:80",
        "all://a.example:80",
        "http://a.example",
        "all://a.example",
        "all://10.0.0.0/16",
        "all://10.0.0.0/8",
        "all://*.www.a.example",
        "https://*.a.example",
        "all://*.a.example",
        "https://:8443",
        "all://:8443",
        "https://",
        "all://",
    ]
    mixed = sorted(ranked)
    mixed.sort(key=lambda text: Pattern.parse(text).rank)
    assert mixed == ranked


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.example",
        "all:",
        "ftp://a.example",
        "all://a/b",
        "all://*",
        "all://a.*",
        "all://me@a.example",
        "all://a:b",
    ],
)
def test_what_is_no_pattern_is_said_with_examples(text):
    with pytest.raises(InvalidPattern, match=r"scheme://host:port, such as 'https://'"):
        Pattern.parse(text)


@pytest.mark.parametrize("text", ["all://10.0.0.0/99", "all://shop/8", "all://a%00", "all://[::x]"])
def test_what_is_no_host_and_no_network_is_said(text):
    with pytest.raises(InvalidPattern, match=r"is no (host|network such as 10\.0\.0\.0/8)$"):
        Pattern.parse(text)


# ── settings ─────────────────────────────────────────────────────────────────────────────────────────────


def refusal(told: dict) -> str:
    with pytest.raises(SettingsError) as raised:
        load([Layer("settings.toml", {"proxies": told})])
    return str(raised.value)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"rotat": "x"}, "there is no setting 'proxies.rotat'. Did you mean 'proxies.rotate'?"),
        ({"pool": {"none": "http://a.example:1"}}, "a proxy can't be named 'none'"),
        ({"pool": {"pool": "http://a.example:1"}}, "a proxy can't be named 'pool'"),
        ({"pool": ["me:geheim@a.example:1"]}, "a proxy's URL begins with one of"),
        (
            {"pool": {"http://me:geheim@a.example:1": "http://a.example:1"}},
            "a proxy can't be named 'http://a.example:1'",
        ),
        ({"https://": "fr"}, '"https://" takes a name of the pool (empty), a URL, "none" or "pool"'),
        (
            {"pool": {"de": "http://a.example:1"}, "https://": "me:geheim@b.example:1"},
            "a name of the pool (de), a URL",
        ),
        ({"https://": "pool"}, "a name of the pool (empty)"),
        ({"https://": "socks5://me:geheim@a.example"}, '"https://": a socks5 proxy\'s URL says its port'),
        ({"https://a/b": "none"}, "write a pattern as scheme://host:port"),
        ({"choose": "choose"}, "write it as module:function"),
    ],
)
def test_what_can_not_be_right_in_the_settings_is_said_with_its_key(told, said):
    words = refusal(told)
    assert words.startswith("settings.toml: ")
    assert said in words
    assert "geheim" not in words


def test_settings_show_which_proxies_there_are_but_not_their_passwords():
    told = {
        "pool": {"de": "http://me:geheim@de.example:1"},
        "https://": "http://me:geheim@own.example:1",
        "http://": "de",
    }
    values = dict(flat(Settings(proxies=told)))
    assert values["proxies.pool.de"] == "http://de.example:1"
    assert values["proxies.https://"] == "http://own.example:1"
    assert values["proxies.http://"] == "de"


def test_the_proxies_middleware_takes_no_options_for_those_are_stored():
    from scraper.parts import MIDDLEWARES, build

    use = {"use": "proxies", "pool": ["http://me:geheim@a.example:1"]}
    with pytest.raises(SettingsError, match="proxies does not take these options") as raised:
        build(use, Settings(), MIDDLEWARES, "middlewares")
    assert "geheim" not in str(raised.value)


# ── the environment ──────────────────────────────────────────────────────────────────────────────────────


def way(variables: dict[str, str], url: str) -> str | None:
    return Routes(environment_rules(variables)).target(normalize(url))


def test_the_environments_proxies_are_rules_by_scheme():
    variables = {"http_proxy": "http://h.example:1", "HTTPS_PROXY": "socks5://me:pw@s.example:2"}
    assert way(variables, "http://a.example/") == "http://h.example:1"
    assert way(variables, "https://a.example/") == "socks5://me:pw@s.example:2"
    assert way({"ALL_PROXY": "http://p.example:3"} | variables, "http://a.example/") == "http://h.example:1"
    assert way({"ALL_PROXY": "http://p.example:3"}, "https://a.example/") == "http://p.example:3"
    assert way({}, "http://a.example/") is None


def test_a_variable_in_lower_case_goes_before_the_other_and_empty_takes_it_back():
    assert way(
        {"http_proxy": "http://low.example", "HTTP_PROXY": "http://up.example"}, "http://a.example/"
    ) == ("http://low.example:80")
    assert way({"http_proxy": "", "HTTP_PROXY": "http://up.example"}, "http://a.example/") is None


def test_a_proxy_of_the_environment_may_lack_its_scheme():
    assert way({"http_proxy": "p.example:8080"}, "http://a.example/") == "http://p.example:8080"


def test_in_a_cgi_program_a_visitor_does_not_choose_our_proxy():
    assert way({"HTTP_PROXY": "http://evil.example", "REQUEST_METHOD": "GET"}, "http://a.example/") is None
    assert way({"http_proxy": "http://own.example", "REQUEST_METHOD": "GET"}, "http://a.example/") is not None


@pytest.mark.parametrize(
    ("no_proxy", "direct", "others"),
    [
        ("*", ["http://a.example/"], []),
        ("a.example", ["http://a.example/", "http://www.a.example/"], ["http://ba.example/"]),
        (".a.example, *.b.example", ["http://a.example/", "http://x.b.example/"], ["http://c.example/"]),
        ("a.example:8080 localhost", ["http://a.example:8080/", "http://localhost/"], ["http://a.example/"]),
        ("127.0.0.1,10.0.0.0/8", ["http://127.0.0.1:99/", "http://10.9.9.9/"], ["http://127.0.0.2/"]),
        ("::1,fd00::/8,[::2]:80", ["http://[::1]/", "http://[fd00::1]/", "http://[::2]/"], ["http://[::3]/"]),
        ("", [], ["http://a.example/"]),
    ],
)
def test_what_no_proxy_names_goes_directly(no_proxy, direct, others):
    variables = {"all_proxy": "http://p.example:1", "NO_PROXY": no_proxy}
    assert [url for url in (*direct, *others) if way(variables, url) == "none"] == direct


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"HTTPS_PROXY": "ftp://me:geheim@p.example"},
            "The environment's HTTPS_PROXY can't be used: a proxy's URL",
        ),
        ({"no_proxy": "a.example,<local>/x"}, "The environment's no_proxy has '<local>/x': write a pattern"),
    ],
)
def test_an_environment_that_can_not_be_used_is_said_by_the_variables_name(variables, said):
    with pytest.raises(SettingsError) as raised:
        environment_rules(variables)
    assert str(raised.value).startswith(said)
    assert "geheim" not in str(raised.value)
