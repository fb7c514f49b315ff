"""Stratified 2x2 tables: Mantel-Haenszel odds ratio, risk difference, score test and homogeneity, in bulk.

All functions take stacks of tables, shape (n_pairs, n_strata), as four margins: `a` exposed cases with
the outcome, `n1` exposed cases, `m1` cases with the outcome, `n` cases. Strata without information
(an empty row or column) add nothing, so sparse strata are safe.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, gammainc, gammaincc, ndtr

from voc.errors import StatisticsError
from voc.rootcause.exact import conditional_interval, conditional_p

Floats = npt.NDArray[np.float64]

Z_95 = 1.959963984540054
# Below this distance (in cases) of the observed or expected count from the end of its range the normal
# approximation of the log odds ratio is not trusted, and the exact conditional distribution is used.
SPARSE = 25.0


@dataclass(frozen=True, slots=True)
class Stratified:
    """What a stack of tables says; every field has shape (n_pairs,), NaN where undefined."""

    odds_ratio: Floats
    ci_low: Floats
    ci_high: Floats
    p_value: Floats
    risk_difference: Floats
    risk_ratio: Floats
    exact: npt.NDArray[np.bool_]


def check_tables(a: Floats, n1: Floats, m1: Floats, n: Floats) -> None:
    """Refuse counts that cannot be: negative, not finite, or a cell above its margin.

    Raises
    ------
    StatisticsError
    """
    for name, values in (("a", a), ("n1", n1), ("m1", m1), ("n", n)):
        if not np.isfinite(values).all():
            raise StatisticsError(f"count '{name}' is not finite; give whole numbers of cases")
        if (values < 0).any():
            raise StatisticsError(
                f"count '{name}' is negative ({values.min():g}); give whole numbers of cases"
            )
    if ((a > n1) | (a > m1) | (n1 > n) | (m1 > n) | (n1 + m1 - a > n)).any():
        raise StatisticsError("a cell exceeds its margin; counts must satisfy a <= n1 <= n and a <= m1 <= n")


def stratified(a: Floats, n1: Floats, m1: Floats, n: Floats) -> Stratified:
    """Mantel-Haenszel estimates with 95 % intervals and two-sided p-values.

    Dense pairs: Robins-Breslow-Greenland interval, and the Cochran-Mantel-Haenszel score test with its
    tail taken from a gamma of the same skewness (the plain chi-square is too small by a factor of two
    at p = 2e-4 with 100 expected cases, which a false discovery rate over many pairs would feel).
    Sparse pairs: exact conditional mid-p interval and p-value (`voc.rootcause.exact`).

    Parameters
    ----------
    a, n1, m1, n : counts, shape (n_pairs, n_strata)

    Returns
    -------
    `odds_ratio` in [0, inf], NaN where no stratum is informative (then p_value is 1 and the interval
    [0, inf]); `risk_difference` in [-1, 1].

    Raises
    ------
    StatisticsError
        Counts that cannot be.

    Source: Mantel and Haenszel 1959; Robins, Breslow and Greenland 1986; Greenland and Robins 1985.
    """
    a, n1, m1, n = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (a, n1, m1, n)))
    check_tables(a, n1, m1, n)
    size = np.where(n > 0, n, 1.0)
    b, c = n1 - a, m1 - a
    d = n - n1 - m1 + a
    n0 = n - n1
    r, s = a * d / size, b * c / size
    sum_r, sum_s = r.sum(1), s.sum(1)
    p_diag, q_diag = (a + d) / size, (b + c) / size
    with np.errstate(divide="ignore", invalid="ignore"):
        odds_ratio = sum_r / sum_s
        variance = (
            (p_diag * r).sum(1) / (2 * sum_r**2)
            + (p_diag * s + q_diag * r).sum(1) / (2 * sum_r * sum_s)
            + (q_diag * s).sum(1) / (2 * sum_s**2)
        )
        se = np.sqrt(variance)
        ci_low, ci_high = odds_ratio * np.exp(-Z_95 * se), odds_ratio * np.exp(Z_95 * se)
        weight = (n1 * n0 / size).sum(1)
        exposed_part, unexposed_part = (a * n0 / size).sum(1), (c * n1 / size).sum(1)
        risk_difference = (exposed_part - unexposed_part) / weight
        risk_ratio = exposed_part / unexposed_part
    p_value = _skewed_score_p(a, n1, m1, n)

    low, high = np.maximum(0.0, n1 + m1 - n).sum(1), np.minimum(n1, m1).sum(1)
    observed, expected = a.sum(1), (n1 * m1 / size).sum(1)
    room = np.minimum(np.minimum(observed, expected) - low, high - np.maximum(observed, expected))
    empty = high <= low
    sparse = (room < SPARSE) & ~empty
    if sparse.any():
        rows = np.flatnonzero(sparse)
        start = np.log((sum_r[rows] + 0.5) / (sum_s[rows] + 0.5))
        p_value[rows] = conditional_p(a[rows], n1[rows], m1[rows], n[rows])
        ci_low[rows], ci_high[rows] = conditional_interval(a[rows], n1[rows], m1[rows], n[rows], start=start)
    odds_ratio[empty], p_value[empty], ci_low[empty], ci_high[empty] = np.nan, 1.0, 0.0, np.inf
    return Stratified(odds_ratio, ci_low, ci_high, p_value, risk_difference, risk_ratio, sparse)


def _skewed_score_p(a: Floats, n1: Floats, m1: Floats, n: Floats) -> Floats:
    """Two-sided p of the stratified score test, tails from a gamma matched in mean, variance, skewness."""
    with np.errstate(divide="ignore", invalid="ignore"):
        core = n1 * m1 * (n - n1) * (n - m1)
        variance = np.where(n > 1, core / (n**2 * (n - 1)), 0.0).sum(1)
        third = np.where(n > 2, core * (n - 2 * n1) * (n - 2 * m1) / (n**3 * (n - 1) * (n - 2)), 0.0).sum(1)
        z = (a - np.where(n > 0, n1 * m1 / n, 0.0)).sum(1) / np.sqrt(variance)
        skew = third / variance**1.5
    z, skew = np.where(np.isfinite(z), z, 0.0), np.where(np.isfinite(skew), skew, 0.0)
    # A gamma with shape k = 4 / skew^2, centred and scaled; mirrored where the skew is negative.
    shape = 4.0 / np.maximum(np.abs(skew), 1e-3) ** 2
    mirrored = np.where(skew < 0, -z, z)
    point = np.maximum(shape + mirrored * np.sqrt(shape), 0.0)
    above, below = gammaincc(shape, point), gammainc(shape, point)
    near_normal = np.abs(skew) < 1e-3
    above, below = np.where(near_normal, ndtr(-mirrored), above), np.where(near_normal, ndtr(mirrored), below)
    result: Floats = np.where(variance > 0, np.minimum(1.0, 2.0 * np.minimum(above, below)), 1.0)
    return result


def homogeneity_p(a: Floats, n1: Floats, m1: Floats, n: Floats, odds_ratio: Floats) -> Floats:
    """Breslow-Day test, Tarone's correction: small where the odds ratio differs between strata.

    Strata whose smallest fitted cell is under 1 are left out, since the chi-square does not hold there.

    Returns
    -------
    p-values, shape (n_pairs,); NaN where fewer than two strata can be compared.

    Source: Breslow and Day 1980, section 4.4; Tarone 1985.
    """
    a, n1, m1, n = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (a, n1, m1, n)))
    ratio = np.where(np.isfinite(odds_ratio) & (odds_ratio > 0), odds_ratio, np.nan)[:, None]
    # The fitted cell solves A(n - n1 - m1 + A) = ratio (n1 - A)(m1 - A), a quadratic in A.
    quad = 1.0 - ratio
    linear = n - n1 - m1 + ratio * (n1 + m1)
    const = -ratio * n1 * m1
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(np.maximum(linear**2 - 4.0 * quad * const, 0.0))
        fitted = -2.0 * const / (linear + root)  # the stable form: holds at ratio 1 too
        cells = np.stack((fitted, n1 - fitted, m1 - fitted, n - n1 - m1 + fitted))
        usable = np.nan_to_num(cells.min(0), nan=-1.0) >= 1.0
        variance = np.where(usable, 1.0 / (1.0 / cells).sum(0), 0.0)
        excess = np.where(usable, a - fitted, 0.0)
        statistic = np.where(usable, excess**2 / np.where(usable, variance, 1.0), 0.0).sum(1)
        statistic = statistic - excess.sum(1) ** 2 / variance.sum(1)
    df = usable.sum(1) - 1
    result: Floats = np.where(df >= 1, chdtrc(np.maximum(df, 1), np.maximum(statistic, 0.0)), np.nan)
    return result
