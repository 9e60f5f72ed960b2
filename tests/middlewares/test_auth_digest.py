"""The answers of RFC 7616's own examples, and what other implementations answer."""

import re

import httpx
import pytest

from scraper.middlewares.digest import Challenge, challenge

MUFASA = Challenge(
    realm="http-auth@example.org",
    nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    qop="auth",
)


def said(header: str) -> dict[str, str]:
    """The fields of an Authorization header; quotes are taken off."""
    return {name: value.strip('"') for name, value in re.findall(r'([\w*]+)=("[^"]*"|[^\s,]+)', header)}


def answered(
    asked: Challenge, user: str, password: str, uri: str, method: str = "GET", body: bytes = b""
) -> dict:
    return said(asked.answer(user, password, method, uri, body))


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_with_several_algorithms(algorithm, response):
    """RFC 7616 §3.9.1."""
    asked = Challenge(MUFASA.realm, MUFASA.nonce, algorithm, MUFASA.qop, MUFASA.opaque, cnonce=MUFASA.cnonce)
    assert answered(asked, "Mufasa", "Circle of Life", "/dir/index.html") == {
        "username": "Mufasa",
        "realm": MUFASA.realm,
        "nonce": MUFASA.nonce,
        "uri": "/dir/index.html",
        "response": response,
        "algorithm": algorithm,
        "opaque": MUFASA.opaque,
        "qop": "auth",
        "nc": "00000001",
        "cnonce": MUFASA.cnonce,
    }


def test_the_example_with_a_hashed_name_in_unicode():
    """RFC 7616 §3.9.2, with the values of its erratum 4897."""
    asked = Challenge(
        realm="api@example.org",
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        algorithm="SHA-512-256",
        qop="auth",
        opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
        userhash=True,
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    fields = answered(asked, "J\u00e4s\u00f8n Doe", "Secret, or not?", "/doe.json")
    assert fields["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert fields["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    assert fields["userhash"] == "true"


def test_the_example_without_quality_of_protection():
    """RFC 2069 §2.4, with its erratum."""
    asked = Challenge("testrealm@host.com", "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    fields = answered(asked, "Mufasa", "CircleOfLife", "/dir/index.html")
    assert fields["response"] == "1949323746fe6a43ef61f9606e7febea"
    assert not {"qop", "nc", "cnonce"} & fields.keys()


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-SESS"])
def test_another_implementation_answers_the_same(algorithm):
    header = f'Digest realm="r", nonce="n", algorithm={algorithm}, qop="auth,auth-int", opaque="o"'
    flow = httpx.DigestAuth("anna", "secret").sync_auth_flow(httpx.Request("POST", "http://a/b?c=d"))
    refused = httpx.Response(401, headers={"WWW-Authenticate": header}, request=next(flow))
    theirs = said(flow.send(refused).headers["Authorization"])
    asked = challenge([header])
    asked.cnonce = theirs["cnonce"]
    ours = answered(asked, "anna", "secret", "/b?c=d", "POST")
    assert {**ours, "algorithm": ""} == {**theirs, "algorithm": ""}


def test_where_a_server_wants_it_the_body_is_proven_too():
    asked = Challenge("r", "n", qop="auth-int", cnonce="c")
    one, other = (answered(asked, "anna", "secret", "/", "POST", body) for body in (b"one", b"other"))
    assert one["qop"] == "auth-int"
    assert one["response"] != other["response"]


def test_a_nonce_that_is_used_again_is_counted():
    asked = Challenge("r", "n", qop="auth")
    counts = [answered(asked, "anna", "secret", "/")["nc"] for _ in range(11)]
    assert (counts[0], counts[-1]) == ("00000001", "0000000b")


def test_names_and_realms_are_quoted():
    header = Challenge('the "realm"', "n").answer('an"na\\', "secret", "GET", "/")
    assert 'username="an\\"na\\\\"' in header
    assert 'realm="the \\"realm\\""' in header


def test_a_name_beyond_ascii_is_written_as_an_extended_one():
    fields = said(Challenge("r", "n").answer("J\u00e4son", "secret", "GET", "/"))
    assert fields["username*"] == "UTF-8''J%C3%A4son"
    assert "username" not in fields


# ── challenges ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "lines",
    [
        ['Digest realm="a, b", nonce="n"'],
        ['digest Realm = "a, b" ,NONCE="n" ,'],
        ['Basic realm="x"', 'Digest realm="a, b", nonce="n"'],
        ['Basic realm="x", Digest realm="a, b", nonce="n", Bearer'],
        ['Negotiate YII=, Digest realm="a, b", nonce="n"'],
        ['Digest realm="x", nonce="x", algorithm=SHA-1024, Digest realm="a, b", nonce="n"'],
        ['Digest realm="x"', 'Digest realm="a, b", nonce=n'],
        ['Digest realm="x", nonce="x", qop="auth-conf"', 'Digest realm="a, b", nonce=n'],
    ],
)
def test_the_first_digest_that_can_be_answered_is_found(lines):
    found = challenge(lines)
    assert (found.realm, found.nonce, found.algorithm, found.qop) == ("a, b", "n", "MD5", "")


def test_all_that_a_challenge_says_is_taken():
    found = challenge(
        [
            'Digest realm="", nonce="a\\"b", algorithm=sha-256-sess, qop="auth-int, auth", opaque="", userhash=TRUE'
        ]
    )
    assert (found.realm, found.nonce, found.algorithm) == ("", 'a"b', "sha-256-sess")
    assert (found.qop, found.opaque, found.userhash) == ("auth", "", True)


@pytest.mark.parametrize(
    "lines", [[], [""], ["Basic realm=x"], ["Digest"], ["Bearer nonce=n"], ['=,=,Digest="']]
)
def test_without_a_digest_there_is_nothing_to_answer(lines):
    assert challenge(lines) is None
