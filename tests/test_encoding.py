"""The encoding of a page is the one that a browser would take."""

import base64
import json
from pathlib import Path

import pytest
import webencodings
from hypothesis import given
from hypothesis import strategies as st

from scraper.encoding import decode, prescan, sniff

CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "encoding_sniffing.json"
CASES = json.loads(CORPUS.read_text()) if CORPUS.exists() else []

HTML = "text/html"
LATER = b"<!--" + b"x" * 1024 + b"-->"


@pytest.mark.skipif(not CASES, reason=f"the cases of html5lib are not there: {CORPUS}")
def test_the_corpus_is_whole():
    assert len(CASES) == 42


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_sniffs_what_html5lib_expects(case):
    assert sniff(base64.b64decode(case["data_b64"]), None) == case["encoding"]


@pytest.mark.parametrize(
    ("body", "content_type", "encoding"),
    [
        (b"\xef\xbb\xbfa", "text/html; charset=koi8-r", "utf-8"),
        (b"\xff\xfea\0", "text/html; charset=koi8-r", "utf-16le"),
        (b"\xfe\xff\0a", None, "utf-16be"),
        (b"<meta charset=koi8-r>", "text/html; charset=iso-8859-2", "iso-8859-2"),
        (b'<?xml version="1.0" encoding="koi8-r"?><meta charset=iso-8859-2>', HTML, "iso-8859-2"),
        (b'<?xml version="1.0" encoding="koi8-r"?><a/>', HTML, "koi8-r"),
        ("größe".encode(), HTML, "utf-8"),
        (b"gr\xf6\xdfe", HTML, "windows-1252"),
    ],
)
def test_mark_goes_before_header_before_meta_before_xml_before_a_guess(body, content_type, encoding):
    assert sniff(body, content_type) == encoding


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("text/html; charset=UTF-8", "utf-8"),
        ("text/html;charset=utf8", "utf-8"),
        ('text/html; charset="Shift_JIS"', "shift_jis"),
        ("text/html; charset='gb2312'", "gbk"),
        ("text/html; CHARSET=latin1; x=y", "windows-1252"),
        ("text/html; boundary=x; charset=big5", "big5"),
    ],
)
def test_header_names_the_encoding_by_any_label(content_type, encoding):
    assert sniff("größe".encode(), content_type) == encoding


@pytest.mark.parametrize("content_type", [None, "", HTML, "text/html; charset=", "text/html; charset=bogus"])
def test_a_header_that_names_no_encoding_is_passed_over(content_type):
    assert sniff(b"<meta charset=koi8-r>", content_type) == "koi8-r"


@pytest.mark.parametrize("content_type", ["application/json", "text/json", "application/ld+json; x=y"])
def test_json_is_utf_8_unless_the_header_says_otherwise(content_type):
    assert sniff(b'"<meta charset=koi8-r> \xf6"', content_type) == "utf-8"
    assert sniff(b'"\xf6"', f"{content_type}; charset=latin1") == "windows-1252"


@pytest.mark.parametrize(
    "content_type", ["application/xml", "text/xml", "application/rss+xml", "application/xhtml+xml"]
)
def test_xml_is_what_it_declares_else_utf_8(content_type):
    assert sniff(b"<?xml version='1.0' encoding = 'ISO-8859-2' ?><a/>", content_type) == "iso-8859-2"
    assert sniff(b'<?xml version="1.0"?><a><meta charset="koi8-r"/></a>', content_type) == "utf-8"
    assert sniff("<?xml version='1.0'?>".encode("utf-16-be"), content_type) == "utf-16be"


def test_ascii_that_declares_nothing_is_called_windows_1252_as_in_a_browser():
    assert sniff(b"plain", HTML) == "windows-1252"
    assert sniff(b"", None) == "windows-1252"


def test_a_body_cut_off_within_a_character_is_still_utf_8():
    assert sniff("größe €".encode()[:-1], HTML) == "utf-8"


