"""NDJSON answers, written while the request is still being read."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from fastapi import Request, Response
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from api import problems
from api.payloads import NDJSON
from api.problems import OverloadedError
from voc.errors import VocError


def lines_of(values: Iterable[Any]) -> bytes:
    """Values as NDJSON."""
    return b"".join(to_json(value) + b"\n" for value in values)


def wants_ndjson(request: Request) -> bool:
    """Whether the caller asks for lines."""
    return NDJSON in request.headers.get("accept", "")


class LineStream(Response):
    """Pieces of NDJSON as they come; does not read the request, which the pieces' maker still does.

    What goes wrong before the first piece is answered as a problem; after it, the problem is the last
    line, and the answer ends there.
    """

    media_type = NDJSON

    def __init__(self, request: Request, pieces: AsyncIterator[bytes]) -> None:
        super().__init__(status_code=200)
        del self.headers["content-length"]
        self._request, self._pieces = request, pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it."""
        started = False
        try:
            async for piece in self._pieces:
                if not started:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    started = True
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (VocError, OverloadedError, HTTPException) as error:
            answer = self._problem(error)
            if not started:
                await answer(scope, receive, send)
                return
            await send({"type": "http.response.body", "body": bytes(answer.body) + b"\n", "more_body": True})
        if not started:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _problem(self, error: VocError | OverloadedError | HTTPException) -> Response:
        if isinstance(error, HTTPException):
            return problems.problem(self._request, error.status_code, str(error.detail))
        return problems.of_error(self._request, error)
