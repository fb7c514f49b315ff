"""Wire models. Records never leave as they are."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from voc.records import Score

MAX_ITEMS = 1000
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Strict(BaseModel):
    """What comes in: an unknown field is an error, so that a typo is not ignored."""

    model_config = ConfigDict(extra="forbid")


class ScoreItem(Strict):
    """One text to score."""

    id: Identifier | None = Field(None, examples=["r-1"])
    text: str = Field(examples=["I was charged twice and nobody answers!"])


class ScoreRequest(Strict):
    """Up to 1,000 texts."""

    items: list[ScoreItem] = Field(min_length=1, max_length=MAX_ITEMS)
    operating_point: str | None = Field(
        None, description="must be the one the service runs with; else an error", examples=[None]
    )


class SentimentOut(BaseModel):
    """Sentiment; `score` is P(positive) - P(negative)."""

    label: Literal["negative", "neutral", "positive"]
    score: float = Field(ge=-1, le=1)
    proba: dict[str, float]


class FlagOut(BaseModel):
    """A calibrated probability, and whether it reaches the threshold of the operating point."""

    proba: float = Field(ge=0, le=1)
    flag: bool


class SpanOut(BaseModel):
    """Characters `start` to `end` of the text speak for the label in `for`."""

    model_config = ConfigDict(populate_by_name=True)

    label: str = Field(alias="for", serialization_alias="for")
    start: int
    end: int
    text: str


class ScoreOut(BaseModel):
    """The score of one text; the heads are null where it is not supported."""

    id: str | None
    supported: bool
    reason: str | None = Field(description="why not: empty, no_words, language, too_long")
    language: str | None
    sentiment: SentimentOut | None
    frustration: FlagOut | None
    signals: dict[str, FlagOut] | None
    evidence: list[SpanOut]
    n_windows: int
    model: str

    @classmethod
    def of(cls, name: str | None, text: str, score: Score) -> "ScoreOut":
        """From a record."""
        heads: dict[str, object] = {"sentiment": None, "frustration": None, "signals": None}
        if score.sentiment_proba is not None:
            negative, neutral, positive = (round(p, 6) for p in score.sentiment_proba)
            heads = {
                "sentiment": {"label": score.sentiment, "score": round(score.sentiment_score or 0.0, 6),
                              "proba": {"negative": negative, "neutral": neutral, "positive": positive}},
                "frustration": {"proba": round(score.frustration or 0.0, 6), "flag": score.frustration_flag},
                "signals": {
                    s: {"proba": round(p, 6), "flag": s in score.flags} for s, p in score.signals.items()
                },
            }  # fmt: skip
        return cls.model_validate({
            "id": name, "supported": score.supported, "reason": score.reason, "language": score.language,
            **heads, "n_windows": score.n_windows, "model": score.model,
            "evidence": [{"for": s.label, "start": s.start, "end": s.end, "text": text[s.start : s.end]}
                         for s in score.evidence],
        })  # fmt: skip


class ScoreResponse(BaseModel):
    """One result for each item, in the same order."""

    model: str = Field(examples=["voc-small/1.0.0"])
    operating_point: str = Field(examples=["balanced"])
    results: list[ScoreOut]


class RatingIn(Strict):
    """What the customer ticked."""

    scale: Literal["nps", "csat", "ces", "stars"]
    value: float


class FeedbackItem(Strict):
    """One feedback; `(source, external_id)` is its identity, and sending it again changes nothing."""

    source: Identifier = Field(examples=["shop-survey"])
    kind: Literal["survey", "transcript", "social", "review", "ticket", "email", "staff_note"]
    external_id: Identifier = Field(examples=["S-1001"])
    text: str = Field(examples=["The refund never came."])
    occurred_at: datetime = Field(description="ISO 8601 with a zone", examples=["2026-03-02T10:00:00Z"])
    customer_ref: Identifier | None = None
    case_id: Identifier | None = None
    channel: Identifier | None = None
    segment: Identifier | None = None
    region: Identifier | None = None
    ratings: list[RatingIn] = []


class FeedbackRequest(Strict):
    """Up to 1,000 feedbacks."""

    items: list[FeedbackItem] = Field(min_length=1, max_length=MAX_ITEMS)


class Rejected(BaseModel):
    """An item that was put in quarantine; its neighbours are not affected."""

    index: int
    field: str | None
    reason: str
    remedy: str | None


class FeedbackResponse(BaseModel):
    """What became of the items: received = stored + duplicates + quarantined."""

    received: int
    stored: int
    duplicates: int
    quarantined: int
    rejected: list[Rejected]
