"""The description of the API: bodies that routes read by hand, examples, and who may call."""

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.routing import compile_path

from api.payloads import NDJSON
from api.problem import Problem
from voc.errors import InputError

_REFERENCE: Final = "#/components/schemas/{model}"


def body_of(batch: type[BaseModel], example: dict[str, Any], *, ndjson: dict[str, Any] | None = None) -> Any:
    """`openapi_extra` for a route that reads its body by hand; `ndjson` is an example of one line."""
    schema = {"$ref": _REFERENCE.format(model=batch.__name__)}
    content: dict[str, Any] = {"application/json": {"schema": schema, "example": example}}
    if ndjson is not None:
        content[NDJSON] = {
            "schema": {"description": "one item a line, any number of lines, streamed"},
            "example": ndjson,
        }
    return {"requestBody": {"required": True, "content": content}}


def lines_too(what: str, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that answers with NDJSON where it is asked to."""
    content = {NDJSON: {"schema": {"description": f"{what}, one a line"}, "example": example}}
    return {200: {"content": content}}


def describe(app: FastAPI, bodies: list[type[BaseModel]]) -> None:
    """Give the application a description that holds `bodies` too."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            spec = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            _, extra = models_json_schema(
                [(model, "validation") for model in [Problem, *bodies]], ref_template=_REFERENCE
            )
            schemas = spec.setdefault("components", {}).setdefault("schemas", {})
            schemas.update({k: v for k, v in extra["$defs"].items() if k not in schemas})
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            app.openapi_schema = spec
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def refuse_unknown_parameters(request: Request) -> None:
    """A mistyped query parameter is an error: ignoring it would answer another question.

    Raises
    ------
    InputError
        The description of this route has no parameter of that name.
    """
    if not request.query_params:
        return
    operation = described(request.app, request.url.path).get(request.method.lower(), {})
    known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    for name in request.query_params:
        if name not in known:
            raise InputError(
                "a query parameter is not known", remedy=f"choose among {', '.join(sorted(known)) or 'none'}"
            )


def described(app: FastAPI, path: str) -> dict[str, Any]:
    """What the description says of a path: methods to operations; empty where it has no such path."""
    for template, operations in app.openapi()["paths"].items():
        pattern, _, _ = compile_path(template)
        if pattern.match(path):
            return dict(operations)
    return {}
