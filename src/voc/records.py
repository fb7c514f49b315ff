"""The records that areas pass to one another: frozen, standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a record came from."""

    file: str
    row: int  # counts from 1, header left out
    mapping: str
    mapping_version: str


@dataclass(frozen=True, slots=True)
class Rating:
    """What the customer ticked: `scale` is a key of `taxonomy.RATING_SCALES`."""

    scale: str
    value: float


@dataclass(frozen=True, slots=True)
class Feedback:
    """One normalised verbatim. `(source, external_id)` is its identity.

    A turn of a transcript is a feedback with `conversation_id`, `turn_index` and `speaker` set;
    a survey response with several verbatims gives one feedback for each, told apart by external id.
    """

    source: str  # name of the source, e.g. "star"
    kind: str  # one of taxonomy.SOURCE_KINDS
    external_id: str
    text: str
    occurred_at: datetime  # UTC
    customer_ref: str | None = None
    case_id: str | None = None
    conversation_id: str | None = None
    turn_index: int | None = None
    speaker: str | None = None  # customer, agent, system
    channel: str | None = None
    segment: str | None = None
    region: str | None = None
    language: str | None = None
    ratings: tuple[Rating, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    lineage: Lineage | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of evidence: characters `start` to `end` of the text speak for `label`."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Score:
    """What one bundle said of one text. Probabilities are calibrated; None where unsupported."""

    supported: bool
    reason: str | None  # why not supported: "empty", "language"
    language: str | None
    sentiment: str | None
    sentiment_score: float | None  # in [-1, 1]: P(positive) - P(negative)
    sentiment_proba: tuple[float, float, float] | None  # order of taxonomy.SENTIMENTS
    frustration: float | None
    frustration_flag: bool | None
    signals: Mapping[str, float]
    flags: tuple[str, ...]  # signals at or above their threshold
    evidence: tuple[Span, ...]
    n_windows: int
    model: str  # "name/version"
    embedding: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One row of an event log (XES, OCEL 2.0 terms)."""

    case_id: str
    activity: str
    timestamp: datetime | None  # UTC
    resource: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deviation:
    """Where a case left the map.

    `event_index` are positions of the events within the case after ordering, counted from 0.
    `magnitude_s` is seconds over the limit, or the time the extra work took; None without times.
    `basis` says who says so: "map" or "baseline" (learned from the log).
    """

    case_id: str
    kind: str  # a key of taxonomy.DEVIATION_KINDS
    step: str
    from_step: str | None
    timestamp: datetime | None  # UTC
    magnitude_s: float | None
    event_index: tuple[int, ...]
    basis: str = "map"
    owner: str | None = None
    process: str | None = None  # map name and version, "name@version"


@dataclass(frozen=True, slots=True)
class Change:
    """A deployment, policy change, campaign or outage."""

    id: str
    title: str
    started_at: datetime  # UTC
    ended_at: datetime | None = None
    kind: str = "deployment"
    scope: Mapping[str, str] = field(default_factory=dict)
    external: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Feedback tied to a case's deviations. `basis` is "case" or "customer_window"."""

    feedback_id: int
    case_id: str
    basis: str
    confidence: float  # in (0, 1]


@dataclass(frozen=True, slots=True)
class Association:
    """How an outcome of cases goes with a deviation at a step. An association is not a cause.

    Counts are of cases. `odds_ratio` is stratified (Mantel-Haenszel); `ci_low` and `ci_high`
    bound it at 95 %. `q_value` is `p_value` after the false discovery rate correction over
    everything tested; `reported` is `q_value <= fdr` and odds_ratio > 1.
    """

    outcome: str
    kind: str
    step: str
    odds_ratio: float
    ci_low: float
    ci_high: float
    p_value: float
    q_value: float
    n_exposed: int
    n_exposed_outcome: int
    n_unexposed: int
    n_unexposed_outcome: int
    risk_difference: float
    attributable_fraction: float
    homogeneity_p: float | None
    reported: bool


@dataclass(frozen=True, slots=True)
class RootCause:
    """A hypothesis: this deviation at this step goes with this outcome; with its provenance."""

    association: Association
    process: str
    owner: str | None
    status: str  # proposed, confirmed, rejected, acting, verifying, closed
    bundle: str
    window: tuple[datetime, datetime]
    evidence: tuple[tuple[int, str], ...]  # (feedback id, case id)
    theme_fit: str | None = None  # the fit whose themes were among the outcomes tested
    details: Mapping[str, Any] = field(default_factory=dict)  # lag and dose-response, as JSON holds them


@dataclass(frozen=True, slots=True)
class Quote:
    """A text that stands for its theme."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Theme:
    """A recurring topic with an id that survives refits.

    `name_by` and `owner_by` are the person who set them; None: made by the fit, and made anew by the
    next. `merged` are ids of themes that a person joined into this one; `broad` is the name of the wider
    theme it belongs to.
    """

    id: str
    name: str
    terms: tuple[str, ...]
    n_texts: int
    quotes: tuple[Quote, ...] = ()
    broad: str | None = None
    owner: str | None = None
    name_by: str | None = None
    owner_by: str | None = None
    merged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ThemeEvent:
    """What a refit did to a theme.

    `kind`: "survived", "born", "died", "split" (`theme` is new and came out of `other`) or "merged"
    (`theme` is old and went into `other`). `share` is of the theme's texts: how many went, or came, with it.
    """

    kind: str
    theme: str
    other: str | None = None
    n_shared: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class ThemeFitInfo:
    """Which fit themes come from: `digest` names it, `previous` the one it went on from."""

    digest: str
    bundle: str  # "name/version"
    method: str
    seed: int
    n_texts: int
    fingerprint: str
    coverage: float
    threshold: float
    previous: str | None = None
