"""Errors on the wire: RFC 9457 problem details, one table from our errors to statuses."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from voc.errors import BundleError, InputError, StatisticsError, StoreError, VocError

MEDIA_TYPE = "application/problem+json"
STATUS: tuple[tuple[type[VocError], HTTPStatus], ...] = (
    (InputError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (StatisticsError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (BundleError, HTTPStatus.SERVICE_UNAVAILABLE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)


class FieldError(BaseModel):
    """One field that is wrong."""

    field: str = Field(examples=["items.3.text"])
    detail: str = Field(examples=["Field required"])


class Problem(BaseModel):
    """What went wrong and what to do (RFC 9457)."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["items.3.text: Field required"])
    instance: str = Field(examples=["/v1/score"])
    errors: list[FieldError] = []


class OverloadedError(Exception):
    """The service is full; try again after `retry_after_s`."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__("the service is full")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI form of the problems that a route may answer with."""
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {}}}
        for status in statuses
    }


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


def install(app: FastAPI) -> None:
    """Answer every error with a problem; customer text never enters one."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            FieldError(field=".".join(str(p) for p in e["loc"][1:]) or str(e["loc"][0]), detail=e["msg"])
            for e in error.errors()
        ]
        detail = "; ".join(f"{e.field}: {e.detail}" for e in errors[:5])
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return problem(request, error.status_code, str(error.detail), headers=headers)

    @app.exception_handler(OverloadedError)
    async def overloaded(request: Request, error: OverloadedError) -> JSONResponse:
        detail = f"the service is full; try again in {error.retry_after_s} s"
        headers = {"Retry-After": str(error.retry_after_s)}
        return problem(request, HTTPStatus.TOO_MANY_REQUESTS, detail, headers=headers)

    @app.exception_handler(VocError)
    async def voc_error(request: Request, error: VocError) -> JSONResponse:
        status = next((s for kind, s in STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
        return problem(request, status, str(error))
