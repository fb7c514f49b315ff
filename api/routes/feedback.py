"""`POST /v1/feedback`: durable intake."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api.problems import responses
from api.schemas import MAX_ITEMS, FeedbackItem, FeedbackResponse, Rejected
from api.state import State, StateDep
from voc.classify.scorer import MAX_CHARS
from voc.errors import InputError
from voc.language import LanguageDetector
from voc.records import Feedback, Rating
from voc.store.engine import transaction
from voc.store.feedback import insert_feedback
from voc.store.quarantine import BadRow, save_quarantine
from voc.taxonomy import RATING_SCALES

router = APIRouter(tags=["feedback"])
_detector = LanguageDetector
_FUTURE = timedelta(days=1)  # clocks differ


class Batch(BaseModel):
    """Up to 1,000 items, each checked for itself: a bad one goes to quarantine, the others are stored."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"properties": {"items": {"items": FeedbackItem.model_json_schema()}}},
    )

    items: list[dict[str, Any]] = Field(min_length=1, max_length=MAX_ITEMS)


@router.post("/feedback", status_code=202, responses=responses(401, 403, 413, 422, 429, 503))
async def feedback(body: Batch, state: StateDep) -> FeedbackResponse:
    """Store feedback, then score it in the background. 202 comes only after the data is on disk.

    `(source, external_id)` is the identity: sending an item again changes nothing and counts as a
    duplicate. Received = stored + duplicates + quarantined.
    """
    response = await asyncio.to_thread(_store, body.items, state)
    state.arrived.set()
    return response


def _store(items: list[dict[str, Any]], state: State) -> FeedbackResponse:
    records: list[Feedback] = []
    rejected: list[Rejected] = []
    bad: list[BadRow] = []
    detector = _detector()
    for index, item in enumerate(items):
        try:
            records.append(_record(item, detector))
        except (ValidationError, InputError) as error:
            wrong = _rejected(index, error)
            rejected.append(wrong)
            source = item.get("source")
            bad.append(BadRow(
                source=source if isinstance(source, str) and source else "api", file="api", row=index + 1,
                mapping="api", mapping_version="1", field=wrong.field, reason=wrong.reason,
                remedy=wrong.remedy or "", raw=item,
            ))  # fmt: skip
    with transaction(state.engine) as conn:
        inserted = insert_feedback(conn, records)
        save_quarantine(conn, bad)
    return FeedbackResponse(
        received=len(items),
        stored=inserted.stored,
        duplicates=inserted.duplicates + inserted.already_there,
        quarantined=len(bad),
        rejected=rejected,
    )


def _record(item: dict[str, Any], detector: LanguageDetector) -> Feedback:
    parsed = FeedbackItem.model_validate(item)
    if parsed.occurred_at.tzinfo is None:
        raise InputError("has no time zone", field="occurred_at", remedy="write it as 2026-03-02T10:00:00Z")
    occurred_at = parsed.occurred_at.astimezone(UTC)
    if occurred_at > datetime.now(UTC) + _FUTURE:
        raise InputError("lies in the future", field="occurred_at", remedy="check the sender's clock")
    if len(parsed.text) > MAX_CHARS:
        raise InputError(
            f"is {len(parsed.text):,} characters; the limit is {MAX_CHARS:,}", field="text", remedy="split it"
        )
    if "\0" in parsed.text:
        raise InputError("holds a NUL character", field="text", remedy="remove it")
    for rating in parsed.ratings:
        low, high = RATING_SCALES[rating.scale]
        if not low <= rating.value <= high:
            raise InputError(
                f"{rating.value:g} is not between {low:g} and {high:g}", field="ratings", remedy="correct it"
            )
    plain = parsed.model_dump(exclude={"ratings", "occurred_at"})
    return Feedback(
        **plain,
        occurred_at=occurred_at,
        ratings=tuple(Rating(r.scale, r.value) for r in parsed.ratings),
        language=detector.detect(parsed.text).code,
    )


def _rejected(index: int, error: ValidationError | InputError) -> Rejected:
    if isinstance(error, InputError):
        return Rejected(index=index, field=error.field, reason=error.reason, remedy=error.remedy)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    return Rejected(index=index, field=field, reason=first["msg"], remedy="see the schema of an item")
