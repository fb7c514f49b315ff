"""Odds ratios, intervals and p-values against hand-worked values and independent implementations."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, hypergeom, nbinom, nchypergeom_fisher
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests

from voc.errors import StatisticsError
from voc.rootcause.baseline import WINDOW, Baseline
from voc.rootcause.exact import conditional_interval, conditional_p
from voc.rootcause.fdr import benjamini_hochberg, directional_q_values
from voc.rootcause.mantel_haenszel import homogeneity_p, stratified


@st.composite
def tables(draw, most=400, n_strata=3):
    """Margins and exposed cases with the outcome of some strata, each of shape (1, n_strata)."""
    rows = []
    for _ in range(n_strata):
        n = draw(st.integers(1, most))
        n1, m1 = draw(st.integers(0, n)), draw(st.integers(0, n))
        rows.append((draw(st.integers(max(0, n1 + m1 - n), min(n1, m1))), n1, m1, n))
    return [np.array([column], dtype=float) for column in zip(*rows, strict=True)]


def reference(a, n1, m1, n):
    return StratifiedTable(
        np.array(
            [[[a, n1 - a], [m1 - a, n - n1 - m1 + a]] for a, n1, m1, n in zip(a, n1, m1, n, strict=True)]
        )
        .transpose(1, 2, 0)
        .astype(float)
    )


def dense(seed, n_strata=5, odds=2.0):
    rng = np.random.default_rng(seed)
    n = rng.integers(400, 3000, n_strata)
    n1, m1 = (
        (n * rng.uniform(0.2, 0.5, n_strata)).astype(int),
        (n * rng.uniform(0.1, 0.4, n_strata)).astype(int),
    )
    a = [nchypergeom_fisher.rvs(*x, odds, random_state=rng) for x in zip(n, n1, m1, strict=True)]
    return [np.array([x], dtype=float) for x in (a, n1, m1, n)]


@pytest.mark.parametrize("seed", range(8))
def test_dense_tables_agree_with_statsmodels(seed):
    """Odds ratio, risk ratio, interval and homogeneity to rounding; the p-value to its skewness term."""
    a, n1, m1, n = dense(seed, odds=1.0 + seed / 30)
    ours, theirs = stratified(a, n1, m1, n), reference(a[0], n1[0], m1[0], n[0])

    assert not ours.exact[0]
    assert ours.odds_ratio[0] == pytest.approx(theirs.oddsratio_pooled, rel=1e-10)
    assert ours.risk_ratio[0] == pytest.approx(theirs.riskratio_pooled, rel=1e-10)
    assert (ours.ci_low[0], ours.ci_high[0]) == pytest.approx(theirs.oddsratio_pooled_confint(), rel=1e-6)
    same = homogeneity_p(a, n1, m1, n, ours.odds_ratio)[0]
    assert same == pytest.approx(theirs.test_equal_odds(adjust=True).pvalue, rel=1e-6)
    score = theirs.test_null_odds().pvalue
    assert np.log(ours.p_value[0]) == pytest.approx(np.log(score), rel=0.05, abs=0.05)


def test_a_table_worked_by_hand():
    """60 of 100 exposed and 120 of 300 unexposed: odds ratio 1.5 / (2 / 3), risk difference 0.2."""
    r = stratified(*(np.array([[x]], dtype=float) for x in (60, 100, 180, 400)))

    assert r.odds_ratio[0] == pytest.approx(2.25)
    assert r.risk_difference[0] == pytest.approx(0.2)
    assert r.risk_ratio[0] == pytest.approx(1.5)
    se = np.sqrt(1 / 60 + 1 / 40 + 1 / 120 + 1 / 180)  # Woolf: what RBG gives for one stratum
    assert r.ci_low[0] == pytest.approx(2.25 * np.exp(-1.959964 * se), rel=1e-6)


@given(tables(most=40))
@settings(deadline=None, max_examples=60)
def test_sparse_p_is_the_mid_p_of_the_convolved_hypergeometrics(t):
    """Against a plain enumeration of all tables with these margins."""
    a, n1, m1, n = (x[0].astype(int) for x in t)
    supports = [range(max(0, x + y - z), min(x, y) + 1) for x, y, z in zip(n1, m1, n, strict=True)]
    below = equal = above = 0.0
    for values in itertools.product(*supports):
        p = np.prod([hypergeom.pmf(v, z, x, y) for v, x, y, z in zip(values, n1, m1, n, strict=True)])
        below, equal, above = (
            below + p * (sum(values) < a.sum()),
            equal + p * (sum(values) == a.sum()),
            above + p * (sum(values) > a.sum()),
        )

    expected = min(1.0, 2 * min(below + equal / 2, above + equal / 2))
    assert conditional_p(*t)[0] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("a", "n1", "m1", "n"), [(3, 20, 10, 200), (8, 15, 12, 60), (1, 25, 30, 500)])
def test_the_exact_interval_leaves_two_and_a_half_percent_on_each_side(a, n1, m1, n):
    """Checked with scipy's noncentral hypergeometric at both bounds."""
    low, high = conditional_interval(*(np.array([[x]], float) for x in (a, n1, m1, n)), start=np.zeros(1))

    at_low, at_high = (nchypergeom_fisher(n, n1, m1, x[0]) for x in (low, high))
    assert at_low.sf(a) + at_low.pmf(a) / 2 == pytest.approx(0.025, rel=1e-5)
    assert at_high.cdf(a) - at_high.pmf(a) / 2 == pytest.approx(0.025, rel=1e-5)


