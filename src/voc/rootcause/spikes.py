"""Spikes: days on which far more was said than the baseline, day of the week and trend explain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voc.rootcause.baseline import NEW_LEVEL_AFTER, SPANS, Baseline, fit_baseline
from voc.rootcause.series import DAY_S, Series

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ALPHA = 0.05  # expected false spikes in a whole run: all series, all days, all spans
OVERLAP = 3.0  # spans overlap; six of them weigh about as much as three
MIN_RATIO = 1.3
MIN_EXCESS = 5.0  # counts
QUIET_DAYS = 2  # a spike is over after this many days back near the baseline
ROUNDS = 4
GROSS = 4.0  # standard deviations


@dataclass(frozen=True, slots=True)
class Spike:
    """A burst: whole days from `first` to `last` of its series, and the moment it seems to have begun."""

    series: str
    first: int  # day of the series
    last: int  # inclusive
    onset_s: float  # seconds since 1970
    onset_low_s: float  # the onset lies between these, as far as the counts can tell
    onset_high_s: float
    observed: int
    expected: float
    p_value: float  # before any correction


@dataclass(frozen=True, slots=True)
class Scanned:
    """A series with its baseline and spikes, for those who look for changes."""

    series: Series
    baseline: Baseline
    spikes: tuple[Spike, ...]
    left_out: Bools  # days of spikes and external factors


def find_spikes(
    series: Sequence[Series],
    *,
    external: Sequence[tuple[float, float, str | None]] = (),
    alpha: float = ALPHA,
) -> list[Scanned]:
    """Scan each series; over all of them about `alpha` false spikes are expected in a run.

    Parameters
    ----------
    external : (start, end, app) in seconds since 1970 of windows with a known outside reason; they are
        left out of baselines and no spike is looked for in them; app None means all apps
    """
    return [
        _scan(
            one,
            [w for w in external if w[2] is None or one.app is None or w[2] == one.app],
            alpha / len(series),
        )
        for one in series
    ]


def _scan(series: Series, external: Sequence[tuple[float, float, str | None]], alpha: float) -> Scanned:
    n = len(series.counts)
    day_start = (series.first_day + np.arange(n)) * DAY_S
    weekday = (series.first_day + 3 + np.arange(n)) % 7  # 1 January 1970 was a Thursday
    shaded = np.zeros(n, dtype=bool)
    for start, end, _ in external:
        shaded |= (day_start + DAY_S > start) & (day_start <= end)
    threshold = alpha / (n * OVERLAP)
    windows: list[tuple[int, int, float]] = []
    breaks: list[int] = []
    # A burst in a short series would raise its own baseline and dispersion: the grossest days sit out
    # the first fit, and come back unless they are found to be spikes.
    flagged = shaded | _gross(series.counts)
    for _ in range(ROUNDS):
        baseline = fit_baseline(series.counts, weekday, flagged, breaks)
        found = _windows(series.counts, baseline, shaded, threshold)
        if [w[:2] for w in found] == [w[:2] for w in windows]:
            break
        windows = found
        # One that fills the longest length has not come down: a new level, from its first day.
        breaks = sorted({*breaks, *(a for a, b, _ in windows if b - a + 1 >= NEW_LEVEL_AFTER)})
        flagged = shaded.copy()
        for a, b, _ in windows:
            flagged[a : b + 1] = True
    spikes = tuple(_describe(series, baseline, *window) for window in windows)
    return Scanned(series, baseline, spikes, flagged)


def _gross(counts: Floats) -> Bools:
    """Days far above the median on the scale where counts have like variance (Anscombe, 1948)."""
    z = 2 * np.sqrt(counts + 0.375)
    away = z - np.median(z)
    # 1.4826 times the median deviation is the standard deviation of a normal; at least that of a Poisson.
    scale = max(1.0, 1.4826 * float(np.median(np.abs(away))))
    result: Bools = away > GROSS * scale
    return result


def _windows(
    counts: Floats, baseline: Baseline, shaded: Bools, threshold: float
) -> list[tuple[int, int, float]]:
    """(first day, last day, p) of the bursts, by time: the surest first, then what is left."""
    found: list[tuple[int, int, float]] = []
    open_day = ~shaded
    starts, ends, p_values = _all_spans(counts, baseline, shaded)
    for i in np.argsort(p_values, kind="stable"):
        if p_values[i] > threshold:
            break
        a, b = int(starts[i]), int(ends[i])
        if not open_day[a : b + 1].all():
            continue
        a, b = _grow(counts, baseline, open_day, a, b)
        if b - a >= NEW_LEVEL_AFTER:
            b = a + NEW_LEVEL_AFTER - 1
        observed, expected = counts[a : b + 1].sum(), baseline.expected[a : b + 1].sum()
        if observed / expected >= MIN_RATIO and observed - expected >= MIN_EXCESS:
            found.append((a, b, float(p_values[i])))
            open_day[max(0, a - 1) : b + 2] = False
    return _merge(sorted(found))


def _merge(windows: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Join bursts with no more than `QUIET_DAYS` between them, up to the longest length."""
    merged: list[tuple[int, int, float]] = []
    for a, b, p in windows:
        if merged and a - merged[-1][1] <= QUIET_DAYS + 1 and b - merged[-1][0] < NEW_LEVEL_AFTER:
            merged[-1] = (merged[-1][0], b, min(p, merged[-1][2]))
        else:
            merged.append((a, b, p))
    return merged


