"""What a day's count should be: level and trend of the weeks before, day of the week, over-dispersion."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

WINDOW = 56  # days that the level is learned from
TREND_WINDOW = 112
GUARD = 14  # days before the present that do not count: a spike must not raise its own baseline
# A trend carried forward may change the level by no more than this; a fall less than a rise, since a
# level carried too low makes spikes of ordinary days.
LEAST_CARRIED, MOST_CARRIED = 0.85, 1.6
NEW_LEVEL_AFTER = 28  # a rise that lasts longer is the new normal
SPANS = (1, 2, 3, 5, 7, 14)  # days over which counts are added up


@dataclass(frozen=True, slots=True)
class Baseline:
    """Expected counts, shape (n_days,), and for each of `SPANS` variance over mean of the span's sum."""

    expected: Floats
    dispersion: dict[int, float]

    def tail_p(self, observed: Floats, expected: Floats, span: int) -> Floats:
        """Chance of a sum this high or higher; negative binomial."""
        # The level is itself an estimate, from WINDOW days and carried forward; that error grows with
        # the span, and carrying about doubles it.
        phi = self.dispersion[span] * (1 + 2 * span / WINDOW)
        some, mean = np.maximum(observed, 1.0), np.maximum(expected, 1e-9)
        # The upper tail of a negative binomial is an incomplete beta function.
        result: Floats = np.where(observed > 0, betainc(some, mean / (phi - 1), 1 - 1 / phi), 1.0)
        return result


def fit_baseline(
    counts: Floats, weekday: npt.NDArray[np.int64], left_out: Bools, breaks: list[int]
) -> Baseline:
    """Learn what is normal from the days that are not left out.

    Parameters
    ----------
    counts : shape (n_days,)
    weekday : 0 to 6, shape (n_days,)
    left_out : days in a spike or an external factor's window
    breaks : days at which a new level began that has lasted; from `NEW_LEVEL_AFTER` days on, only
        days since the break are used

    Source: after Farrington et al. 1996 and Noufal et al. 2013 (surveillance with past weeks left out).
    """
    season = _first_season(counts, weekday)
    expected = np.full(len(counts), counts.mean())
    for _ in range(3):
        adjusted = counts / season[weekday]
        level = _level(adjusted, ~left_out)
        for start in breaks:
            later = np.arange(len(counts)) >= start
            settled = np.arange(len(counts)) >= start + NEW_LEVEL_AFTER
            level = np.where(settled, _level(adjusted, later), level)
        # A level of nothing would make any count infinitely surprising: half an event in the window.
        level = np.maximum(level, 0.5 / WINDOW)
        expected = level * season[weekday]
        season = _season(counts, level, season, weekday, ~left_out)
    return Baseline(expected, _dispersions(counts, expected, left_out))


def _level(values: Floats, used: Bools) -> Floats:
    """Mean of the last `WINDOW` used days before the guard, carried forward along their trend."""
    n = len(values)
    day = np.arange(n, dtype=np.float64)
    places = np.flatnonzero(used)
    if len(places) == 0:
        return np.full(n, values.mean())
    sums = {
        name: np.append(0.0, np.cumsum(x[places]))
        for name, x in (("y", values), ("t", day), ("tt", day**2), ("ty", day * values))
    }
    known = np.searchsorted(places, np.maximum(np.arange(n) - GUARD, 0), side="left")  # used days before t

    def over(length: int) -> tuple[Floats, dict[str, Floats]]:
        low = np.maximum(known - length, 0)
        size = np.maximum(known - low, 1).astype(np.float64)
        return size, {name: (s[known] - s[low]) / size for name, s in sums.items()}

    _, recent = over(WINDOW)
    wide_size, wide = over(TREND_WINDOW)
    spread = np.maximum(wide["tt"] - wide["t"] ** 2, 1.0)
    slope = (wide["ty"] - wide["t"] * wide["y"]) / spread
    # Shrink a slope that its own error could explain; counts vary at least as much as Poisson.
    error = np.sqrt(2.0 * np.maximum(wide["y"], 1.0 / WINDOW) / (wide_size * spread))
    keep = np.maximum(0.0, 1.0 - (2.0 * error / np.maximum(np.abs(slope), 1e-12)) ** 2)
    ahead = day - recent["t"]
    carried = recent["y"] + np.where(wide_size >= WINDOW, slope * keep * ahead, 0.0)
    level = np.clip(carried, recent["y"] * LEAST_CARRIED, recent["y"] * MOST_CARRIED)

    # Early days have too little past: a line through the first weeks around them has to do.
    for t in np.flatnonzero(known < WINDOW).tolist():
        near = places[(places < TREND_WINDOW) & (np.abs(places - t) > GUARD / 2)]
        level[t] = _line_at(values, near if len(near) else places, t)
    return level


