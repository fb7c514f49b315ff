"""Two samples in, a p-value and a size out: embeddings, shares, mean residuals; and Holm's correction."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def mmd_test(
    a: Floats, b: Floats, rng: np.random.Generator, *, n_permutations: int = 2999, cap: int = 300
) -> tuple[float, float]:
    """Are two sets of embeddings drawn from one distribution? (squared MMD without its bias, p).

    Gaussian kernel, its width the median distance; at most `cap` rows of each, drawn at random.

    Source: Gretton et al., "A kernel two-sample test", JMLR 2012.
    """
    a, b = _drawn(a, rng, cap), _drawn(b, rng, cap)
    rows = np.concatenate([a, b])
    square = np.maximum(((rows**2).sum(1)[:, None] + (rows**2).sum(1) - 2 * rows @ rows.T), 0.0)
    kernel = np.exp(-square / max(1e-12, float(np.median(square[np.triu_indices(len(rows), 1)]))))
    np.fill_diagonal(kernel, 0.0)  # a row is no evidence about itself
    n, m = len(a), len(b)
    first = np.zeros((len(rows), n_permutations + 1))
    first[:n, 0] = 1.0
    for column in range(1, n_permutations + 1):
        first[rng.permutation(len(rows))[:n], column] = 1.0
    to_first = kernel @ first
    within_a = (to_first * first).sum(0)
    across = to_first.sum(0) - within_a
    within_b = kernel.sum() - within_a - 2 * across
    value = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * across / (n * m)
    return float(value[0]), float((value >= value[0] - 1e-12).mean())


def _drawn(rows: Floats, rng: np.random.Generator, cap: int) -> Floats:
    return rows if len(rows) <= cap else rows[rng.choice(len(rows), cap, replace=False)]


def share_test(hits_a: int, n_a: int, hits_b: int, n_b: int) -> float:
    """Fisher's exact p of two shares."""
    return float(stats.fisher_exact([[hits_a, n_a - hits_a], [hits_b, n_b - hits_b]]).pvalue)


def stability_index(
    hits_a: int, n_a: int, hits_b: int, n_b: int, rng: np.random.Generator, *, n_draws: int = 1000
) -> tuple[float, float, float]:
    """Population stability index of two shares, with a 95 % bootstrap interval."""
    draws = _psi(rng.binomial(n_a, hits_a / n_a, n_draws), n_a, rng.binomial(n_b, hits_b / n_b, n_draws), n_b)
    low, high = np.quantile(draws, [0.025, 0.975])
    value = float(_psi(np.array([hits_a]), n_a, np.array([hits_b]), n_b)[0])
    return value, float(low), float(high)


def _psi(hits_a: NDArray[np.int64], n_a: int, hits_b: NDArray[np.int64], n_b: int) -> Floats:
    p, q = (hits_a + 0.5) / (n_a + 1), (hits_b + 0.5) / (n_b + 1)  # no share is quite 0 or 1
    index: Floats = (q - p) * np.log(q / p) + (p - q) * np.log((1 - q) / (1 - p))
    return index


def mean_test(a: Floats, b: Floats, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Do two samples have one mean? (mean of b less mean of a, its 95 % interval, p).

    A permutation test of Welch's t, which also holds where the spreads differ. A small p is looked at
    again with 50 times as many permutations: after correction only small ones matter.

    Source: Janssen, "Studentized permutation tests for non-i.i.d. hypotheses", 1997.
    """
    rows = np.concatenate([a, b])
    t = abs(_welch(rows[None, : len(a)], rows[None, len(a) :])[0])
    p = _permuted(rows, len(a), t, rng, 999)
    if p <= 0.01:
        p = _permuted(rows, len(a), t, rng, 49_999)
    gap = float(b.mean() - a.mean())
    half = 1.96 * float(np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b)))
    return gap, gap - half, gap + half, p


def _permuted(rows: Floats, n: int, t: float, rng: np.random.Generator, n_permutations: int) -> float:
    as_far = 1  # the sample itself
    for start in range(0, n_permutations, 500):
        size = min(500, n_permutations - start)
        mixed = rng.permuted(np.broadcast_to(rows, (size, len(rows))), axis=1)
        as_far += int((np.abs(_welch(mixed[:, :n], mixed[:, n:])) >= t - 1e-12).sum())
    return as_far / (n_permutations + 1)


def _welch(a: Floats, b: Floats) -> Floats:
    spread = a.var(axis=1, ddof=1) / a.shape[1] + b.var(axis=1, ddof=1) / b.shape[1]
    t: Floats = (b.mean(axis=1) - a.mean(axis=1)) / np.sqrt(np.maximum(spread, 1e-18))
    return t


def holm(p: Floats) -> Floats:
    """Adjusted p-values: the chance of one false alarm among all is held at the level."""
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted
