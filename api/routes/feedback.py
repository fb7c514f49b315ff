"""`POST /v1/feedback`: durable intake."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from sqlalchemy import Connection

from api.idempotency import Key, digest_of, named
from api.intake import add_up, store_feedback
from api.openapi import body_of
from api.payloads import is_ndjson, read_json, read_lines
from api.problems import responses
from api.schemas import FeedbackBatch, FeedbackResponse
from api.state import State, StateDep
from voc.language import LanguageDetector
from voc.store.engine import transaction
from voc.store.idempotency import once

router = APIRouter(tags=["feedback"])
_LINE = {
    "source": "shop-survey", "kind": "survey", "external_id": "S-1001", "text": "The refund never came.",
    "occurred_at": "2026-03-02T10:00:00Z", "customer_ref": "c-17", "segment": "private",
    "ratings": [{"scale": "nps", "value": 2}],
}  # fmt: skip


@router.post(
    "/feedback",
    status_code=202,
    response_model=FeedbackResponse,
    responses=responses(400, 401, 403, 409, 413, 415, 422, 503),
    openapi_extra=body_of(FeedbackBatch, {"items": [_LINE]}, ndjson=_LINE),
)
async def feedback(request: Request, state: StateDep, idempotency_key: Key = None) -> Response:
    """Store feedback, then score it in the background. 202 comes only after the data is on disk.

    `(source, external_id)` is the identity: sending an item again changes nothing and counts as a
    duplicate. Received = stored + duplicates + quarantined. NDJSON may be of any length: it is stored a
    thousand lines at a time, and what was stored before a connection broke stays. The same
    `Idempotency-Key` with the same body is answered as the first time.
    """
    detector = LanguageDetector()
    if not is_ndjson(request.headers.get("content-type")):
        batch = await read_json(request, FeedbackBatch)
        answer, again = await asyncio.to_thread(
            _store, state, named(request, idempotency_key), batch.items, detector, 0
        )
        return _answer(FeedbackResponse.model_validate(answer), again)
    answers: list[FeedbackResponse] = []
    repeated: list[bool] = []
    async for items in read_lines(request):
        key = named(request, idempotency_key, part=len(answers))
        received = sum(a.received for a in answers)
        answer, again = await asyncio.to_thread(_store, state, key, items, detector, received)
        answers.append(FeedbackResponse.model_validate(answer))
        repeated.append(again)
    return _answer(add_up(answers), bool(repeated) and all(repeated))


def _store(
    state: State, key: str | None, items: list[Any], detector: LanguageDetector, first_index: int
) -> tuple[dict[str, Any], bool]:
    def work(conn: Connection) -> Mapping[str, Any]:
        return store_feedback(conn, items, detector, first_index=first_index).model_dump()

    with transaction(state.engine) as conn:
        found = once(conn, key, digest_of(items), work)
    state.wake()
    return found


def _answer(response: FeedbackResponse, again: bool) -> Response:
    headers = {"Idempotency-Replayed": "true"} if again else None
    return JSONResponse(response.model_dump(), 202, headers=headers)
