"""The `Idempotency-Key` header: which request a key stands for."""

import hashlib
from typing import Annotated, Any

from fastapi import Header, Request
from pydantic_core import to_json

from api.payloads import NotJson

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$",
        description="a name of your own for this request: sent again within a day, it is answered as before "
        "and not done again",
        examples=["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ),
]  # fmt: skip


def named(request: Request, key: str | None, *, part: int = 0) -> str | None:
    """The key as it is remembered: with what was called, and which part of a stream."""
    return None if key is None else f"{request.method} {request.url.path} {key} {part}"


def digest_of(body: Any) -> bytes:
    """32 bytes that tell one parsed body from another."""
    plain = [b.detail if isinstance(b, NotJson) else b for b in body] if isinstance(body, list) else body
    return hashlib.sha256(to_json(plain)).digest()
