"""Pages that behave: plain ones, statuses, echoes, cookies, links."""

from collections.abc import Callable
from html import escape

from tests.faulty.message import Answer, Request, json, missing, page

Page = Callable[[Request], Answer]

ODD_LINKS = (
    "mailto:someone@example.com",
    "javascript:void(0)",
    "tel:+15550100",
    "data:text/html,hello",
    "#top",
    "",
    "http://[broken/",
)


def ok(request: Request) -> Answer:
    """/ok/N: a page titled "Page N"."""
    return page(f"Page {request.rest}", f"<p>This is page {escape(request.rest)}.</p>")


def links(request: Request) -> Answer:
    """/links?n=N&prefix=P&odd=1: links to P0…P(N-1), and to what no crawler can fetch."""
    prefix = request.query.get("prefix", "/ok/")
    targets = [f"{prefix}{number}" for number in range(request.number("n", 10))]
    if request.number("odd", 0):
        targets += ODD_LINKS
    return page("Links", *(f'<a href="{escape(target)}">{escape(target)}</a>' for target in targets))


def always(request: Request) -> Answer:
    """/always/STATUS?retry_after=SECONDS."""
    return _status(request, int(request.rest))


def flaky(request: Request) -> Answer:
    """/flaky/KEY?fails=N&status=503&retry_after=SECONDS: fails N times, then is fine."""
    if request.visit <= request.number("fails", 1):
        return _status(request, request.number("status", 503))
    return page(f"Flaky {request.rest}", f"<p>Fine at visit {request.visit}.</p>")


def _status(request: Request, status: int) -> Answer:
    seconds = request.query.get("retry_after")
    headers = () if seconds is None else (("Retry-After", seconds),)
    return page(f"Status {status}", status=status, headers=headers)


def no_content(request: Request) -> Answer:
    return Answer(status=204)


def not_modified(request: Request) -> Answer:
    return Answer(status=304, headers=(("ETag", '"one"'),))


def head(request: Request) -> Answer:
    """/head: tells the method in X-Method; HEAD gets GET's Content-Length and no body, as everywhere here."""
    return page("Head", headers=(("X-Method", request.method),))


def headers(request: Request) -> Answer:
    """/headers: what the client sent; names in lower case, repeated ones joined by ", "."""
    names = {name.lower() for name in request.headers}
    return json({name: ", ".join(request.headers.getall(name)) for name in names})


def post(request: Request) -> Answer:
    """/post: echoes any method."""
    return json(
        {
            "method": request.method,
            "body": request.body.decode(errors="replace"),
            "content-type": request.headers.get("Content-Type"),
        }
    )


def cookies(request: Request) -> Answer:
    """/cookies/set?name=N&value=V&attributes=A or /cookies/show, a JSON object of what came back."""
    match request.rest:
        case "set":
            return _set_cookie(request)
        case "show":
            pairs = "; ".join(request.headers.getall("Cookie", [])).split("; ")
            return json(dict(pair.split("=", 1) for pair in pairs if pair))
    return missing()


def _set_cookie(request: Request) -> Answer:
    name, value = request.query.get("name", "name"), request.query.get("value", "value")
    cookie = f"{name}={value}; {request.query.get('attributes', 'Path=/')}"
    return page("Cookie set", headers=(("Set-Cookie", cookie),))


def duplicate_header(request: Request) -> Answer:
    """/duplicate-header: X-Twice and Set-Cookie come twice each."""
    twice = (("X-Twice", "one"), ("X-Twice", "two"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"))
    return page("Duplicate header", headers=twice)


def latin1_header(request: Request) -> Answer:
    """/latin1-header: X-Latin is "café" in ISO-8859-1, which isn't UTF-8."""
    return page("Latin-1 header", headers=(("X-Latin", "caf\udce9"),))


def content_type(request: Request) -> Answer:
    """/content-type/TYPE/SUBTYPE?body=TEXT, or /content-type/none for an answer that doesn't tell."""
    body = request.query.get("body", "<h1>Hello</h1>").encode()
    return Answer(content_type=None if request.rest == "none" else request.rest, body=body)


def robots(answer: str | int) -> Answer:
    """/robots.txt, as the site's `robots` wants it."""
    if isinstance(answer, int):
        return page("No robots.txt", status=answer)
    return Answer(content_type="text/plain; charset=utf-8", body=answer.encode())


PAGES: dict[str, Page] = {
    "ok": ok,
    "links": links,
    "always": always,
    "flaky": flaky,
    "204": no_content,
    "304": not_modified,
    "head": head,
    "headers": headers,
    "post": post,
    "cookies": cookies,
    "duplicate-header": duplicate_header,
    "latin1-header": latin1_header,
    "content-type": content_type,
}
