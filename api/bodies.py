"""What arrives: unpacked if gzipped, counted as it comes, refused when it is too much."""

import zlib
from typing import Final

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.payloads import is_ndjson

_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE: Final = 1 << 20  # bytes unpacked at a time, so that a small body can't unpack to all of memory


class Bodies:
    """ASGI middleware for request bodies; marks every answer as what it says it is.

    A body of `limit` bytes or less (unpacked) passes; NDJSON of any length does, since it is read line
    by line.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app, self.limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a `receive` that unpacks and counts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        encoding = headers.get("content-encoding", "identity").lower()
        length = headers.get("content-length", "")
        limit = None if is_ndjson(headers.get("content-type")) else self.limit
        refused = None
        if encoding not in ("identity", "gzip"):
            refused = 415, f"content-encoding '{encoding[:20]}' is not known; send gzip, or none"
        elif limit is not None and length.isdigit() and int(length) > limit:
            refused = 413, _too_large(limit)
        if refused is not None:
            await problems.problem(Request(scope), *refused)(scope, receive, send)
            return
        if encoding == "gzip":
            packed = MutableHeaders(scope=scope)
            del packed["content-encoding"]
            del packed["content-length"]
            receive = _unpacking(receive)
        if limit is not None:
            receive = _counting(receive, limit)

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self.app(scope, receive, send_marked)


def _counting(receive: Receive, limit: int) -> Receive:
    n_bytes = 0

    async def count() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return count


def _unpacking(receive: Receive) -> Receive:
    unpacker = zlib.decompressobj(_GZIP)
    last = False  # whether the last packed piece is here

    async def unpack() -> Message:
        nonlocal last
        packed = unpacker.unconsumed_tail
        while not packed and not last:
            message = await receive()
            if message["type"] != "http.request":
                return message
            packed, last = message.get("body", b""), not message.get("more_body", False)
        try:
            body = unpacker.decompress(packed, _PIECE) if packed else b""
        except zlib.error as error:
            raise HTTPException(400, "the body is not gzip, as its header says") from error
        more = bool(unpacker.unconsumed_tail) or not last
        if not more and not unpacker.eof:
            raise HTTPException(400, "the gzipped body was cut")
        return {"type": "http.request", "body": body, "more_body": more}

    return unpack


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit:,} bytes; send less at a time, or NDJSON"
