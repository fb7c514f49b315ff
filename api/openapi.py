"""The description of the API: bodies that routes read by hand, examples, and who may call."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.payloads import NDJSON
from api.problems import Problem

_REFERENCE: Final = "#/components/schemas/{model}"


def body_of(batch: type[BaseModel], example: dict[str, Any], *, ndjson: dict[str, Any] | None = None) -> Any:
    """`openapi_extra` for a route that reads its body by hand; `ndjson` is an example of one line."""
    schema = {"$ref": _REFERENCE.format(model=batch.__name__)}
    content: dict[str, Any] = {"application/json": {"schema": schema, "example": example}}
    if ndjson is not None:
        content[NDJSON] = {
            "schema": {"type": "string", "description": "one item a line, any number of lines, streamed"},
            "example": ndjson,
        }
    return {"requestBody": {"required": True, "content": content}}


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
