"""Redirects: fine ones, endless ones, and ones that lead nowhere."""

from tests.faulty.message import Answer, Request, page
from tests.faulty.pages import Page


def redirect(request: Request) -> Answer:
    """/redirect/N: N redirects, then /ok/0."""
    left = int(request.rest) - 1
    return _to(f"/redirect/{left}" if left > 0 else "/ok/0")


def redirect_to(request: Request) -> Answer:
    """/redirect-to?url=URL&status=302: anywhere at all."""
    return _to(request.query["url"], request.number("status", 302))


def redirect_self(request: Request) -> Answer:
    return _to(request.target)


def redirect_loop(request: Request) -> Answer:
    """/redirect-loop: to /redirect-loop/back and from there to /redirect-loop."""
    return _to("/redirect-loop" if request.rest else "/redirect-loop/back")


def redirect_bad(request: Request) -> Answer:
    """/redirect-bad: the Location is no URL."""
    return _to("http://[broken/")


def redirect_none(request: Request) -> Answer:
    """/redirect-none: a 302 that doesn't say where to."""
    return page("Moved", status=302)


def _to(location: str, status: int = 302) -> Answer:
    return page("Moved", status=status, headers=(("Location", location),))


PAGES: dict[str, Page] = {
    "redirect": redirect,
    "redirect-to": redirect_to,
    "redirect-self": redirect_self,
    "redirect-loop": redirect_loop,
    "redirect-bad": redirect_bad,
    "redirect-none": redirect_none,
}
