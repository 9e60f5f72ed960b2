"""The quotes: a site with a log-in form, and a JSON API for those who are logged in."""

import hmac
import secrets
from dataclasses import asdict
from html import escape

from aiohttp import web

from scraper.demo.proverbs import has_page, quotes_on

# Cookies are signed instead of remembered, so that a session outlives the server. Nothing here is secret.
DEMO_KEY = b"this key guards a hundred proverbs"
SESSION = "session"
CSRF = "csrf"
MAX_NAME = 100  # characters of a user name: it travels in a cookie
CHALLENGE = f'Cookie realm="quotes" form-action="/login" cookie-name="{SESSION}"'

PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Quotes to Scrape</title></head>
<body>
<h1><a href="/">Quotes to Scrape</a></h1>
{content}
</body>
</html>
"""
WELCOME = """<p>Welcome, <span class="user">{user}</span>.</p>
<p><a href="/api/quotes?page=1">Quotes</a></p>
<p><a href="/logout">Logout</a></p>"""
STRANGER = """<p>The quotes are for those who are logged in. Any user name and password will do.</p>
<p><a href="/login">Login</a></p>"""
FORM = """{error}<form action="/login" method="post" accept-charset="utf-8">
    <input type="hidden" name="csrf_token" value="{token}"/>
    <label for="username">Username</label>
    <input type="text" id="username" name="username" maxlength="{limit}"/>
    <label for="password">Password</label>
    <input type="password" id="password" name="password"/>
    <input type="submit" value="Login"/>
</form>"""


def quotes_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/", _home)
    app.router.add_get("/login", _show_form)
    app.router.add_post("/login", _log_in)
    app.router.add_get("/logout", _log_out)
    app.router.add_get("/api/quotes", _quotes)
    return app


async def _home(request: web.Request) -> web.Response:
    user = _user(request)
    return _html(WELCOME.format(user=escape(user)) if user else STRANGER)


async def _show_form(request: web.Request) -> web.Response:
    return _form(request.cookies.get(CSRF) or secrets.token_hex(16))


async def _log_in(request: web.Request) -> web.Response:
    fields = await request.post()
    visitor = request.cookies.get(CSRF, "")
    user, password = str(fields.get("username", "")), fields.get("password")
    if not visitor or not _same(str(fields.get("csrf_token", "")), _sign(CSRF, visitor)):
        return _html(
            "<p>The form's csrf_token doesn't belong to the cookie that came with it.</p>", status=403
        )
    if not 0 < len(user) <= MAX_NAME or not password:
        return _form(
            visitor, f"A user name of up to {MAX_NAME} characters and a password are needed.", status=400
        )
    response = _redirect_home()
    response.set_cookie(SESSION, _session(user), httponly=True, samesite="Lax")
    return response


async def _log_out(request: web.Request) -> web.Response:
    response = _redirect_home()
    response.del_cookie(SESSION)
    return response


async def _quotes(request: web.Request) -> web.Response:
    if _user(request) is None:
        return _refusal(401, "Log in at /login first.", {"WWW-Authenticate": CHALLENGE})
    number = request.query.get("page", "1")
    page = int(number) if number.isdecimal() and len(number) < 4 else 0
    if not has_page(page):
        return _refusal(404, f"There is no page {number!r}.")
    quotes = [asdict(quote) for quote in quotes_on(page)]
    return web.json_response({"page": page, "has_next": has_page(page + 1), "quotes": quotes})


def _form(visitor: str, error: str = "", *, status: int = 200) -> web.Response:
    """The log-in form, with a token that only the visitor's own cookie makes valid."""
    message = f'<p class="error">{error}</p>\n' if error else ""
    response = _html(FORM.format(error=message, token=_sign(CSRF, visitor), limit=MAX_NAME), status=status)
    response.set_cookie(CSRF, visitor, httponly=True, samesite="Lax")
    return response


def _html(content: str, *, status: int = 200) -> web.Response:
    return web.Response(text=PAGE.format(content=content), status=status, content_type="text/html")


def _refusal(status: int, error: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": error}, status=status, headers=headers)


def _redirect_home() -> web.Response:
    return web.Response(status=303, headers={"Location": "/"})


def _session(user: str) -> str:
    name = user.encode().hex()  # any name fits into a cookie this way
    return f"{name}.{_sign(SESSION, name)}"


def _user(request: web.Request) -> str | None:
    """Who is logged in: the session cookie names its user, and the signature proves that we set it."""
    name, _, signature = request.cookies.get(SESSION, "").partition(".")
    if not _same(signature, _sign(SESSION, name)):
        return None
    return bytes.fromhex(name).decode()


def _sign(purpose: str, value: str) -> str:
    return hmac.digest(DEMO_KEY, f"{purpose}:{value}".encode(errors="replace"), "sha256").hex()


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())