def test_a_declaration_beyond_the_prescan_counts_as_it_does_in_a_parser():
    body = LATER + b"<meta charset=koi8-r>"
    assert prescan(body) is None
    assert sniff(body, HTML) == "koi8-r"


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"<meta/charset=koi8-r>", "koi8-r"),
        (b"<META CHARSET = 'KOI8-R' >", "koi8-r"),
        (b"<meta a b=c charset=koi8-r/>", None),  # unquoted, the slash is part of the value
        (b"<meta a b=c charset=koi8-r />", "koi8-r"),
        (b"<meta charset=koi8-r charset=big5>", "koi8-r"),
        (b"<meta charset=bogus><meta charset=big5>", "big5"),
        (b"<meta charset=bogus http-equiv=content-type content='charset=koi8-r'>", None),
        (b"<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>", "koi8-r"),
        (b"<meta content='a charset b; charset = \"koi8-r\"' http-equiv=content-type>", "koi8-r"),
        (b"<meta content='charset=\"koi8-r' http-equiv=content-type>", None),
        (b"<meta content='text/html; charset=koi8-r'>", None),
        (b"<meta charset=koi8-r", None),
        (b"<meta charset=koi8-r ", None),
        (b"<meta charset='koi8-r>", None),
        (b"<metal charset=koi8-r>", None),
        (b"</meta charset=koi8-r>", None),
        (b"<meta charset=utf-16>", "utf-8"),
        (b"<meta charset=x-user-defined>", "windows-1252"),
        (b"<!-- <meta charset=big5> --><meta charset=koi8-r>", "koi8-r"),
        (b"<!--><meta charset=koi8-r>", "koi8-r"),
        (b"<!---><meta charset=koi8-r>", "koi8-r"),
        (b"<!-- <meta charset=koi8-r>", None),
        (b"<!doctype '<meta charset=big5>'><meta charset=koi8-r>", "koi8-r"),
        (b"<? <meta charset=koi8-r>", None),
        (b"</ <meta charset=big5><meta charset=koi8-r>", "koi8-r"),
        (b"<p title='<meta charset=big5>'><meta charset=koi8-r>", "koi8-r"),
        (b"<p title=<meta charset=big5><meta charset=koi8-r>", "koi8-r"),
        (b"< p <meta charset=koi8-r>", "koi8-r"),
        (b'<?xml encoding="koi8-r"?>', "koi8-r"),
        (b'<?xml encoding="utf-16"?>', "utf-8"),
        (b'<?xml encoding=" koi8-r"?>', None),
        (b'<?xml encoding="koi8-r"?', None),
        (b' <?xml encoding="koi8-r"?>', None),
        (b"<\0?\0x\0", "utf-16le"),
        (b"\0<\0?\0x", "utf-16be"),
        (b"", None),
    ],
)
def test_prescan_reads_tags_as_the_standard_does(body, encoding):
    assert prescan(body) == encoding


@pytest.mark.parametrize(
    "part", [b"<meta ", b'<a b="', b"<!--", b"</", b"<a a ", b"<?xml encoding='a'", b"<a b='x'"]
)
def test_prescan_of_a_hostile_page_takes_time_in_proportion_to_its_length(part):
    assert sniff(part * 100_000 + b"charset\xff", HTML) == "windows-1252"
    assert sniff(part * 100_000, "text/xml") == "utf-8"


@pytest.mark.parametrize(
    ("body", "encoding", "text"),
    [
        ("größe".encode(), "utf-8", "größe"),
        (b"\xef\xbb\xbfa", "utf-8", "a"),
        (b"\xef\xbb\xbf\xc3\xb6", "windows-1252", "ö"),
        (b"\xff\xfea\0", "utf-16le", "a"),
        (b"a\xffb\xe2\x82", "utf-8", "a\ufffdb\ufffd"),
        (b"\x80\x81\x8d\x9d\xf6", "windows-1252", "€\x81\x8d\x9dö"),
        (b"\x80\xf6", "iso-8859-1", "€ö"),
        (b"\x88\xaa\xc1", "windows-1253", "\x88\ufffdΑ"),
        (b"\xca\xe0", "windows-1255", "\u05ba\u05d0"),
        (b"\xae\xbe\xd5", "koi8-u", "ўЎу"),
        (b"\xc4\xe3\x81\x30\x81\x30", "gbk", "你\x80"),
        (b"\xa4\xa4", "big5", "中"),
        (b"a\xf6", "x-user-defined", "a\uf7f6"),
        (b"whatever", "iso-2022-kr", "\ufffd"),
        (b"", "replacement", ""),
    ],
)
def test_decodes_by_the_tables_of_the_encoding_standard(body, encoding, text):
    assert decode(body, encoding) == text


def test_an_unknown_label_is_an_error_in_words():
    with pytest.raises(LookupError, match=r"knows no encoding 'utf-9'"):
        decode(b"", "utf-9")


@given(
    st.lists(st.sampled_from([b"<", b">", b"<meta ", b"charset=", b"koi8-r", b"'", b"<!--", b"\xff"])).map(
        b"".join
    )
)
def test_whatever_the_bytes_the_answer_is_an_encoding_that_decodes_them(body):
    encoding = sniff(body, None)
    assert webencodings.lookup(encoding).name == encoding
    assert isinstance(decode(body, encoding), str)
