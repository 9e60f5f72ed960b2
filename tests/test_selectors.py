"""Selectors find what they find in Scrapy: the expected strings are what parsel gives for the same page."""

import gc
import re

import pytest

from scraper.selectors import Element, Selection, SelectorError, parse_html

PAGE = parse_html(
    """<html><body><section id=s><div id=d class=x>a<p>t1 &amp; <b>bold</b> t2<!--c--> t3</p>"""
    """<div id=e><p> q </p>z</div>tail</div></section><script>var a="x";</script>"""
    """<a href=x data-y=1>l</a><a>n</a><a href>m</a>"""
    """<ul><li>1<li>2<li>3<ul><li>4 <i>5</i> 6</ul></ul><h1>a &amp; <i>it<u>u</u></i><!--c--> b</h1>"""
    """<article><h3><a title="T,1" href=q>w</a></h3><p class="a b">x</p></article></body></html>"""
)


def found(css, within=None):
    root = Selection(PAGE, within).first if within else None
    return (root.css(css) if root else Selection(PAGE, css)).getall()


@pytest.mark.parametrize(
    ("css", "strings"),
    [
        ("b", ["<b>bold</b>"]),
        ("h1::text", ["a & ", " b"]),
        ("h1 ::text", ["a & ", "it", "u", " b"]),
        ("h1 *::text", ["a & ", "it", "u", " b"]),
        ("h1 > ::text", ["it"]),
        ("h1 > *::text", ["it"]),
        ("div + ::text", []),
        ("li + ::text", ["2", "3"]),
        ("script::text", ['var a="x";']),
        (" p /* x, y */::text ", ["t1 & ", "bold", " t2", " t3", " q ", "x"]),
        ("a::TEXT", ["l", "n", "m", "w"]),
        ("p.a.b::text", ["x"]),
        ("a::attr(href)", ["x", "", "q"]),
        ("a::attr( 'href' )", ["x", "", "q"]),
        ('a::attr("data-y")', ["1"]),
        ("h3 ::attr(href)", ["q"]),
        ("section ::attr(id)", ["s", "d", "e"]),
        ("section > ::attr(id)", ["d"]),
        ("::attr(href)", ["x", "", "q"]),
        ('a[title="T,1"]::attr(href)', ["q"]),
        ("a::attr(zzz)", []),
        ("zzz::text", []),
        (":is(b, u)::text", ["bold", "u"]),
    ],
)
def test_selects_strings_as_scrapy(css, strings):
    assert found(css) == strings


@pytest.mark.parametrize(
    ("css", "strings"),
    [
        ("div::text", ["a", "z", "tail"]),  # the inner div stands within the texts of the outer one
        ("div ::text", ["a", "t1 & ", "bold", " t2", " t3", " q ", "z", "tail"]),
        ("li::text", ["1", "2", "3", "4 ", " 6"]),
        ("i::text, b::text, u::text", ["bold", "5", "it", "u"]),
        ("div::text, b::text", ["a", "bold", "z", "tail"]),
        ("h1 ::text, h3 ::text", ["a & ", "it", "u", " b", "w"]),
        ("b::text, h1 ::text", ["bold", "a & ", "it", "u", " b"]),
        ("u, h3 > a, b", ["<b>bold</b>", "<u>u</u>", '<a title="T,1" href="q">w</a>']),
    ],
)
def test_what_is_found_stands_in_the_order_of_the_page(css, strings):
    assert found(css) == strings


def test_an_element_that_several_parts_match_is_found_once():
    assert [element.attrib["id"] for element in Selection(PAGE, "div, div#d, .x, *#e")] == ["d", "e"]


@pytest.mark.parametrize(
    ("within", "css", "strings"),
    [
        ("#e", "::text", [" q ", "z"]),
        ("#e", "::attr(id)", ["e"]),
        ("#d", "::attr(id)", ["d", "e"]),
        ("#e", "div::attr(id)", ["e"]),
        ("#d", "div::attr(id)", ["d", "e"]),
        ("#e", "div > p::text", [" q "]),
        ("#d", "div div::attr(id)", ["e"]),
        ("#e", "div div::attr(id)", []),
        ("#e", "section p::text", []),
        ("#e", "body ::text", []),
        ("#e", "section, p", ["<p> q </p>"]),
        ("#e", "section p::text, p::text", [" q "]),
        ("ul ul", "li + li::text", []),
        ("ul ul", "ul ul li::text", []),
        ("article", "h3 a::attr(title)", ["T,1"]),
        ("article", "article > h3 > a::text", ["w"]),
        ("html", "body h3 ::text", ["w"]),
    ],
)
def test_within_an_element_counts_it_and_what_is_in_it_only(within, css, strings):
    assert found(css, within) == strings


def test_searching_within_an_element_leaves_it_as_it_was():
    element = Selection(PAGE, "article").first
    before = element.get()
    assert element.css("h3 a::text").get() == "w"
    assert element.get() == before
    assert "scope" not in PAGE.html


def test_every_element_found_is_searched_in_turn():
    lists = Selection(PAGE, "ul")
    assert lists.css("li::text").getall() == ["1", "2", "3", "4 ", " 6", "4 ", " 6"]
    assert lists.css("ul ul").css("i::text").get() == "5"
    assert lists.css("zzz").css("i::text").get() is None


