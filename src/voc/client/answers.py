"""What the API answers, as types; the descriptions are in its OpenAPI document (`/docs`)."""

from typing import Any, Literal, TypedDict


class Sentiment(TypedDict):
    """`score` is P(positive) - P(negative)."""

    label: Literal["negative", "neutral", "positive"]
    score: float
    proba: dict[str, float]


class Flag(TypedDict):
    """A calibrated probability, and whether it reaches the threshold."""

    proba: float
    flag: bool


Span = TypedDict("Span", {"for": str, "start": int, "end": int, "text": str})


class Score(TypedDict):
    """The score of one text; the heads are None where it is not supported."""

    id: str | None
    supported: bool
    reason: str | None
    language: str | None
    sentiment: Sentiment | None
    frustration: Flag | None
    signals: dict[str, Flag] | None
    evidence: list[Span]
    n_windows: int
    model: str
    problem: dict[str, str] | None


class Rejected(TypedDict):
    """An item that was not taken."""

    index: int
    field: str | None
    reason: str
    remedy: str | None


class FeedbackTaken(TypedDict):
    """received = stored + duplicates + quarantined."""

    received: int
    stored: int
    duplicates: int
    quarantined: int
    rejected: list[Rejected]


class EventsTaken(TypedDict):
    """received = stored + duplicates + rejected."""

    process: str
    received: int
    stored: int
    duplicates: int
    cases: int
    deviations: int | None
    rejected: list[Rejected]


class ChangesTaken(TypedDict):
    """received = stored + updated + rejected."""

    received: int
    stored: int
    updated: int
    rejected: list[Rejected]


class Aggregate(TypedDict):
    """An aggregate over time."""

    model: str | None
    points: list[dict[str, Any]]
    sources: list[dict[str, Any]]


class Heard(TypedDict):
    """What one customer turn sounds like."""

    index: int
    sentiment: float | None
    frustration: float | None
    frustrated: bool
    signals: list[str]


class Conversation(TypedDict):
    """Where a conversation stands."""

    conversation: str
    source: str
    model: str
    n_turns: int
    trajectory: list[Heard]
    shift: float | None
    frustration: float | None
    signals: list[str]
    whole: Score | None


class RootCause(TypedDict, total=False):
    """An outcome that goes with a deviation; `history` where one is asked for alone."""

    id: int
    process: str
    outcome: str
    kind: str
    step: str
    owner: str | None
    status: str
    odds_ratio: float | None
    ci_low: float | None
    ci_high: float | None
    q_value: float
    n_evidence: int
    history: list[dict[str, Any]]
