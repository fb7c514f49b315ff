"""What else is known of one association: does more of the deviation go with more of the outcome, and when."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtr

from voc.errors import InputError
from voc.rootcause.mantel_haenszel import stratified
from voc.rootcause.tables import Strata, cross
from voc.rootcause.times import to_utc

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

N_LEVELS = 3
MIN_PER_LEVEL = 20


@dataclass(frozen=True, slots=True)
class DoseLevel:
    """Cases whose deviation was of about one size, against cases without it."""

    from_s: float
    to_s: float
    n_cases: int
    n_outcome: int
    odds_ratio: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """The outcome by size of the deviation; `trend_p` is among exposed cases alone, two-sided."""

    levels: tuple[DoseLevel, ...]
    rising: bool
    trend_p: float


@dataclass(frozen=True, slots=True)
class Lag:
    """Hours from the deviation to the first outcome after it, over the cases that have both times."""

    n_cases: int
    share_after: float  # cases in which the outcome came after the deviation at all
    q25_h: float
    median_h: float
    q75_h: float


def dose_response(
    cases: pl.DataFrame,
    outcomes: pl.DataFrame,
    deviations: pl.DataFrame,
    pair: tuple[str, str, str],
    *,
    strata: Sequence[str] = ("segment", "channel", "region"),
) -> DoseResponse | None:
    """Whether larger deviations go with more of the outcome; None where magnitudes are too few or alike.

    A case's dose is its largest magnitude. The trend is a stratified score test over ranks of dose
    (Mantel 1963) among exposed cases, so that being exposed at all does not make a trend.

    Parameters
    ----------
    pair : outcome, kind, step
    deviations : case_id, kind, step, magnitude_s
    """
    outcome, kind, step = pair
    if "magnitude_s" not in deviations.columns:
        return None
    dose = (
        deviations.with_columns(pl.col("magnitude_s").cast(pl.Float64, strict=False))
        .filter(pl.col("kind") == kind, pl.col("step").cast(pl.String).fill_null("") == step)
        .group_by(pl.col("case_id").cast(pl.String))
        .agg(dose=pl.col("magnitude_s").max(), exposed=pl.lit(True))
    )
    has = outcomes.filter(pl.col("outcome") == outcome).select(
        pl.col("case_id").cast(pl.String), outcome=pl.lit(True)
    )
    table = (
        cases.with_columns(pl.col("case_id").cast(pl.String))
        .join(dose, on="case_id", how="left", maintain_order="left")
        .join(has.unique(), on="case_id", how="left", maintain_order="left")
    )
    groups, _, _ = cross(cases, [c for c in strata if c in cases.columns])
    y = table["outcome"].fill_null(False).to_numpy()
    exposed = table["exposed"].fill_null(False).to_numpy()
    x = table["dose"].fill_null(np.nan).to_numpy()
    sized = exposed & np.isfinite(x)
    if sized.sum() < N_LEVELS * MIN_PER_LEVEL:
        return None
    edges = np.unique(np.quantile(x[sized], np.linspace(0, 1, N_LEVELS + 1)))
    if len(edges) < 3:
        return None
    level = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, len(edges) - 2)
    levels = tuple(_level(x, y, sized & (level == i), ~exposed, groups) for i in range(len(edges) - 1))
    rising, p = _trend(x, y, sized, groups)
    return DoseResponse(levels, rising, p)


def describe(dose: DoseResponse | None, after: Lag | None) -> dict[str, Any]:
    """Both readings as JSON can hold them: six digits, null where not defined."""
    return {
        "lag": None if after is None else _plain(asdict(after)),
        "dose_response": None if dose is None else _plain(asdict(dose)),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def _level(x: Floats, y: Bools, here: Bools, unexposed: Bools, groups: Strata) -> DoseLevel:
    both = here | unexposed

    def count(who: Bools) -> Floats:
        return np.bincount(groups.codes[who], minlength=groups.n_strata)[None, :].astype(np.float64)

    s = stratified(count(here & y), count(here), count(both & y), count(both))
    return DoseLevel(
        from_s=float(x[here].min()),
        to_s=float(x[here].max()),
        n_cases=int(here.sum()),
        n_outcome=int((here & y).sum()),
        odds_ratio=float(s.odds_ratio[0]),
        ci_low=float(s.ci_low[0]),
        ci_high=float(s.ci_high[0]),
    )


def _trend(x: Floats, y: Bools, sized: Bools, groups: Strata) -> tuple[bool, float]:
    rank = pl.Series(x[sized]).rank("average").to_numpy()
    table = pl.DataFrame({"x": rank, "y": y[sized].astype(float), "k": groups.codes[sized]})
    x_, y_ = pl.col("x"), pl.col("y")
    sums = table.group_by("k").agg(
        score=((x_ - x_.mean()) * y_).sum(),
        variance=(y_.sum() * (pl.len() - y_.sum()) / (pl.len() * (pl.len() - 1).clip(1)))
        * ((x_ - x_.mean()) ** 2).sum(),
    )
    variance = float(sums["variance"].sum())
    z = float(sums["score"].sum()) / np.sqrt(variance) if variance > 0 else 0.0
    return bool(z > 0), float(2 * ndtr(-abs(z)))


def lag(outcomes: pl.DataFrame, deviations: pl.DataFrame, pair: tuple[str, str, str]) -> Lag | None:
    """When the outcome came after the deviation; None where times are missing.

    Parameters
    ----------
    outcomes : case_id, outcome, timestamp
    deviations : case_id, kind, step, timestamp
    """
    outcome, kind, step = pair
    for table, file in ((outcomes, "outcomes"), (deviations, "deviations")):
        if "case_id" not in table.columns:
            raise InputError("column is missing", file=file, field="case_id", remedy="add it")
    if "timestamp" not in outcomes.columns or "timestamp" not in deviations.columns:
        return None
    left = deviations.with_columns(
        to_utc(deviations["timestamp"], file="deviations", required=False).alias("at")
    ).filter(pl.col("kind") == kind, pl.col("step").cast(pl.String).fill_null("") == step)
    right = outcomes.with_columns(
        to_utc(outcomes["timestamp"], file="outcomes", required=False).alias("said")
    ).filter(pl.col("outcome") == outcome)
    first = left.group_by("case_id").agg(pl.col("at").min()).drop_nulls()
    both = first.join(right.select("case_id", "said").drop_nulls(), on="case_id")
    if both.is_empty():
        return None
    hours = both.with_columns(h=(pl.col("said") - pl.col("at")).dt.total_seconds() / 3600)
    after = hours.filter(pl.col("h") >= 0).group_by("case_id").agg(pl.col("h").min())["h"].to_numpy()
    n_cases = both["case_id"].n_unique()
    if len(after) == 0:
        return Lag(n_cases, 0.0, np.nan, np.nan, np.nan)
    return Lag(n_cases, len(after) / n_cases, *(float(np.quantile(after, q)) for q in (0.25, 0.5, 0.75)))