def _all_spans(
    counts: Floats, baseline: Baseline, shaded: Bools
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    starts, ends, p_values = [], [], []
    for span in (s for s in SPANS if s <= len(counts)):
        kernel = np.ones(span)
        observed = np.convolve(counts, kernel, "valid")
        expected = np.convolve(baseline.expected, kernel, "valid")
        p = baseline.tail_p(observed, expected, span)
        weak = (observed < MIN_RATIO * expected) | (observed - expected < MIN_EXCESS)
        p = np.where(weak | (np.convolve(shaded, kernel, "valid") > 0.5), 1.0, p)
        starts.append(np.arange(len(p)))
        ends.append(np.arange(len(p)) + span - 1)
        p_values.append(p)
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(p_values)


def _grow(counts: Floats, baseline: Baseline, open_day: Bools, a: int, b: int) -> tuple[int, int]:
    """Trim quiet days off both ends, then extend until `QUIET_DAYS` days are back near the baseline."""
    # A third of the way up to the burst's own height, and at least one standard deviation.
    expected = baseline.expected
    ratio = counts[a : b + 1].sum() / expected[a : b + 1].sum()
    sd = np.sqrt(baseline.dispersion[1] * expected)
    high = counts > np.maximum(expected + sd, expected * min(2.0, 1 + (ratio - 1) / 3))
    while a < b and not high[a]:
        a += 1
    while b > a and not high[b]:
        b -= 1
    for step in (-1, 1):
        quiet, at = 0, (a if step < 0 else b) + step
        while 0 <= at < len(counts) and open_day[at] and quiet < QUIET_DAYS and b - a < NEW_LEVEL_AFTER:
            quiet = 0 if high[at] else quiet + 1
            if high[at]:
                a, b = min(a, at), max(b, at)
            at += step
    return a, b


def _describe(series: Series, baseline: Baseline, first: int, last: int, p_value: float) -> Spike:
    observed = float(series.counts[first : last + 1].sum())
    expected = float(baseline.expected[first : last + 1].sum())
    onset = _onset(series, baseline, first, last)
    return Spike(series.name, first, last, *onset, int(observed), expected, p_value)


def _onset(series: Series, baseline: Baseline, first: int, last: int) -> tuple[float, float, float]:
    """The likeliest moment of the rise, and the range of moments about as likely (95 %).

    A change point between the baseline's rate and a raised one, fitted anew for each moment, over the
    first week: a slow beginning does not then hide the jump.
    """
    low, high = max(0, first - 1), min(len(series.counts) - 1, last, first + 6)
    opened = (series.first_day + low) * DAY_S
    hours = np.arange((high - low + 1) * 24 + 1) * 3600.0 + opened
    by_hour = np.bincount(series.times % DAY_S // 3600, minlength=24) + len(series.times) / 24
    hourly = np.outer(baseline.expected[low : high + 1], by_hour / by_hour.sum()).ravel()
    cumulated = np.append(0.0, hourly.cumsum())
    within = series.times[(series.times >= opened) & (series.times < hours[-1])].astype(np.float64)
    # Just before each text; or each midnight, where only dates are known.
    moments = hours[:-1:24] if series.by_day_only else within
    left = (len(within) - np.searchsorted(within, moments, side="left")).astype(np.float64)
    to_come = np.maximum(cumulated[-1] - np.interp(moments, hours, cumulated), 1e-9)
    raised = (left > to_come) & (left >= MIN_EXCESS)
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = np.where(raised, left * np.log(left / to_come) - (left - to_come), -np.inf)
    best = int(likelihood.argmax())
    near = np.flatnonzero(likelihood >= likelihood[best] - 1.92 * baseline.dispersion[1])
    end_of_day = DAY_S - 1 if series.by_day_only else 0
    return float(moments[best]), float(moments[near[0]]), float(moments[near[-1]] + end_of_day)