def _line_at(values: Floats, days: npt.NDArray[np.int64], t: int) -> float:
    """The level at day t of a line through the days given, its slope shrunk as in `_level`."""
    mean, centre = float(values[days].mean()), float(days.mean())
    spread = max(1.0, float(((days - centre) ** 2).sum()))
    slope = float(((days - centre) * (values[days] - mean)).sum()) / spread
    error = float(np.sqrt(2.0 * max(mean, 1.0 / WINDOW) / spread))
    kept = slope * max(0.0, 1.0 - (2.0 * error / max(abs(slope), 1e-12)) ** 2)
    return float(np.clip(mean + kept * (t - centre), mean / 2, mean * 2))


def _first_season(counts: Floats, weekday: npt.NDArray[np.int64]) -> Floats:
    """A rough factor of each day of the week from its median, to start from."""
    middle = np.array([np.median(counts[weekday == d]) if (weekday == d).any() else 0.0 for d in range(7)])
    # Medians of small counts are too coarse to say anything.
    factor = (middle + 1) / (middle.mean() + 1) if middle.mean() >= 3 else np.ones(7)
    result: Floats = factor / factor.mean()
    return result


def _season(
    counts: Floats, level: Floats, before: Floats, weekday: npt.NDArray[np.int64], used: Bools
) -> Floats:
    """Factor of each day of the week, mean 1, drawn towards 1 where there is little to go by."""
    # Cap what one day can say, so that a burst not yet found does not mark its weekday.
    expected = level * before[weekday]
    capped = np.minimum(counts, expected + 4 * np.sqrt(expected) + 1)
    seen = np.bincount(weekday[used], weights=capped[used], minlength=7)
    base = np.bincount(weekday[used], weights=level[used], minlength=7)
    factor = (seen + 10.0) / (base + 10.0)
    result: Floats = np.clip(factor / factor.mean(), 0.2, 5.0)
    return result


def _dispersions(counts: Floats, expected: Floats, left_out: Bools) -> dict[int, float]:
    """Variance over mean of sums over each span, at least 1, from days not left out, bursts capped.

    Taken about the month's own level, not the baseline: slower drift is what spikes are made of, and
    counted as noise it would hide them. Sums over longer spans vary more where days are alike.
    """
    month = np.ones(29)
    used = np.convolve(~left_out, month, "same")
    relative = np.convolve(np.where(left_out, 0.0, counts / expected), month, "same") / np.maximum(used, 1.0)
    local = expected * relative
    result, least = {}, 1.0
    for span in SPANS:
        kernel = np.ones(span)
        whole = np.convolve(left_out, kernel, "valid") < 0.5
        observed, mean = np.convolve(counts, kernel, "valid"), np.convolve(local, kernel, "valid")
        around = np.convolve(used, kernel, "valid") / span
        whole &= (around >= 2 * span) & (around >= 10) & (mean > 0)
        if whole.sum() >= 20:
            # The month's level holds the span's own days; what is left varies less by their share.
            residual = (observed - mean)[whole] / np.sqrt(mean[whole] * (1 - span / around[whole]))
            scale = max(1.0, 1.4826 * float(np.median(np.abs(residual))))
            least = max(least, float(np.mean(np.clip(residual, -3 * scale, 3 * scale) ** 2)))
        result[span] = least
    return result
