"""Errors on the wire: RFC 9457 problem details, one table from our errors to statuses."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from api import openapi
from api.problem import FieldError, Problem
from voc.errors import (
    BundleError,
    ConflictError,
    InputError,
    NotFoundError,
    StatisticsError,
    StoreError,
    VocError,
)

log = structlog.get_logger()
MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final[tuple[tuple[type[VocError], HTTPStatus], ...]] = (
    (ConflictError, HTTPStatus.CONFLICT),
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (StatisticsError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (BundleError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_EXAMPLES: Final = {
    400: "the gzipped body was cut",
    401: "give the key as 'Authorization: Bearer ...'",
    403: "no key is set, so only this machine may call; set VOC_API_KEY to open the service",
    404: "root cause 12 is not in the database; list them first",
    409: "field 'Idempotency-Key': was used for another request; take a new key for each",
    413: "the body is larger than 16,000,000 bytes; send less at a time, or NDJSON",
    415: "send application/json or application/x-ndjson",
    422: "items.3.text: Field required",
    429: "the service is full; try again in 2 s",
    503: "no database answers at localhost:5432/voc (Connection refused); start it, or check VOC_DATABASE_URL",
}
_HEADERS: Final = {
    401: ("WWW-Authenticate", "string", "Bearer"),
    429: ("Retry-After", "integer", "seconds to wait before trying again"),
}


class OverloadedError(Exception):
    """The service is full; try again after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__("the service is full")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI form of the problems that a route may answer with."""
    return {status: _described(status) for status in statuses}


def _described(status: int) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    example = Problem(title=title, status=status, detail=_EXAMPLES[status], instance="/v1/score")
    schema = {"$ref": "#/components/schemas/Problem"}
    found: dict[str, Any] = {
        "description": title,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example.model_dump()}},
    }
    if status in _HEADERS:
        name, kind, description = _HEADERS[status]
        found["headers"] = {name: {"schema": {"type": kind}, "description": description}}
    return found


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """One problem as a response."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=request.url.path,
        errors=list(errors),
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def of_error(request: Request, error: VocError | OverloadedError) -> JSONResponse:
    """The problem that one of our errors is."""
    if isinstance(error, OverloadedError):
        return problem(
            request,
            HTTPStatus.TOO_MANY_REQUESTS,
            f"the service is full; try again in {error.retry_after_s} s",
            headers={"Retry-After": str(error.retry_after_s)},
        )
    status = next((s for kind, s in STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    return problem(request, status, str(error))


def field_errors(error: RequestValidationError) -> list[FieldError]:
    """Each wrong field, by its path."""
    return [
        FieldError(field=".".join(str(p) for p in e["loc"][1:]) or str(e["loc"][0]), detail=e["msg"])
        for e in error.errors()
    ]


def install(app: FastAPI) -> None:
    """Answer every error with a problem; customer text never enters one."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = field_errors(error)
        detail = "; ".join(f"{e.field}: {e.detail}" for e in errors[:5])
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            methods = openapi.described(request.app, request.url.path)  # the framework names only one route's
            headers = {"Allow": ", ".join(sorted(method.upper() for method in methods))}
        return problem(request, error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(OverloadedError)
    async def overloaded(request: Request, error: OverloadedError) -> JSONResponse:
        return of_error(request, error)

    @app.exception_handler(VocError)
    async def voc_error(request: Request, error: VocError) -> JSONResponse:
        return of_error(request, error)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        # Its text may quote what a customer wrote; kind and route are enough to look for it.
        log.error("unforeseen", kind=type(error).__name__, path=request.url.path)
        return problem(request, 500, "something broke here; the service's log says what")
