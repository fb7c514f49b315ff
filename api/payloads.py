"""Bodies to values: JSON in one piece, or NDJSON line by line, each item judged for itself."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException

Model = TypeVar("Model", bound=BaseModel)
NDJSON: Final = "application/x-ndjson"
_NDJSON: Final = (NDJSON, "application/ndjson", "application/jsonl", "application/x-jsonlines")
MAX_LINE: Final = 4_000_000  # bytes: 200,000 characters, each escaped, and then some
CHUNK: Final = 1000  # lines taken together
MAX_AHEAD: Final = 64_000_000  # bytes read before they are worked on


@dataclass(frozen=True, slots=True)
class NotJson:
    """Stands for a line that is no JSON; `detail` says where it breaks, and not what it holds."""

    detail: str


def is_ndjson(content_type: str | None) -> bool:
    """Whether a media type is one of those in use for NDJSON."""
    return (content_type or "").partition(";")[0].strip().lower() in _NDJSON


async def read_json(request: Request, model: type[Model]) -> Model:
    """The whole body as a `model`.

    Raises
    ------
    HTTPException
        415: it is neither JSON nor NDJSON.
    RequestValidationError
        It is not JSON, or not of the model's form.
    """
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise HTTPException(415, "send application/json or application/x-ndjson")
    body = await request.body()
    try:
        return model.model_validate(from_json(body, allow_inf_nan=False))
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from None
    except ValueError as error:
        raise RequestValidationError([
            {"type": "json_invalid", "loc": ("body",), "msg": f"is not JSON: {_where(error)}"}
        ]) from None  # fmt: skip


async def read_lines(request: Request, *, ahead: int = MAX_AHEAD) -> AsyncIterator[list[Any]]:
    """The lines of an NDJSON body as values, up to a thousand at a time; blank lines are left out.

    The body is read on while a chunk is worked on, up to `ahead` bytes: a client that sends all before it
    reads anything is not kept waiting for ever.
    """
    waiting: deque[list[bytes]] = deque()
    n_waiting = 0
    changed = asyncio.Event()
    failed: list[BaseException] = []
    done = False

    async def read() -> None:
        nonlocal done, n_waiting
        lines: list[bytes] = []
        try:
            async for line in _split(request):
                lines.append(line)
                n_waiting += len(line)
                if len(lines) == CHUNK:
                    waiting.append(lines)
                    lines = []
                    changed.set()
                while n_waiting > ahead and waiting:
                    changed.clear()
                    await changed.wait()
        except Exception as error:
            failed.append(error)
        waiting.append(lines)
        done = True
        changed.set()

    reader = asyncio.create_task(read())
    try:
        while True:
            while waiting:
                lines = waiting.popleft()
                n_waiting -= sum(map(len, lines))
                changed.set()
                if lines:
                    yield [_value(line) for line in lines]
            if done:
                break
            changed.clear()
            await changed.wait()
        if failed:
            raise failed[0]
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader


async def _split(request: Request) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in request.stream():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > MAX_LINE:
            raise HTTPException(413, f"a line is longer than {MAX_LINE:,} bytes")
    if rest.strip():
        yield rest


def _value(line: bytes) -> Any:
    try:
        return from_json(line, allow_inf_nan=False)
    except ValueError as error:
        return NotJson(f"is not JSON: {_where(error)}")


def _where(error: ValueError) -> str:
    """Pydantic's words for what is wrong with JSON: kind and place, never the content."""
    return str(error)[:200]
