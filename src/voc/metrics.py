"""Arrays in, numbers out: how right, how well calibrated, how sure of it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def f1_scores(y_true: Bools, y_pred: Bools) -> Floats:
    """F1 of each column of (n_texts, n_labels); 0 where nothing was there and nothing was said."""
    tp, fp, fn = _counts(y_true, y_pred)
    scores: Floats = 2 * tp / np.maximum(1, 2 * tp + fp + fn)
    return scores


def micro_f1(y_true: Bools, y_pred: Bools) -> float:
    """F1 over all decisions of (n_texts, n_labels) taken together."""
    tp, fp, fn = (int(count.sum()) for count in _counts(y_true, y_pred))
    return 2 * tp / max(1, 2 * tp + fp + fn)


def macro_f1_of_frequent(y_true: Bools, y_pred: Bools, *, min_positives: int = 10) -> float:
    """Mean F1 over labels with at least `min_positives`; NaN where there is none."""
    often = y_true.sum(axis=0) >= min_positives
    return float(f1_scores(y_true, y_pred)[often].mean()) if often.any() else float("nan")


def macro_f1(y_true: Ints, y_pred: Ints, n_classes: int) -> float:
    """Mean F1 over classes 0 to n_classes - 1 of single-label decisions (n_texts,)."""
    return float(f1_scores(*_one_hot(y_true, y_pred, n_classes)).mean())


def macro_recall(y_true: Ints, y_pred: Ints, n_classes: int) -> float:
    """Mean recall over classes; a class that does not occur counts 0."""
    true, pred = _one_hot(y_true, y_pred, n_classes)
    return float(((true & pred).sum(0) / np.maximum(1, true.sum(0))).mean())


def expected_calibration_error(y_true: Bools, y_proba: Floats, *, n_bins: int = 15) -> float:
    """Mean gap between stated and observed rate over bins of equal mass; inputs are (n,).

    Source: Nguyen and O'Connor, arXiv:1508.05154 (equal-mass bins).
    """
    order = np.argsort(y_proba, kind="stable")
    gap = 0.0
    for part in np.array_split(order, min(n_bins, max(1, len(order)))):
        if part.size:
            gap += part.size * abs(float(y_true[part].mean()) - float(y_proba[part].mean()))
    return gap / max(1, len(order))


def brier(y_true: Bools, y_proba: Floats) -> float:
    """Mean squared gap between probability and truth, in [0, 1]; inputs are (n,)."""
    return float(((y_proba - y_true) ** 2).mean())


def bootstrap_interval(
    figure: Callable[[Ints], float], n: int, *, seed: int = 0, n_draws: int = 1000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of `figure(rows)` over `n_draws` resamples of `n` rows.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, chapter 13.
    """
    rng = np.random.default_rng(seed)
    draws = [figure(rng.integers(0, n, n)) for _ in range(n_draws)]
    tail = (1 - level) / 2
    low, high = np.nanquantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def wilson_interval(hits: int, n: int, *, z: float = 1.96) -> tuple[float, float]:
    """Interval of a share, in [0, 1]; (0, 1) where nothing was seen.

    Source: Wilson, JASA 22 (1927).
    """
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(
    total: float, squares: float, n: int, *, bounds: tuple[float, float], z: float = 1.96
) -> tuple[float, float, float]:
    """Mean and its normal interval, kept within `bounds`, from the sum and the sum of squares of n >= 1."""
    mean = total / n
    variance = max(0.0, squares / n - mean * mean) * n / max(1, n - 1)
    half = z * float(np.sqrt(variance / n))
    return mean, max(bounds[0], mean - half), min(bounds[1], mean + half)


def net_promoter_score(
    promoters: int, detractors: int, n: int, *, z: float = 1.96
) -> tuple[float, float, float]:
    """NPS in [-100, 100] with its interval: the share of 9 and 10 less that of 0 to 6, in points.

    The interval is the normal one of a difference of two shares of one multinomial sample.
    """
    net = (promoters - detractors) / n
    half = z * float(np.sqrt(max(0.0, (promoters + detractors) / n - net * net) / n))
    return 100 * net, max(-100.0, 100 * (net - half)), min(100.0, 100 * (net + half))


def _counts(y_true: Bools, y_pred: Bools) -> tuple[Ints, Ints, Ints]:
    return (y_true & y_pred).sum(0), (~y_true & y_pred).sum(0), (y_true & ~y_pred).sum(0)


def _one_hot(y_true: Ints, y_pred: Ints, n_classes: int) -> tuple[Bools, Bools]:
    classes = np.arange(n_classes)
    return y_true[:, None] == classes, y_pred[:, None] == classes
