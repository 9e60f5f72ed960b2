"""Files go up as a browser sends them: a server that parses forms finds each field and each file."""

import email.parser
import email.policy
from pathlib import Path

import pytest

from scraper import Request

URL = "http://a.example/upload"


def parsed(request: Request) -> list[tuple[str, str | None, str, bytes]]:
    """name, file's name, type and content of each part, as Python's own parser reads them."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + request.body)
    return [
        (
            part.get_param("name", header="content-disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


def test_a_file_is_sent_with_the_fields_of_the_form(tmp_path: Path):
    (tmp_path / "cat.png").write_bytes(b"\x89PNG")
    request = Request(
        URL, form={"title": "Ein Käfer", "tag": ["a", "b"]}, files={"photo": tmp_path / "cat.png"}
    )
    assert request.method == "POST"
    assert parsed(request) == [
        ("title", None, "text/plain", "Ein Käfer".encode()),
        ("tag", None, "text/plain", b"a"),
        ("tag", None, "text/plain", b"b"),
        ("photo", "cat.png", "image/png", b"\x89PNG"),
    ]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (b"raw", ("f", "application/octet-stream", b"raw")),
        (("notes.txt", "text"), ("notes.txt", "text/plain", b"text")),
        (("x.bin", b"\x00\r\n--"), ("x.bin", "application/octet-stream", b"\x00\r\n--")),
        (("page", b"<p>", "text/html"), ("page", "text/html", b"<p>")),
    ],
)
def test_a_file_may_come_from_memory(given, sent):
    assert parsed(Request(URL, files={"f": given})) == [("f", *sent)]


def test_several_files_of_one_field():
    sent = parsed(Request(URL, files={"f": [("a", b"1"), ("b", b"2")]}))
    assert [(name, filename, content) for name, filename, _, content in sent] == [
        ("f", "a", b"1"),
        ("f", "b", b"2"),
    ]


def test_a_name_with_quotes_and_line_breaks_stays_in_its_line():
    (part,) = parsed(Request(URL, files={"f": ('a"\r\nX-Evil: 1', b"1")}))
    assert part[1] == "a%22%0D%0AX-Evil: 1"


def test_equal_forms_are_each_others_duplicates():
    one, same, other = (Request(URL, files={"f": ("a", body)}) for body in (b"1", b"1", b"2"))
    assert (one.body, one.headers) == (same.body, same.headers)
    assert one.body != other.body


def test_a_queued_upload_comes_back_as_it_went():
    request = Request(URL, files={"f": ("a", bytes(range(256)))})
    assert Request.decode(request.encode()) == request


@pytest.mark.parametrize(
    "wrong",
    [{"files": {"f": 5}}, {"files": {"f": ("a", 5)}}, {"body": b"x", "files": {}}, {"json": 1, "files": {}}],
)
def test_what_is_no_upload_is_refused_where_it_is_built(wrong):
    with pytest.raises((TypeError, ValueError), match=r"files\[|takes one of"):
        Request(URL, **wrong)
