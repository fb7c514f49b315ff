"""`POST /v1/changes`: releases, policy changes, campaigns and outages; `GET` reads them back."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from api.idempotency import Key, digest_of, named
from api.intake import parse_each, to_utc
from api.paging import Cursor, read_cursor, write_cursor
from api.problems import responses
from api.schemas import MAX_ITEMS, Identifier, Note, Rejected, Strict, Time, each_for_itself
from api.state import StateDep
from voc.errors import InputError
from voc.records import Change
from voc.store.changes import list_changes, save_changes
from voc.store.engine import transaction
from voc.store.idempotency import once

router = APIRouter(tags=["process"])


class ChangeItem(Strict):
    """Something that was changed, or happened, and may explain what customers say afterwards."""

    id: Identifier = Field(examples=["CHG-1042"])
    title: Note = Field(examples=["New refund approval screen"])
    started_at: Time = Field(description="ISO 8601 with a zone", examples=["2026-03-02T09:20:00Z"])
    ended_at: Time | None = None
    kind: Identifier = Field("deployment", examples=["deployment"])
    scope: Annotated[dict[Identifier, Identifier], Field(max_length=50)] = Field(
        default_factory=dict, examples=[{"app": "billing"}]
    )
    external: bool = Field(False, description="nobody here made it: a strike, a storm")


class ChangeBatch(Strict):
    """Up to 1,000 changes, each checked for itself."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=each_for_itself("ChangeItem"))

    items: list[Any] = Field(min_length=1, max_length=MAX_ITEMS)


class ChangesTaken(BaseModel):
    """What became of them: received = stored + updated + rejected."""

    received: int
    stored: int
    updated: int
    rejected: list[Rejected]


class ChangeOut(BaseModel):
    """A change as it is stored."""

    id: str
    title: str
    started_at: datetime
    ended_at: datetime | None
    kind: str
    scope: dict[str, str]
    external: bool


class ChangesPage(BaseModel):
    """Changes by start, oldest first."""

    items: list[ChangeOut]
    next: str | None


@router.post("/changes", status_code=202, response_model=ChangesTaken,
             responses=responses(400, 401, 403, 409, 413, 422, 503))  # fmt: skip
async def post_changes(
    request: Request, body: ChangeBatch, state: StateDep, idempotency_key: Key = None
) -> Response:
    """Store changes. One with a known id takes the new values."""
    changes, rejected = parse_each(body.items, _change)
    latest = {change.id: change for change in changes}

    def work(conn: Connection) -> dict[str, Any]:
        n_new = save_changes(conn, latest.values())
        return {
            "received": len(body.items), "stored": n_new, "updated": len(changes) - n_new,
            "rejected": [wrong.model_dump() for wrong in rejected],
        }  # fmt: skip

    def store() -> tuple[dict[str, Any], bool]:
        with transaction(state.engine) as conn:
            return once(conn, named(request, idempotency_key), digest_of(body.model_dump()), work)

    answer, again = await asyncio.to_thread(store)
    return JSONResponse(answer, 202, headers={"Idempotency-Replayed": "true"} if again else None)


@router.get("/changes", responses=responses(401, 403, 404, 422, 503))
async def get_changes(
    state: StateDep, limit: Annotated[int, Query(ge=1, le=MAX_ITEMS)] = 100, cursor: Cursor = None
) -> ChangesPage:
    """Changes by start, oldest first."""
    place = read_cursor(cursor, (str, str))

    def read() -> list[Change]:
        with transaction(state.engine) as conn:
            return list_changes(conn, after=place, limit=limit + 1)

    found = await asyncio.to_thread(read)
    last = found[limit - 1] if len(found) > limit else None
    following = write_cursor((last.started_at.isoformat(), last.id)) if last else None
    items = [ChangeOut.model_validate(change, from_attributes=True) for change in found[:limit]]
    return ChangesPage(items=items, next=following)


def _change(raw: Any) -> Change:
    item = ChangeItem.model_validate(raw)
    started = to_utc(item.started_at, "started_at", future=True)
    ended = to_utc(item.ended_at, "ended_at", future=True) if item.ended_at else None
    if ended is not None and ended < started:
        raise InputError("is before its start", field="ended_at", remedy="swap them")
    values = item.model_dump(exclude={"started_at", "ended_at"})
    return Change(**values, started_at=started, ended_at=ended)
