"""Thresholds with a guarantee: the strictest first, relaxed only while a test allows it.

Learn-then-Test with fixed-sequence testing (Angelopoulos et al., arXiv:2110.01052): thresholds are
tried from the strictest down; at each, the null hypothesis "the true rate is above the limit" is
tested by an exact binomial tail; the walk stops at the first that is not rejected. The chance that
the threshold kept breaks its limit is at most `1 - confidence`, whatever the sample size, provided
that the labelled texts are drawn like the traffic.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

NEVER = 1.01  # a threshold no probability reaches
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Guaranteed:
    """A threshold and what it buys; `threshold` is NEVER where the labels support no guarantee."""

    threshold: float
    n_judged: int  # texts that the rate is a share of
    n_wrong: int
    recall: float
    recall_low: float
    recall_high: float
    needed: int  # judged texts without an error that the limit takes at the least


def bound_false_positive_rate(proba: Floats, y_true: Bools, *, limit: float, confidence: float) -> Guaranteed:
    """Lowest threshold whose false-positive rate is at most `limit` with the stated confidence.

    `proba` and `y_true` are (n_texts,), out of sample. The rate is a share of the negatives.
    """
    negatives = np.sort(proba[~y_true])[::-1]
    n = negatives.size
    threshold = NEVER
    n_wrong = 0
    for candidate in _candidates(proba):
        wrong = int((negatives >= candidate).sum())
        if n == 0 or stats.binom.cdf(wrong, n, limit) > 1 - confidence:
            break
        threshold, n_wrong = float(candidate), wrong
    return _with_recall(threshold, n, n_wrong, proba, y_true, limit, confidence)


def bound_precision(proba: Floats, y_true: Bools, *, minimum: float, confidence: float) -> Guaranteed:
    """Lowest threshold whose precision is at least `minimum` with the stated confidence.

    Few texts reach a strict threshold, so the walk starts where enough do to pass the test at all.
    """
    limit = 1 - minimum
    needed = _needed(limit, confidence)
    threshold, n_kept, n_wrong_kept = NEVER, 0, 0
    for candidate in _candidates(proba):
        flagged = proba >= candidate
        n, wrong = int(flagged.sum()), int((flagged & ~y_true).sum())
        if n < needed:
            continue
        if stats.binom.cdf(wrong, n, limit) > 1 - confidence:
            break
        threshold, n_kept, n_wrong_kept = float(candidate), n, wrong
    return _with_recall(threshold, n_kept, n_wrong_kept, proba, y_true, limit, confidence)


def _candidates(proba: Floats) -> Floats:
    """A fixed grid (chosen before looking at labels, as the test demands), strictest first."""
    del proba
    z = np.linspace(math.log(0.995 / 0.005), math.log(0.02 / 0.98), 240)
    grid: Floats = 1 / (1 + np.exp(-z))
    return grid


def _needed(limit: float, confidence: float) -> int:
    return math.ceil(math.log(1 - confidence) / math.log(1 - limit))


def _with_recall(
    threshold: float, n: int, n_wrong: int, proba: Floats, y_true: Bools, limit: float, confidence: float
) -> Guaranteed:
    positives = proba[y_true]
    hits = int((positives >= threshold).sum())
    recall = hits / positives.size if positives.size else math.nan
    low, high = clopper_pearson(hits, positives.size, confidence)
    return Guaranteed(threshold, n, n_wrong, recall, low, high, _needed(limit, confidence))


def clopper_pearson(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """Exact interval of a share; (0, 1) where nothing was seen."""
    if n == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1)) if hits > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return low, high
