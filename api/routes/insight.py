"""`GET /v1/sentiment` and `/v1/root-causes`: what dashboards ask for."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.problems import responses
from api.state import StateDep
from voc.errors import InputError
from voc.metrics import wilson_interval
from voc.records import Association
from voc.store.aggregates import Sentiment, sentiment, source_ages
from voc.store.engine import transaction
from voc.store.rootcauses import StoredRootCause, list_root_causes
from voc.store.scores import find_latest_model

router = APIRouter(tags=["insight"])
Group = Literal["source", "kind", "channel", "segment", "region"]


class Share(BaseModel):
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


class SentimentPoint(BaseModel):
    """One group in one interval. Groups of fewer than five customers are withheld: figures null."""

    start: datetime | None = Field(description="start of the interval, UTC")
    group: dict[str, str | None]
    withheld: bool
    n: int | None
    mean: float | None = Field(description="in [-1, 1]")
    mean_low: float | None
    mean_high: float | None
    negative: Share | None
    frustrated: Share | None

    @classmethod
    def of(cls, s: Sentiment) -> "SentimentPoint":
        """From the store's row."""
        if s.withheld or not s.n or s.mean is None:
            return cls(start=s.start, group=dict(s.group), withheld=s.withheld, n=None, mean=None, mean_low=None,
                       mean_high=None, negative=None, frustrated=None)  # fmt: skip
        error = 1.96 * (s.sd or 0.0) / s.n**0.5
        return cls(
            start=s.start, group=dict(s.group), withheld=False, n=s.n, mean=s.mean,
            mean_low=max(-1.0, s.mean - error), mean_high=min(1.0, s.mean + error),
            negative=_share(s.n_negative or 0, s.n), frustrated=_share(s.n_frustrated or 0, s.n),
        )  # fmt: skip


class SourceFreshness(BaseModel):
    """How old a source's data is."""

    source: str
    last_ingested_at: datetime | None
    age_s: float | None


class SentimentResponse(BaseModel):
    """Sentiment over time; `model` is what scored it."""

    model: str | None = Field(examples=["voc-small/1.0.0"])
    points: list[SentimentPoint]
    sources: list[SourceFreshness]


@router.get("/sentiment", responses=responses(401, 403, 422, 503))
async def get_sentiment(
    state: StateDep,
    interval: Literal["hour", "day", "week", "month"] | None = None,
    group_by: Annotated[list[Group] | None, Query(description="may be given again")] = None,
    start: Annotated[datetime | None, Query(alias="from", examples=["2026-03-01T00:00:00Z"])] = None,
    end: Annotated[datetime | None, Query(alias="to", examples=["2026-04-01T00:00:00Z"])] = None,
    source: Annotated[list[str] | None, Query()] = None,
    channel: Annotated[list[str] | None, Query()] = None,
    segment: Annotated[list[str] | None, Query()] = None,
    region: Annotated[list[str] | None, Query()] = None,
) -> SentimentResponse:
    """Mean sentiment, share negative and share frustrated, each with its interval and n."""
    for name, value in (("from", start), ("to", end)):
        if value is not None and value.tzinfo is None:
            raise InputError("has no time zone", field=name, remedy="write it as 2026-03-02T10:00:00Z")
    chosen = {"source": source, "channel": channel, "segment": segment, "region": region}
    filters = {name: values for name, values in chosen.items() if values}

    def read() -> SentimentResponse:
        with transaction(state.engine) as conn:
            model = find_latest_model(conn)
            found = (
                sentiment(
                    conn,
                    model,
                    interval=interval,
                    group_by=group_by or (),
                    start=start,
                    end=end,
                    filters=filters,
                )
                if model
                else []
            )
            ages = source_ages(conn)
        now = datetime.now(UTC)
        return SentimentResponse(
            model=model,
            points=[SentimentPoint.of(s) for s in found],
            sources=[
                SourceFreshness(
                    source=a.source,
                    last_ingested_at=a.last_ingested_at,
                    age_s=(now - a.last_ingested_at).total_seconds() if a.last_ingested_at else None,
                )
                for a in ages
            ],
        )

    return await asyncio.to_thread(read)


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


class RootCausesResponse(BaseModel):
    """Root causes, heaviest first."""

    root_causes: list[RootCauseOut]


@router.get("/root-causes", responses=responses(401, 403, 422, 503))
async def get_root_causes(
    state: StateDep,
    process: Annotated[list[str] | None, Query()] = None,
    status: Annotated[
        list[Literal["proposed", "confirmed", "rejected", "acting", "verifying", "closed"]] | None, Query()
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> RootCausesResponse:
    """Root causes of the latest computation, ranked by how many cases with the outcome they go with."""

    def read() -> list[StoredRootCause]:
        with transaction(state.engine) as conn:
            return list_root_causes(conn, processes=process, statuses=status, limit=limit)

    return RootCausesResponse(root_causes=[RootCauseOut.of(r) for r in await asyncio.to_thread(read)])


def _share(hits: int, n: int) -> Share:
    low, high = wilson_interval(hits, n)
    return Share(value=hits / n, low=low, high=high)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