def test_mid_p_is_fishers_p_less_half_the_observed_table():
    a, n1, m1, n = 7, 20, 30, 300
    one_sided = fisher_exact([[a, n1 - a], [m1 - a, n - n1 - m1 + a]], alternative="greater").pvalue

    ours = conditional_p(*(np.array([[x]], float) for x in (a, n1, m1, n)))[0]

    assert ours == pytest.approx(2 * (one_sided - hypergeom.pmf(a, n, n1, m1) / 2))


def test_a_zero_cell_gives_a_one_sided_interval():
    """No exposed case with the outcome: the odds ratio is 0 and bounded above; mirrored, it is infinite."""
    none = stratified(*(np.array([[x]], float) for x in (0, 30, 40, 400)))
    all_ = stratified(*(np.array([[x]], float) for x in (30, 30, 40, 400)))

    assert (none.odds_ratio[0], none.ci_low[0]) == (0.0, 0.0)
    assert 0 < none.ci_high[0] < 1
    assert np.isinf(all_.odds_ratio[0])
    assert np.isinf(all_.ci_high[0])
    assert 1 < all_.ci_low[0] < np.inf


@given(tables())
@settings(deadline=None, max_examples=150)
def test_swapping_exposed_and_unexposed_inverts_the_odds_ratio(t):
    """A law of odds: and the p-value stays."""
    a, n1, m1, n = t
    ours, other = stratified(a, n1, m1, n), stratified(m1 - a, n - n1, m1, n)

    assert 0 <= ours.p_value[0] <= 1
    assert ours.p_value[0] == pytest.approx(other.p_value[0], rel=1e-6)
    if 0 < ours.odds_ratio[0] < np.inf:
        assert other.odds_ratio[0] == pytest.approx(1 / ours.odds_ratio[0])
        assert ours.ci_low[0] < ours.ci_high[0]
        assert other.ci_low[0] == pytest.approx(1 / ours.ci_high[0], rel=1e-4, abs=1e-9)


@given(tables())
@settings(deadline=None, max_examples=60)
def test_strata_without_information_change_nothing(t):
    """A stratum where nobody, or everybody, is exposed adds no evidence."""
    padded = [np.hstack([x, [[0.0, 5.0]]]) for x in (t[0], t[1])] + [
        np.hstack([t[2], [[3.0, 5.0]]]),
        np.hstack([t[3], [[9.0, 5.0]]]),
    ]
    ours, theirs = stratified(*t), stratified(*padded)

    for name in ("odds_ratio", "p_value", "ci_low", "ci_high"):
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=1e-6, nan_ok=True)


def test_intervals_cover_at_the_stated_rate_in_sparse_strata():
    """2,000 draws at odds ratio 2 with about one exposed outcome a stratum."""
    rng = np.random.default_rng(0)
    n, n1, m1 = (np.tile(np.array(x, float), (2000, 1)) for x in ([40] * 12, [8] * 12, [5] * 12))
    a = nchypergeom_fisher.rvs(40, 8, 5, 2.0, size=n.shape, random_state=rng).astype(float)

    r = stratified(a, n1, m1, n)

    assert 0.93 <= np.mean((r.ci_low <= 2.0) & (r.ci_high >= 2.0)) <= 0.97


def test_null_p_values_far_in_the_tail_are_not_too_small():
    """Rare outcomes make the chi-square optimistic; ours must hold its level at 0.1 %."""
    rng = np.random.default_rng(1)
    one = np.ones((200_000, 1))
    a = rng.hypergeometric(600, 19_400, 2_000, size=(200_000, 1)).astype(float)

    p = stratified(a, 2_000 * one, 600 * one, 20_000 * one).p_value

    assert np.mean(p <= 1e-3) == pytest.approx(1e-3, rel=0.25)


def test_q_values_agree_with_statsmodels():
    p = np.random.default_rng(2).uniform(size=200) ** 3

    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])


def test_many_inverse_pairs_do_not_loosen_the_cut_for_the_reported():
    """One borderline positive pair among many strong inverse ones keeps its own correction."""
    p = np.array([1e-9] * 60 + [0.03] + [0.5] * 39)
    positive = np.array([False] * 60 + [True] * 40)

    q = directional_q_values(p, positive)

    assert benjamini_hochberg(p)[60] < 0.05 < q[60]


@pytest.mark.parametrize(
    ("counts", "says"),
    [((-1, 5, 5, 10), "negative"), ((6, 5, 8, 10), "exceeds"), ((1, 5, np.nan, 10), "not finite")],
)
def test_counts_that_cannot_be_are_refused(counts, says):
    with pytest.raises(StatisticsError, match=says):
        stratified(*(np.array([[x]], float) for x in counts))


@pytest.mark.parametrize("phi", [1.0, 1.8, 5.0])
def test_the_tail_of_a_count_is_that_of_scipys_distribution(phi):
    """Poisson, and negative binomial where days vary more."""
    observed, expected = np.array([0.0, 1.0, 12.0, 40.0]), np.array([3.0, 3.0, 4.5, 20.0])
    wide = phi * (1 + 2 * 2 / WINDOW)
    reference = nbinom(expected / (wide - 1), 1 / wide)

    ours = Baseline(expected, {2: phi}).tail_p(observed, expected, 2)

    assert ours == pytest.approx(reference.sf(observed - 1), rel=1e-9)
