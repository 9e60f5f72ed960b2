"""The wire: what is answered where aiohttp would answer by itself, with its version and in its own words."""

from __future__ import annotations

import structlog
from aiohttp import web

from scraper.worker.http.guard import HEADERS
from scraper.worker.http.problems import UNEXPECTED, Problem

log = structlog.get_logger()
NO_HTTP = "These bytes are no request of HTTP/1.1, or their headers are too long."


class Runner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return Server(made.request_handler, request_factory=made.request_factory, **made._kwargs)


class Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class Connection(web.RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What comes here is bytes that can't be parsed, and what failed outside the app's middlewares."""
        if request.writer.output_size:
            raise ConnectionError("half an answer is out")
        if status < 500:
            log.info("no HTTP", remote=request.remote, problem=message)
        else:
            log.error("a request failed", remote=request.remote, exc_info=exc)
        response = Problem(status, NO_HTTP if status < 500 else UNEXPECTED).response()
        response.headers.update(HEADERS)
        response.force_close()
        return response
