"""Calendar periods in which outcomes and deviations are about equally common: found from the data.

An outage raises deviations and complaints alike for some days. Comparing cases within fixed weeks or
months either misses its edges or thins the strata; cutting time only where rates truly change does
neither, and leaves steady data in one piece. Method: circular binary segmentation (Olshen et al. 2004)
with a chi-square over all labels together, or over the one that moves most.
"""

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import chdtrc

from voc.rootcause.tables import Marks

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_BINS = 200
MAX_PERIODS = 24
MIN_CASES = 30  # in a period
MIN_EXPECTED = 5.0  # below it a label has no say: its chi-square would not hold
ALPHA = 1e-3  # per search, over all intervals searched


def find_periods(started_at: pl.Series, labels: list[Marks]) -> Ints:
    """Period of each case, from 0, shape (n_cases,); all 0 where rates hold steady.

    Cases with no start time form a period of their own.
    """
    seconds = started_at.dt.epoch("s").cast(pl.Float64).to_numpy()
    known = np.isfinite(seconds)
    period = np.zeros(len(seconds), dtype=np.int64)
    if known.sum() < 2 * MIN_CASES:
        return period
    bins = _bins(seconds, known)
    cuts = _segment(*_cumulated(bins, known, labels))
    period[known] = np.searchsorted(cuts, bins[known], side="right")
    period[~known] = len(cuts) + 1
    return period


def _bins(seconds: Floats, known: npt.NDArray[np.bool_]) -> Ints:
    """Equal bins of whole hours, days, or more where the span is long; -1 where there is no time."""
    first = seconds[known].min()
    span = float(seconds[known].max() - first)
    width = next((w for w in (3600.0, 21_600.0, 86_400.0) if span / w < MAX_BINS), span / MAX_BINS)
    origin = first - first % min(width, 86_400.0)
    placed = np.where(known, seconds - origin, -width) // width
    return placed.astype(np.int64)


def _cumulated(bins: Ints, known: npt.NDArray[np.bool_], labels: list[Marks]) -> tuple[Floats, Floats]:
    """Cases up to each bin, shape (n_bins + 1,), and label counts, shape (n_bins + 1, n_labels)."""
    n_bins = int(bins.max()) + 1
    size = np.bincount(bins[known], minlength=n_bins).astype(np.float64)
    blocks = []
    for marks in labels:
        here = known[marks.case]
        flat = bins[marks.case[here]] * marks.n_labels + marks.label[here]
        blocks.append(np.bincount(flat, minlength=n_bins * marks.n_labels).reshape(n_bins, marks.n_labels))
    counts = np.concatenate(blocks, axis=1).astype(np.float64)
    return np.append(0.0, size.cumsum()), np.vstack([np.zeros(counts.shape[1]), counts.cumsum(0)])


def _segment(size: Floats, counts: Floats) -> Ints:
    """Cut until no interval stands out; the first bin of each period but the first, ascending."""
    edges, pending = {0, len(size) - 1}, [(0, len(size) - 1)]
    while pending and len(edges) <= MAX_PERIODS:
        low, high = pending.pop(0)
        found = _best_interval(size, counts, low, high)
        if found is None:
            continue
        inner = sorted({low, *found, high})
        edges.update(inner)
        pending += pairwise(inner)
    return np.array(sorted(edges)[1:-1], dtype=np.int64)


def _best_interval(size: Floats, counts: Floats, low: int, high: int) -> tuple[int, int] | None:
    """The interval within [low, high) whose rates differ most from the rest of it, if they do."""
    first, last = np.triu_indices(high - low + 1, k=1)
    first, last = first + low, last + low
    total = size[high] - size[low]
    inside = size[last] - size[first]
    wide = (inside >= MIN_CASES) & (total - inside >= MIN_CASES)
    if not wide.any():
        return None
    first, last, inside = first[wide], last[wide], inside[wide][:, None]
    rate = ((counts[high] - counts[low]) / total)[None, :]
    expected = inside * rate
    spread = expected * (1 - rate) * (1 - inside / total)
    heard = np.minimum(expected, (total - inside) * rate) >= MIN_EXPECTED
    statistic = (counts[last] - counts[first] - expected) ** 2 / np.maximum(spread, 1e-12)
    statistic = np.where(heard & (rate < 1), statistic, 0.0)
    together = chdtrc(np.maximum(heard.sum(1), 1), statistic.sum(1))
    alone = chdtrc(1, statistic.max(1)) * np.maximum(heard.sum(1), 1)
    p = np.minimum(together, alone)
    # Ties at 0 are common with strong outages; the larger standardised excess then decides.
    best = np.lexsort((-(statistic.sum(1) - heard.sum(1)) / np.sqrt(np.maximum(heard.sum(1), 1)), p))[0]
    if p[best] * len(p) > ALPHA:
        return None
    return int(first[best]), int(last[best])
