"""Problems: every answer that is no success, as RFC 9457's application/problem+json with a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, ValidationError

from scraper.errors import JobError, NoSuchJob, StorageError, UsageError

log = structlog.get_logger()
MEDIA = "application/problem+json"
UNEXPECTED = "Something went wrong inside the worker; its log says what."
GONE = (ConnectionError, web.RequestPayloadError)


class WrongPart(BaseModel):
    """`at`: the part of the request that is wrong, such as `max_pages` or `settings.0`."""

    at: str
    detail: str


class ProblemView(BaseModel):
    """RFC 9457 §3.1. `title`: the phrase of the status; `detail`: a sentence."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[WrongPart] = []


class Problem(Exception):
    """Ends a request with this status. `detail`: a sentence that says what to do."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[WrongPart] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = headers or {}

    @classmethod
    def invalid(cls, status: int, what: str, error: ValidationError) -> Problem:
        """Names each wrong part; never what was given for it, which may be a secret."""
        found = [
            WrongPart(at=".".join(map(str, one["loc"])), detail=one["msg"].removeprefix("Value error, "))
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        told = "; ".join(f"{one.at}: {one.detail}" if one.at else one.detail for one in found)
        return cls(status, f"{what} is not as it should be: {told}.", errors=found)

    def view(self) -> ProblemView:
        return ProblemView(
            title=HTTPStatus(self.status).phrase, status=self.status, detail=self.detail, errors=self.errors
        )

    def response(self) -> web.Response:
        body = orjson.dumps(self.view().model_dump(mode="json", exclude_defaults=False))
        return web.Response(status=self.status, body=body, headers={**self.headers, "Content-Type": MEDIA})


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where an error becomes an answer."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        return _of_http(request, error).response()
    except (UsageError, StorageError) as error:
        return Problem(status_of(error), str(error)).response()
    except GONE:
        return Problem(400, "The body of the request broke off before its end.").response()
    except Exception:
        log.exception("a request failed", method=request.method, path=request.path)
        if request.writer.output_size:
            raise  # half an answer is out: the connection ends here
        return Problem(500, UNEXPECTED).response()


def status_of(error: UsageError | StorageError) -> int:
    match error:
        case NoSuchJob():
            return 404
        case JobError():
            return 409
        case StorageError():
            return 503
        case _:
            return 422


def _of_http(request: web.Request, error: web.HTTPException) -> Problem:
    match error:
        case web.HTTPNotFound():
            return Problem(404, "There is nothing at this path: GET /openapi.json lists what there is.")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            told = f"{request.method} is not possible here; possible: {allowed}."
            return Problem(405, told, headers={"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return Problem(413, "The body of the request is too large.")
        case _:
            return Problem(error.status, error.reason)
