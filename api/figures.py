"""Sums from the store to the figures of a dashboard: each with its n and its 95 % interval."""

from collections.abc import Mapping
from datetime import datetime
from math import sqrt
from typing import Final

from pydantic import BaseModel, Field

from voc.metrics import mean_interval, net_promoter_score, wilson_interval
from voc.store.aggregates import Cell

# What each part of the experience score weighs; those without answers are left out, and the others share
# their weight. Ours to choose, and said with each answer.
WEIGHTS: Final = {"sentiment": 0.3, "calm": 0.2, "nps": 0.2, "csat": 0.2, "ces": 0.1}


class Figure(BaseModel):
    """A number with its 95 % interval and how many it rests on."""

    value: float
    low: float
    high: float
    n: int


class Share(BaseModel):
    """A share with its 95 % interval (Wilson)."""

    value: float = Field(ge=0, le=1)
    low: float
    high: float


class Point(BaseModel):
    """One group in one interval. Groups of fewer than five customers are withheld: figures null."""

    start: datetime | None = Field(description="start of the interval, UTC")
    group: dict[str, str | None]
    withheld: bool


class SentimentPoint(Point):
    """How customers of a group feel."""

    model: str = Field(examples=["voc-small/1.0.0"])
    n: int | None
    mean: float | None = Field(description="in [-1, 1]")
    mean_low: float | None
    mean_high: float | None
    negative: Share | None
    neutral: Share | None
    positive: Share | None
    frustrated: Share | None

    @classmethod
    def of(cls, cell: Cell, model: str) -> "SentimentPoint":
        """From the store's sums of what `model` found."""
        names = ("negative", "neutral", "positive", "frustrated")
        if cell.withheld:
            nothing = dict.fromkeys(("n", "mean", "mean_low", "mean_high", *names))
            return cls(start=cell.start, group=dict(cell.group), withheld=True, model=model, **nothing)
        sums = cell.figures
        n = int(sums["n"])
        mean, low, high = mean_interval(sums["sum_score"], sums["sum_squares"], n, bounds=(-1, 1))
        return cls.model_validate({
            "start": cell.start, "group": dict(cell.group), "withheld": False, "model": model, "n": n,
            "mean": mean, "mean_low": low, "mean_high": high,
            **{name: share(int(sums[f"n_{name}"]), n) for name in names},
        })  # fmt: skip


class SignalsPoint(Point):
    """How often each signal is raised in a group."""

    n: int | None
    signals: dict[str, Share] | None = Field(description="all fifteen, by name")


class ExperiencePart(BaseModel):
    """One part of the experience score: `points` of it, which are `weight` times `value`."""

    part: str = Field(examples=["csat"])
    value: float = Field(ge=0, le=100, description="on a scale from 0 to 100")
    weight: float
    points: float
    n: int


class Experience(BaseModel):
    """How it is to be a customer, in [0, 100]: the sum of its parts' points."""

    score: float
    low: float
    high: float
    parts: list[ExperiencePart]


class KpiPoint(Point):
    """What customers of a group ticked, and the experience score; null where nobody answered."""

    nps: Figure | None = Field(description="Net Promoter Score, in [-100, 100]")
    csat: Figure | None = Field(description="share of 4 and 5 among CSAT answers, in [0, 1]")
    ces: Figure | None = Field(description="mean Customer Effort Score, in [1, 7]; 7 is easiest")
    experience: Experience | None

    @classmethod
    def of(cls, ticked: Cell | None, said: Cell | None) -> "KpiPoint":
        """From what was ticked and what was said in one group and interval; at least one is there."""
        cell = ticked or said
        assert cell is not None
        ratings = ticked.figures if ticked else {}
        words = said.figures if said else {}
        nothing = not ratings and not words
        return cls(
            start=cell.start,
            group=dict(cell.group),
            withheld=nothing,
            nps=_nps(ratings),
            csat=_csat(ratings),
            ces=_mean_of(ratings, "ces", (1, 7)),
            experience=None if nothing else _experience(ratings, words),
        )


def share(hits: int, n: int) -> Share:
    """A share with its interval; n >= 1."""
    low, high = wilson_interval(hits, n)
    return Share(value=hits / n, low=low, high=high)


def _nps(sums: Mapping[str, float]) -> Figure | None:
    if not (n := int(sums.get("n_nps", 0))):
        return None
    value, low, high = net_promoter_score(int(sums["n_promoters"]), int(sums["n_detractors"]), n)
    return Figure(value=value, low=low, high=high, n=n)


def _csat(sums: Mapping[str, float]) -> Figure | None:
    if not (n := int(sums.get("n_csat", 0))):
        return None
    satisfied = share(int(sums["n_satisfied"]), n)
    return Figure(value=satisfied.value, low=satisfied.low, high=satisfied.high, n=n)


def _mean_of(sums: Mapping[str, float], name: str, bounds: tuple[float, float]) -> Figure | None:
    if not (n := int(sums.get(f"n_{name}", 0))):
        return None
    mean, low, high = mean_interval(sums[f"sum_{name}"], sums[f"squares_{name}"], n, bounds=bounds)
    return Figure(value=mean, low=low, high=high, n=n)


def _experience(ratings: Mapping[str, float], words: Mapping[str, float]) -> Experience | None:
    parts: dict[str, Figure] = {}
    if n := int(words.get("n", 0)):
        mean, low, high = mean_interval(words["sum_score"], words["sum_squares"], n, bounds=(-1, 1))
        parts["sentiment"] = _scaled(Figure(value=mean, low=low, high=high, n=n), -1, 1)
        calm = share(n - int(words["n_frustrated"]), n)
        parts["calm"] = _scaled(Figure(value=calm.value, low=calm.low, high=calm.high, n=n), 0, 1)
    for name, figure, low, high in (
        ("nps", _nps(ratings), -100, 100),
        ("csat", _mean_of(ratings, "csat", (1, 5)), 1, 5),
        ("ces", _mean_of(ratings, "ces", (1, 7)), 1, 7),
    ):
        if figure is not None:
            parts[name] = _scaled(figure, low, high)
    if not parts:
        return None
    total = sum(WEIGHTS[name] for name in parts)
    weights = {name: WEIGHTS[name] / total for name in parts}
    score = sum(weights[name] * figure.value for name, figure in parts.items())
    # The parts come from different answers, so their errors add up as squares.
    half = sqrt(sum((weights[name] * (f.high - f.low) / 2) ** 2 for name, f in parts.items()))
    return Experience(
        score=score,
        low=max(0.0, score - half),
        high=min(100.0, score + half),
        parts=[
            ExperiencePart(
                part=name, value=f.value, weight=weights[name], points=weights[name] * f.value, n=f.n
            )
            for name, f in parts.items()
        ],
    )


def _scaled(figure: Figure, low: float, high: float) -> Figure:
    """The same on a scale from 0 to 100."""
    scale = 100 / (high - low)
    value, bottom, top = ((x - low) * scale for x in (figure.value, figure.low, figure.high))
    return Figure(value=value, low=bottom, high=top, n=figure.n)
