"""`POST /v1/events`: rows of an event log as they happen; their cases are checked at once."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from sqlalchemy import Connection

from api.idempotency import Key, digest_of, named
from api.intake import parse_each, to_utc
from api.problems import responses
from api.schemas import MAX_ITEMS, Identifier, Rejected, Strict, Time, each_for_itself
from api.state import StateDep
from voc.errors import InputError
from voc.pipeline.events import take_events
from voc.records import Event
from voc.store.engine import transaction
from voc.store.idempotency import once

router = APIRouter(tags=["process"])


ProcessName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^@\x00]*$")]


class EventItem(Strict):
    """One event of one case (XES, OCEL 2.0 terms)."""

    case_id: Identifier = Field(examples=["O-5571"])
    activity: Identifier = Field(examples=["hand to courier"])
    timestamp: Time = Field(description="ISO 8601 with a zone", examples=["2026-03-02T09:20:00Z"])
    resource: Identifier | None = Field(None, examples=["warehouse 2"])
    attributes: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="`case` in them may hold customer_ref, segment, channel and region",
        examples=[{"case": {"customer_ref": "c-17", "segment": "private"}}],
    )


class EventBatch(Strict):
    """Up to 1,000 events of one process, each checked for itself."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=each_for_itself("EventItem"))

    process: ProcessName = Field(examples=["orders"])
    items: list[Any] = Field(min_length=1, max_length=MAX_ITEMS)


class EventsTaken(BaseModel):
    """What became of them: received = stored + duplicates + rejected."""

    process: str = Field(description="name@version of the map", examples=["orders@3"])
    received: int
    stored: int
    duplicates: int
    cases: int = Field(description="how many cases have new events")
    deviations: int | None = Field(description="in these cases now; null where no map is known")
    rejected: list[Rejected]


@router.post("/events", status_code=202, response_model=EventsTaken,
             responses=responses(400, 401, 403, 409, 413, 422, 503))  # fmt: skip
async def post_events(
    request: Request, body: EventBatch, state: StateDep, idempotency_key: Key = None
) -> Response:
    """Add events to their cases, in any order; one sent again is a duplicate. A process without a map
    keeps its events until it has one."""
    events, rejected = parse_each(body.items, _event)

    def work(conn: Connection) -> dict[str, Any]:
        taken = take_events(conn, body.process, events)
        return {
            "process": taken.process, "received": len(body.items), "stored": taken.appended.stored,
            "duplicates": taken.appended.duplicates, "cases": len(taken.appended.cases),
            "deviations": taken.deviations, "rejected": [wrong.model_dump() for wrong in rejected],
        }  # fmt: skip

    def store() -> tuple[dict[str, Any], bool]:
        with transaction(state.engine) as conn:
            return once(conn, named(request, idempotency_key), digest_of(body.model_dump()), work)

    answer, again = await asyncio.to_thread(store)
    return JSONResponse(answer, 202, headers={"Idempotency-Replayed": "true"} if again else None)


def _event(raw: Any) -> Event:
    item = EventItem.model_validate(raw)
    if _holds_nul(item.attributes):
        raise InputError("hold a NUL character", field="attributes", remedy="remove it")
    time = to_utc(item.timestamp, "timestamp")
    return Event(item.case_id, item.activity, time, item.resource, item.attributes)


def _holds_nul(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return any(_holds_nul(k) or _holds_nul(v) for k, v in value.items())
    if isinstance(value, list):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value
