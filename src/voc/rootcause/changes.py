"""Candidate changes for a spike: what changed shortly before, how the rate moved, against placebo times."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from voc.records import Change
from voc.rootcause.baseline import SPANS
from voc.rootcause.series import DAY_S
from voc.rootcause.spikes import Scanned, Spike

Floats = npt.NDArray[np.float64]

# On real releases of three apps rises stand out from chance up to 72 hours after a release (evaluation.changes).
MAX_LAG_H = 96.0
BEFORE_DAYS = 28
MAX_AFTER_DAYS = 7
MAX_P = 0.05
MIN_PLACEBOS = 40


@dataclass(frozen=True, slots=True)
class Candidate:
    """A change shortly before a spike. It came before; that it caused the spike is not said."""

    change_id: str
    lag_h: float  # from the change to the spike's onset
    rate_ratio: float  # after over before, both relative to the baseline
    ci_low: float
    ci_high: float
    p_value: float


def candidates(
    scanned: Scanned, spike: Spike, changes: Sequence[Change], *, max_lag_h: float = MAX_LAG_H
) -> list[Candidate]:
    """Changes of the series' app within `max_lag_h` before the onset after which the rate rose, best first.

    The p-value is the larger of two: that of the rate ratio (over-dispersed), and the share of placebo
    times, days of the same series with no change near, after which the rate rose as much. Ranked by
    lag: of several changes before one rise, the last is the likeliest.
    """
    found: list[Candidate] = []
    related = [c for c in changes if _concerns(c, scanned)]
    for change in related:
        at = change.started_at.timestamp()
        lag_h = (spike.onset_s - at) / 3600
        if at > spike.onset_high_s or lag_h > max_lag_h:
            continue
        ratio, low, high, p = _before_and_after(scanned, spike, at, related)
        if p <= MAX_P and ratio > 1:
            found.append(Candidate(change.id, round(max(0.0, lag_h), 2), ratio, low, high, p))
    return sorted(found, key=lambda c: (c.lag_h, c.p_value, c.change_id))


def _concerns(change: Change, scanned: Scanned) -> bool:
    """Whether those the series counts can have had the change, as far as both say."""
    series = scanned.series
    pairs = ((change.scope.get("app"), series.app), (change.scope.get("segment"), series.segment))
    return all(not had or counted is None or had == counted for had, counted in pairs)


def _before_and_after(
    scanned: Scanned, spike: Spike, at: float, changes: Sequence[Change]
) -> tuple[float, float, float, float]:
    """Rate ratio, its 95 % interval and p-value for a rise at the time given."""
    day = int(at // DAY_S) - scanned.series.first_day
    length = int(np.clip(spike.last - day + 1, 1, MAX_AFTER_DAYS))
    log_ratio, error = _log_ratios(scanned, np.array([day]), length, skip=(spike.first, spike.last))
    z = float(log_ratio[0] / error[0])
    p = float(2 * ndtr(-abs(z)))
    placebo = _placebo_days(scanned, spike, length, changes)
    if len(placebo) >= MIN_PLACEBOS:
        other, other_error = _log_ratios(scanned, placebo, length)
        p = max(p, (1 + int((other / other_error >= z).sum())) / (1 + len(placebo)))
    low, high = np.exp(log_ratio[0] + np.array([-1.96, 1.96]) * error[0])
    return float(np.exp(log_ratio[0])), float(low), float(high), p


def _log_ratios(
    scanned: Scanned, days: npt.NDArray[np.int64], length: int, skip: tuple[int, int] | None = None
) -> tuple[Floats, Floats]:
    """Log of observed over expected in `length` days from each day on, over that of the days before."""
    observed, expected = scanned.series.counts, scanned.baseline.expected
    span = next((s for s in SPANS if s >= length), SPANS[-1])
    quiet = ~scanned.left_out
    totals = []
    for values, used in ((observed, None), (expected, None), (observed, quiet), (expected, quiet)):
        kept = values if used is None else np.where(used, values, 0.0)
        totals.append(np.append(0.0, np.cumsum(kept)))
    n = len(observed)
    after = (np.clip(days, 0, n), np.clip(days + length, 0, n))
    before = (np.clip(days - BEFORE_DAYS, 0, n), np.clip(days, 0, n))
    y1, e1 = (totals[i][after[1]] - totals[i][after[0]] for i in (0, 1))
    y0, e0 = (totals[i][before[1]] - totals[i][before[0]] for i in (2, 3))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = np.log((y1 + 0.5) / (e1 + 0.5)) - np.where(e0 > 0, np.log((y0 + 0.5) / (e0 + 0.5)), 0.0)
        # With no quiet day before, the baseline itself stands for the past.
        error = np.sqrt(
            scanned.baseline.dispersion[span] * (1 / (y1 + 0.5) + 1 / (np.where(e0 > 0, y0, e1) + 0.5))
        )
    return log_ratio, error


def _placebo_days(
    scanned: Scanned, spike: Spike, length: int, changes: Sequence[Change]
) -> npt.NDArray[np.int64]:
    """Days of the series after which nothing known changed for a while, away from this spike."""
    n = len(scanned.series.counts)
    free = np.ones(n, dtype=bool)
    free[:BEFORE_DAYS] = free[n - length :] = False
    free[max(0, spike.first - length - MAX_AFTER_DAYS) : spike.last + 1] = False
    for change in changes:
        day = int(change.started_at.timestamp() // DAY_S) - scanned.series.first_day
        if day + length >= 0:
            free[max(0, day - length) : max(0, day + length)] = False
    return np.flatnonzero(free)