@pytest.mark.parametrize(
    "css",
    [
        "h1::text",
        "h1 ::text",
        "::text",
        "div::text",
        "a::attr(href)",
        "a",
        "i ::text",
        "ul > ::text",
        "zzz",
        "h3::text",
    ],
)
@pytest.mark.parametrize("within", [None, "section", "article", "ul ul"])
def test_get_is_the_first_of_getall(css, within):
    root = Selection(PAGE, within).first.node if within else PAGE
    strings = Selection(root, css).getall()
    assert Selection(root, css).get("none") == (strings or ["none"])[0]
    assert bool(Selection(root, css)) is bool(strings)
    evaluated = Selection(root, css)
    assert len(evaluated) == len(strings)
    assert evaluated.get("none") == (strings or ["none"])[0]


def test_the_first_string_is_the_first_on_the_page_not_of_the_first_match():
    page = parse_html(
        "<div><div>inner</div>outer</div><a></a><a>text</a><p><!-- c -->behind</p><i foo><i foo=1>"
    )
    assert Selection(page, "div::text").get() == "inner"
    assert Selection(page, "a::text").get() == "text"
    assert Selection(page, "p::text").get() == "behind"
    assert Selection(page, "i::attr(foo)").get() == ""


def test_nothing_is_searched_before_it_is_asked_for():
    page = parse_html("<p>a<p>b")
    selection = Selection(page, "p::text")
    page.css_first("p").decompose()
    assert selection.getall() == ["b"]


def test_a_selection_is_searched_once():
    page = parse_html("<p>a<p>b")
    selection = Selection(page, "p::text")
    assert len(selection) == 2
    page.css_first("p").decompose()
    assert selection.getall() == ["a", "b"]


def test_a_selection_is_read_like_a_list():
    links = Selection(PAGE, "a")
    assert [link.attrib.get("href") for link in links] == ["x", None, "", "q"]
    assert isinstance(links[0], Element)
    assert links[-1].text == "w"
    assert [link.text for link in links[1:3]] == ["n", "m"]
    assert list(reversed(Selection(PAGE, "a::text"))) == ["w", "m", "n", "l"]
    with pytest.raises(IndexError):
        links[4]


def test_an_element_tells_its_tag_text_attributes_and_html():
    element = Selection(PAGE, "h3 a").first
    assert element.tag == "a"
    assert element.text == "w"
    assert element.attrib == {"title": "T,1", "href": "q"}
    assert element.get() == '<a title="T,1" href="q">w</a>'
    assert element.node.parent.tag == "h3"
    assert Selection(PAGE, "h1").first.text == "a & itu b"
    assert Selection(PAGE, "zzz").first is None
    assert Selection(PAGE, "h3 a").attrib["href"] == "q"
    assert Selection(PAGE, "zzz").attrib == {}


@pytest.mark.parametrize(
    ("pattern", "strings"),
    [
        (r"\w", ["a", "b"]),
        (r"(\w)(\s)", ["a", " "]),
        (re.compile("(A)|(b)", re.IGNORECASE), ["a", "", "", "b"]),
        ("zzz", []),
    ],
)
def test_patterns_give_their_groups_in_one_list(pattern, strings):
    texts = Selection(PAGE, "h1::text")
    assert texts.re(pattern) == strings
    assert texts.re_first(pattern, "none") == (strings or ["none"])[0]


def test_patterns_see_text_decoded_and_html_as_it_is_written():
    assert Selection(PAGE, "h1::text").re("&.*") == ["& "]
    assert Selection(PAGE, "h1").first.re("&amp;|&[^a]") == ["&amp;"]
    assert Selection(PAGE, "li::text").re_first("[3-9]") == "3"


@pytest.mark.parametrize(
    "css",
    [
        "a:bogus(",
        "h1:::text",
        "",
        " ",
        "::text b",
        "a::text b",
        "a[href",
        "a)",
        "a::before",
        "a::attr()",
        "\ud800",
    ],
)
def test_a_wrong_selector_is_an_error_that_names_it_where_it_is_written(css):
    with pytest.raises(SelectorError, match=re.escape(repr(css))):
        Selection(PAGE, css)


@pytest.mark.parametrize("css", ["a::text, b", "a::text, b::attr(c)", "a::attr(b), a::attr(c)"])
def test_the_parts_of_a_group_end_in_the_same_pseudo_element(css):
    with pytest.raises(SelectorError, match="end in different pseudo-elements"):
        Selection(PAGE, css)


def test_strings_hold_no_elements():
    with pytest.raises(SelectorError, match=r"'h1::text' selects strings"):
        Selection(PAGE, "h1::text").css("b")
    with pytest.raises(SelectorError, match=r"'h1::text' selects strings"):
        assert Selection(PAGE, "h1::text").first


def test_attributes_with_a_prefix_are_named_with_it():
    page = parse_html("<svg viewBox=1><a xlink:href=q>")
    assert Selection(page, r"a::attr(xlink\:href)").getall() == ["q"]
    assert Selection(page, "a::attr(href)").getall() == []
    assert Selection(page, "svg::attr(viewBox)").get() == "1"


def test_an_element_keeps_its_page_alive():
    element = Selection(parse_html("<p>" + "x" * 10_000 + "<b>y"), "b").first
    gc.collect()
    assert element.text == "y"
    assert len(element.node.parent.text()) == 10_001


def test_parses_bytes_and_text_without_their_byte_order_mark():
    for body in ("\ufeff<title>é", "\ufeff<title>é".encode(), "<title>é", "<title>é".encode()):
        page = parse_html(body)
        assert page.html == "<html><head><title>é</title></head><body></body></html>"
    assert Selection(parse_html(""), "p::text").get() is None
    assert Selection(parse_html(b""), "::text").getall() == []


def test_names_itself_for_a_debugger():
    assert repr(Selection(PAGE, "b")) == "<Selection 'b'>"
    assert repr(Selection(PAGE, "#e")[0]) == "<Element div {'id': 'e'}>"
