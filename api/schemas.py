"""Wire models. Records never leave as they are."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter

from api.problem import FieldError
from voc.cli.score import score_to_dict
from voc.records import Score

MAX_ITEMS = 1000
NO_NUL = r"^[^\x00]*$"  # the database can't keep NUL
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NO_NUL)]
_DATETIME = TypeAdapter(datetime)
_ISO = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
Note = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=NO_NUL)]


def _iso(value: object) -> datetime:
    if not isinstance(value, str) or not _ISO.match(value):
        raise ValueError("write a time as 2026-03-02T10:00:00Z")  # and not as seconds since 1970
    return _DATETIME.validate_python(value)


Time = Annotated[datetime, BeforeValidator(_iso)]


class Strict(BaseModel):
    """What comes in: an unknown field is an error, so that a typo is not ignored, and "3" is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ScoreItem(Strict):
    """One text to score."""

    id: Identifier | None = Field(None, examples=["r-1"])
    text: str = Field(examples=["I was charged twice and nobody answers!"])


def each_for_itself(item: str) -> Callable[[dict[str, Any]], None]:
    """Schema of a batch whose items are checked one by one: whatever is not an `item` is answered so."""

    def say_so(schema: dict[str, Any]) -> None:
        anything = {"description": f"anything else is taken too, and answered as no {item}"}
        schema["properties"]["items"]["items"] = {
            "anyOf": [{"$ref": f"#/components/schemas/{item}"}, anything]
        }

    return say_so


class ScoreBatch(Strict):
    """Up to 1,000 texts; a wrong item is answered with what is wrong, and its neighbours are scored."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=each_for_itself("ScoreItem"))

    items: list[Any] = Field(min_length=1, max_length=MAX_ITEMS)


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
    reason: str | None = Field(description="why not: empty, no_words, language, too_long, invalid")
    language: str | None
    sentiment: SentimentOut | None
    frustration: FlagOut | None
    signals: dict[str, FlagOut] | None
    evidence: list[SpanOut]
    n_windows: int
    model: str
    problem: FieldError | None = Field(None, description="what is wrong with the item, where it is invalid")


def score_out(name: str | None, text: str, score: Score) -> dict[str, Any]:
    """A score in the form of `ScoreOut`; a plain dict, since many are written a second."""
    return {**score_to_dict(name, text, score), "problem": None}


def invalid_out(name: str | None, wrong: FieldError, model: str) -> dict[str, Any]:
    """The form of `ScoreOut` for an item that is no text to score."""
    heads = dict.fromkeys(("language", "sentiment", "frustration", "signals"))
    return {"id": name, "supported": False, "reason": "invalid", **heads, "evidence": [], "n_windows": 0,
            "model": model, "problem": wrong.model_dump()}  # fmt: skip


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
    occurred_at: Time = Field(description="ISO 8601 with a zone", examples=["2026-03-02T10:00:00Z"])
    customer_ref: Identifier | None = None
    case_id: Identifier | None = None
    channel: Identifier | None = None
    segment: Identifier | None = None
    region: Identifier | None = None
    ratings: list[RatingIn] = []


class FeedbackBatch(Strict):
    """Up to 1,000 items, each checked for itself: a bad one goes to quarantine, the others are stored."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=each_for_itself("FeedbackItem"))

    items: list[Any] = Field(min_length=1, max_length=MAX_ITEMS)


class Rejected(BaseModel):
    """An item that was put in quarantine; its neighbours are not affected."""

    index: int = Field(description="place in what was sent, from 0")
    field: str | None
    reason: str
    remedy: str | None


class FeedbackResponse(BaseModel):
    """What became of the items: received = stored + duplicates + quarantined."""

    received: int
    stored: int
    duplicates: int
    quarantined: int
    rejected: list[Rejected] = Field(description="the first thousand of those quarantined")
