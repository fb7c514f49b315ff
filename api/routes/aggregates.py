"""`GET /v1/sentiment`, `/v1/signals` and `/v1/kpis`: what dashboards ask for."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from api.caching import NOT_MODIFIED, answer
from api.figures import WEIGHTS, KpiPoint, SentimentPoint, SignalsPoint, share
from api.intake import to_utc
from api.problems import responses
from api.schemas import Identifier, Strict, Time
from api.state import State, StateDep
from voc.store import aggregates, seams
from voc.store.aggregates import Cell, last_ingests
from voc.store.engine import transaction
from voc.store.scores import find_latest_model
from voc.taxonomy import SIGNALS

router = APIRouter(tags=["aggregates"])
T = TypeVar("T")
Group = Literal["source", "kind", "channel", "segment", "region", "step", "owner"]
Values = Annotated[list[Identifier], Field(default_factory=list, max_length=100)]
_AGE = {"sources": {"__all__": {"age_s"}}}
_DESCRIBED: Any = {**responses(401, 403, 422, 503), **NOT_MODIFIED}


class AggregateQuery(Strict):
    """What is asked for. Filters keep the values given; each may be given again."""

    interval: Literal["hour", "day", "week", "month"] | None = None
    group_by: list[Group] = Field(default_factory=list, max_length=7, description="may be given again")
    start: Time | None = Field(
        None, alias="from", description="rounded down to the hour", examples=["2026-03-01T00:00:00Z"]
    )
    end: Time | None = Field(
        None, alias="to", description="rounded up to the hour", examples=["2026-04-01T00:00:00Z"]
    )
    source: Values
    kind: Values
    channel: Values
    segment: Values
    region: Values
    step: Values = Field(
        default_factory=list, max_length=100, description="feedback on cases that deviated at this step"
    )
    owner: Values = Field(
        default_factory=list, max_length=100, description="the same, for steps of this owner"
    )

    def query(self) -> aggregates.Query:
        """In the store's terms."""
        names = ("source", "kind", "channel", "segment", "region", "step", "owner")
        return aggregates.Query(
            interval=self.interval,
            group_by=tuple(self.group_by),
            filters={name: values for name in names if (values := getattr(self, name))},
            start=to_utc(self.start, "from", future=True) if self.start else None,
            end=to_utc(self.end, "to", future=True) if self.end else None,
        )


Asked = Annotated[AggregateQuery, Query()]


class SourceFreshness(BaseModel):
    """How old a source's data is."""

    source: str
    last_ingested_at: datetime | None
    age_s: float | None


class SeamMark(BaseModel):
    """From `at` on, figures come from the model `after`: a step in a curve here may be the model's."""

    at: datetime
    before: str
    after: str


class SentimentResponse(BaseModel):
    """Sentiment over time; `model` scored last, each point says which model its figures come from."""

    model: str | None = Field(examples=["voc-small/1.0.0"])
    seams: list[SeamMark] = Field(description="changes of model; empty once history is scored anew")
    points: list[SentimentPoint]
    sources: list[SourceFreshness]


class SignalsResponse(BaseModel):
    """Signals over time; `model` is what scored them."""

    model: str | None = Field(examples=["voc-small/1.0.0"])
    points: list[SignalsPoint]
    sources: list[SourceFreshness]


class KpisResponse(BaseModel):
    """KPIs over time; `weights` are those of the experience score's parts where all are there."""

    model: str | None = Field(examples=["voc-small/1.0.0"])
    weights: dict[str, float] = Field(default=WEIGHTS)
    points: list[KpiPoint]
    sources: list[SourceFreshness]


@router.get("/sentiment", response_model=SentimentResponse, responses=_DESCRIBED)
async def get_sentiment(request: Request, state: StateDep, asked: Asked) -> Response:
    """Mean sentiment, and shares negative, neutral, positive and frustrated, by interval and group."""
    query = asked.query()

    def read(conn: Connection) -> SentimentResponse:
        found = seams.sentiment_by_model(conn, query)
        return SentimentResponse(
            model=find_latest_model(conn),
            seams=[SeamMark(at=s.at, before=s.before, after=s.after) for s in seams.find_seams(found)],
            points=[SentimentPoint.of(cell, model) for model, cell in found],
            sources=_sources(conn),
        )

    return answer(request, await _read(state, read), but_for=_AGE)


@router.get("/signals", response_model=SignalsResponse, responses=_DESCRIBED)
async def get_signals(request: Request, state: StateDep, asked: Asked) -> Response:
    """The share of feedback in which each signal is raised, by interval and group."""
    query = asked.query()

    def read(conn: Connection) -> SignalsResponse:
        model = find_latest_model(conn)
        cells = aggregates.sentiment(conn, model, query) if model else []
        raised = aggregates.signals(conn, model, query) if model else {}
        return SignalsResponse(
            model=model,
            points=[_signals(cell, raised.get(_key(cell), {})) for cell in cells],
            sources=_sources(conn),
        )

    return answer(request, await _read(state, read), but_for=_AGE)


@router.get("/kpis", response_model=KpisResponse, responses=_DESCRIBED)
async def get_kpis(request: Request, state: StateDep, asked: Asked) -> Response:
    """NPS, CSAT and CES, and a cross-channel experience score whose parts sum to it."""
    query = asked.query()

    def read(conn: Connection) -> KpisResponse:
        model = find_latest_model(conn)
        said = {_key(c): c for c in (aggregates.sentiment(conn, model, query) if model else [])}
        ticked = {_key(c): c for c in aggregates.ratings(conn, query)}
        keys = sorted(said.keys() | ticked.keys(), key=lambda k: tuple((v is None, str(v)) for v in k))
        points = [KpiPoint.of(ticked.get(key), said.get(key)) for key in keys]
        return KpisResponse(model=model, points=points, sources=_sources(conn))

    return answer(request, await _read(state, read), but_for=_AGE)


def _signals(cell: Cell, raised: dict[str, int]) -> SignalsPoint:
    n = None if cell.withheld else int(cell.figures["n"])
    shares = None if n is None else {name: share(raised.get(name, 0), n) for name in SIGNALS}
    return SignalsPoint(start=cell.start, group=dict(cell.group), withheld=n is None, n=n, signals=shares)


def _key(cell: Cell) -> tuple[Any, ...]:
    return (cell.start, *cell.group.values())


async def _read(state: State, read: Callable[[Connection], T]) -> T:
    def work() -> T:
        with transaction(state.engine) as conn:
            return read(conn)

    return await asyncio.to_thread(work)


def _sources(conn: Connection) -> list[SourceFreshness]:
    now = datetime.now(UTC)
    return [
        SourceFreshness(source=name, last_ingested_at=at, age_s=(now - at).total_seconds() if at else None)
        for name, at in last_ingests(conn).items()
    ]
