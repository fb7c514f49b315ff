"""Thresholds with a guarantee: it holds over draws, and the counts are right by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.guarantee import NEVER, bound_false_positive_rate, bound_precision, clopper_pearson


def _draw(rng, n, share_positive=0.2, overlap=1.0):
    """Scores of positives and negatives that overlap: z ~ N(+-overlap, 1), told as probabilities."""
    y = rng.random(n) < share_positive
    z = rng.normal(np.where(y, 1.5, -1.5) * overlap, 1.0)
    return 1 / (1 + np.exp(-z)), y


def _tail(threshold):
    """True false-positive rate of `_draw`: P(N(-1.5, 1) >= logit)."""
    if threshold > 1:
        return 0.0
    return 0.5 * math.erfc((math.log(threshold / (1 - threshold)) + 1.5) / math.sqrt(2))


@pytest.mark.parametrize(("limit", "confidence"), [(0.05, 0.9), (0.1, 0.8)])
def test_the_false_positive_rate_is_broken_no_oftener_than_stated(limit, confidence):
    rng = np.random.default_rng(1)
    n_draws = 100

    broken = 0
    for _ in range(n_draws):
        proba, y = _draw(rng, 400)
        found = bound_false_positive_rate(proba, y, limit=limit, confidence=confidence)
        broken += _tail(found.threshold) > limit

    # Three standard errors above the stated share.
    allowed = 1 - confidence
    assert broken / n_draws <= allowed + 3 * math.sqrt(allowed * confidence / n_draws)


def test_the_false_positive_threshold_is_not_needlessly_strict():
    proba, y = _draw(np.random.default_rng(2), 5000)

    found = bound_false_positive_rate(proba, y, limit=0.05, confidence=0.9)

    assert 0.03 < _tail(found.threshold) <= 0.055
    assert found.recall > 0.85


@pytest.mark.parametrize(("minimum", "confidence"), [(0.8, 0.8), (0.9, 0.9)])
def test_the_precision_is_broken_no_oftener_than_stated(minimum, confidence):
    rng = np.random.default_rng(3)
    big_proba, big_y = _draw(np.random.default_rng(4), 400_000)
    n_draws = 100

    broken = 0
    for _ in range(n_draws):
        proba, y = _draw(rng, 500)
        found = bound_precision(proba, y, minimum=minimum, confidence=confidence)
        flagged = big_proba >= found.threshold
        broken += bool(flagged.any()) and big_y[flagged].mean() < minimum

    allowed = 1 - confidence
    assert broken / n_draws <= allowed + 3 * math.sqrt(allowed * confidence / n_draws)


@pytest.mark.parametrize(
    ("limit", "confidence", "needed"),
    # (1 - limit)^n <= 1 - confidence: ln 0.05 / ln 0.99 = 298.07, ln 0.05 / ln 0.95 = 58.4, ...
    [(0.01, 0.95, 299), (0.05, 0.95, 59), (0.1, 0.9, 22), (0.001, 0.95, 2995)],
)
def test_the_texts_needed_are_the_rule_of_three_made_exact(limit, confidence, needed):
    proba, y = np.full(50, 0.01), np.zeros(50, dtype=bool)

    found = bound_false_positive_rate(proba, y, limit=limit, confidence=confidence)

    assert found.needed == needed


def test_one_negative_too_few_supports_nothing_and_one_more_does():
    def threshold(n):
        proba, y = np.full(n, 0.001), np.zeros(n, dtype=bool)
        return bound_false_positive_rate(proba, y, limit=0.05, confidence=0.95).threshold

    assert threshold(58) == NEVER
    assert threshold(59) < 0.05


def test_precision_needs_as_many_flagged_texts_without_an_error():
    def threshold(n):
        proba, y = np.full(n, 0.9), np.ones(n, dtype=bool)
        return bound_precision(proba, y, minimum=0.9, confidence=0.9).threshold

    assert threshold(21) == NEVER
    assert threshold(22) <= 0.9


def test_no_negative_at_all_supports_nothing():
    found = bound_false_positive_rate(np.full(9, 0.9), np.ones(9, dtype=bool), limit=0.1, confidence=0.9)

    assert found.threshold == NEVER
    assert found.recall == 0.0


def test_the_interval_of_a_share_is_the_textbooks():
    # Clopper and Pearson 1934: 0 of 10 at 95 %: upper 1 - 0.025^(1/10) = 0.3085; 5 of 10: 0.1871-0.8129.
    assert clopper_pearson(0, 10, 0.95) == (0.0, pytest.approx(0.3085, abs=1e-4))
    assert clopper_pearson(5, 10, 0.95) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert clopper_pearson(0, 0, 0.95) == (0.0, 1.0)


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0.5, 0.99))
def test_the_interval_holds_the_share(hits, misses, confidence):
    n = hits + misses
    low, high = clopper_pearson(hits, n, confidence)

    assert 0 <= low <= high <= 1
    if n:
        assert low <= hits / n <= high


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.3))
def test_a_looser_limit_never_gives_a_stricter_threshold(seed, limit):
    proba, y = _draw(np.random.default_rng(seed), 300)

    tight = bound_false_positive_rate(proba, y, limit=limit, confidence=0.9)
    loose = bound_false_positive_rate(proba, y, limit=limit * 1.5, confidence=0.9)

    assert loose.threshold <= tight.threshold
    assert loose.recall >= tight.recall
