"""Answers that did not change are not sent again (ETag, RFC 9110)."""

import hashlib
from typing import Any, Final

from fastapi import Request, Response
from pydantic import BaseModel
from pydantic_core import to_json

NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "what `If-None-Match` names is still right"}
}
_HEADERS: Final = {"Cache-Control": "private, no-cache"}  # kept by the caller, asked about each time


def answer(request: Request, body: BaseModel, *, but_for: Any = None) -> Response:
    """`body` with its ETag, or 304 where the caller has it.

    `but_for` are fields that move by themselves, such as the age of the data, as `model_dump` takes them
    under `exclude`: the tag is weak, and is the same while all else is.
    """
    lasting = to_json(body.model_dump(mode="json", by_alias=True, exclude=but_for))
    tag = f'W/"{hashlib.sha256(lasting).hexdigest()[:32]}"'
    headers = {**_HEADERS, "ETag": tag}
    if _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    content = body.model_dump_json(by_alias=True)
    return Response(content, headers=headers, media_type="application/json")


def _matches(given: str, tag: str) -> bool:
    tags = [part.strip() for part in given.split(",")]
    return "*" in tags or any(part.removeprefix("W/") == tag.removeprefix("W/") for part in tags)
