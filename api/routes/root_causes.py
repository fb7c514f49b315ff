"""`/v1/root-causes`: what goes with what, the evidence, and what people decided about it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field, JsonValue
from sqlalchemy import Connection

from api.openapi import lines_too
from api.paging import Cursor, read_cursor, write_cursor
from api.problems import responses
from api.schemas import MAX_ITEMS, Identifier, Note, Strict
from api.state import State, StateDep
from api.streams import LineStream, lines_of, wants_ndjson
from voc.records import Association
from voc.store.engine import transaction
from voc.store.rootcauses import (
    Evidence,
    StoredRootCause,
    get_root_cause,
    list_root_causes,
    page_key,
    read_evidence,
    read_history,
    set_owner,
    set_status,
)

router = APIRouter(prefix="/root-causes", tags=["root causes"])
Number = Annotated[int, Path(ge=1, lt=2**63, examples=[12])]
Limit = Annotated[int, Query(ge=1, le=MAX_ITEMS)]
Status = Literal["proposed", "confirmed", "rejected", "acting", "verifying", "closed"]


class RootCauseOut(BaseModel):
    """An outcome that goes with a deviation, within strata; an association, not yet a cause."""

    id: int
    process: str
    outcome: str = Field(examples=["delay"])
    kind: str = Field(examples=["handoff_delay"])
    step: str = Field(examples=["hand to courier"])
    owner: str | None = Field(description="null: nobody owns the step, which is a finding of its own")
    status: str
    odds_ratio: float | None
    ci_low: float | None
    ci_high: float | None
    q_value: float
    n_exposed: int
    n_exposed_outcome: int
    n_unexposed: int
    n_unexposed_outcome: int
    risk_difference: float | None
    attributable_fraction: float | None
    n_evidence: int
    model: str
    window_start: datetime
    window_end: datetime
    fdr: float
    method: str
    first_found_at: datetime
    computed_at: datetime

    @classmethod
    def of(cls, stored: StoredRootCause) -> "RootCauseOut":
        """From the store's record."""
        cause = stored.cause
        figures = {
            name: _finite(getattr(cause.association, name))
            for name in Association.__dataclass_fields__
            if name in cls.model_fields
        }
        return cls.model_validate({
            **figures, "id": stored.id, "process": cause.process, "owner": cause.owner, "status": cause.status,
            "n_evidence": stored.n_evidence, "model": cause.bundle, "window_start": cause.window[0],
            "window_end": cause.window[1], "fdr": stored.fdr, "method": stored.method,
            "first_found_at": stored.first_found_at, "computed_at": stored.computed_at,
        })  # fmt: skip


class RootCausesPage(BaseModel):
    """Root causes, heaviest first."""

    root_causes: list[RootCauseOut]
    next: str | None


class HistoryOut(BaseModel):
    """What moved, when, and who moved it."""

    at: datetime
    who: str
    action: str = Field(examples=["status"])
    changes: dict[str, list[JsonValue]] = Field(examples=[{"status": ["proposed", "confirmed"]}])
    note: str | None


class RootCauseDetail(RootCauseOut):
    """A root cause with its history, oldest first."""

    history: list[HistoryOut]


class Verdict(Strict):
    """What a person decides; what is left out stays. `owner` null: back to the process map's owner."""

    who: Identifier = Field(description="who decides; goes into the history", examples=["d.lopez"])
    status: Status | None = Field(None, examples=["confirmed"])
    owner: Identifier | None = Field(None, examples=["Billing Ops"])
    note: Note | None = None


class EvidenceOut(BaseModel):
    """One feedback behind a root cause, with the case that it speaks about."""

    feedback_id: int
    case_id: str
    source: str
    external_id: str
    occurred_at: datetime
    text: str


class EvidencePage(BaseModel):
    """Evidence, surest first."""

    items: list[EvidenceOut]
    next: str | None


@router.get("", responses=responses(401, 403, 404, 422, 503))
async def get_root_causes(
    state: StateDep,
    process: Annotated[list[Identifier] | None, Query(max_length=100)] = None,
    status: Annotated[list[Status] | None, Query(max_length=6)] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> RootCausesPage:
    """Root causes of the latest computation, ranked by how many cases with the outcome they go with."""
    after: Any = read_cursor(cursor, (int, int, float, float, int))

    def read(conn: Connection) -> list[StoredRootCause]:
        return list_root_causes(conn, processes=process, statuses=status, limit=limit + 1, after=after)

    found = await _in_store(state, read)
    following = write_cursor(page_key(found[limit - 1])) if len(found) > limit else None
    return RootCausesPage(root_causes=[RootCauseOut.of(r) for r in found[:limit]], next=following)


@router.get("/{id}", responses=responses(401, 403, 404, 422, 503))
async def get_one(id: Number, state: StateDep) -> RootCauseDetail:
    """One root cause with all that happened to it."""
    return await _in_store(state, lambda conn: _detail(conn, id))


@router.patch("/{id}", responses=responses(400, 401, 403, 404, 413, 422, 503))
async def patch_one(id: Number, body: Verdict, state: StateDep) -> RootCauseDetail:
    """Set status or owner. Computing again leaves both alone; the history tells who set them."""

    def write(conn: Connection) -> RootCauseDetail:
        if body.status is not None:
            set_status(conn, id, body.status, who=body.who, note=body.note)
        if "owner" in body.model_fields_set:
            set_owner(conn, id, body.owner, who=body.who, note=body.note)
        return _detail(conn, id)

    return await _in_store(state, write)


@router.get(
    "/{id}/evidence",
    response_model=EvidencePage,
    responses={**responses(401, 403, 404, 422, 503), **lines_too("items", {"feedback_id": 7})},
)
async def get_evidence(
    request: Request, id: Number, state: StateDep, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """The feedback behind a root cause, surest first. With `Accept: application/x-ndjson`, all of it from
    the cursor on, one a line, streamed."""
    (start,) = read_cursor(cursor, (int,)) or (0,)

    def read(conn: Connection, offset: int, n: int) -> list[Evidence]:
        get_root_cause(conn, id)
        return read_evidence(conn, id, offset=offset, limit=n)

    if wants_ndjson(request):

        async def pieces() -> AsyncIterator[bytes]:
            found: list[Evidence] = []
            offset = start
            while offset == start or found:
                found = await _in_store(state, partial(read, offset=offset, n=MAX_ITEMS))
                yield lines_of(_evidence_out(one).model_dump(mode="json") for one in found)
                offset += max(1, len(found))

        return LineStream(request, pieces())
    found = await _in_store(state, partial(read, offset=start, n=limit + 1))
    following = write_cursor((start + limit,)) if len(found) > limit else None
    page = EvidencePage(items=[_evidence_out(one) for one in found[:limit]], next=following)
    return Response(page.model_dump_json(), media_type="application/json")


def _evidence_out(one: Evidence) -> EvidenceOut:
    return EvidenceOut.model_validate(one, from_attributes=True)


def _detail(conn: Connection, number: int) -> RootCauseDetail:
    summary = RootCauseOut.of(get_root_cause(conn, number))
    history = [
        HistoryOut(at=h.at, who=h.who, action=h.action, note=h.note,
                   changes={name: list(pair) for name, pair in h.changes.items()})
        for h in read_history(conn, number)
    ]  # fmt: skip
    return RootCauseDetail(**summary.model_dump(), history=history)


async def _in_store(state: State, work: Any) -> Any:
    def run() -> Any:
        with transaction(state.engine) as conn:
            return work(conn)

    return await asyncio.to_thread(run)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
