"""Drift: the tests keep their level when nothing changed, and find what was put in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.drift import HEADS, Sample, find_drift, truth_of
from evaluation.two_sample import holm, mean_test, mmd_test, share_test, stability_index

J = HEADS.index("delay")


def _sample(rng, n=150, *, shift=0.0, more=0.0, wrong=0.0):
    """Calibrated probabilities, truth drawn from them, embeddings; and three ways to disturb them."""
    proba = rng.beta(1, 4, (n, len(HEADS)))
    proba[:, J] = np.clip(proba[:, J] + more, 0, 1)
    truth = (rng.random(proba.shape) < np.clip(proba + wrong * (np.arange(len(HEADS)) == J), 0, 1)).astype(
        int
    )
    segments = np.where(rng.random(n) < 0.5, "gold", "silver")
    embedding = rng.normal(size=(n, 8))
    embedding[:, 0] += shift * (segments == "gold")
    return Sample(embedding, proba, proba >= 0.4, truth, segments)


def _loud(findings, level=0.05):
    return {(f.family, f.segment, f.what) for f in findings if f.drifted(level)}


def test_nothing_changed_and_nothing_is_said():
    alarms = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        alarms += bool(_loud(find_drift(_sample(rng), _sample(rng), seed=seed)))

    assert alarms <= 1


def test_strange_texts_are_found_in_their_segment():
    rng = np.random.default_rng(1)

    loud = _loud(find_drift(_sample(rng), _sample(rng, shift=2.0)))

    assert ("inputs", "gold", "embedding") in loud
    assert ("inputs", "silver", "embedding") not in loud


def test_a_label_that_grew_is_found_by_name():
    rng = np.random.default_rng(2)

    loud = _loud(find_drift(_sample(rng), _sample(rng, more=0.3)))

    assert ("mix", "all", "delay") in loud
    assert {what for family, _, what in loud if family == "mix"} <= {"delay", "delay (judged)"}


def test_truth_that_left_the_probabilities_is_found():
    rng = np.random.default_rng(3)

    loud = _loud(find_drift(_sample(rng), _sample(rng, wrong=0.4)))

    assert ("calibration", "all", "delay") in loud
    assert not any(family == "inputs" for family, _, _ in loud)


def test_without_judgements_calibration_is_not_tested():
    rng = np.random.default_rng(4)
    a, b = _sample(rng, 60), _sample(rng, 60)
    b.truth[:] = -1

    families = {f.family for f in find_drift(a, b)}

    assert families == {"inputs", "mix"}


def test_a_tiny_segment_is_not_tested_by_itself():
    rng = np.random.default_rng(5)
    a, b = _sample(rng, 80), _sample(rng, 80)
    b.segments[:] = "gold"

    assert "silver" not in {f.segment for f in find_drift(a, b)}


def test_equal_samples_have_no_small_p():
    rows = np.random.default_rng(6).normal(size=(50, 4))

    size, p = mmd_test(rows, rows.copy(), np.random.default_rng(0), n_permutations=199)

    assert size < 0
    assert p > 0.9


def test_p_values_of_equal_distributions_are_even():
    ps = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ps.append(mmd_test(rng.normal(size=(30, 3)), rng.normal(size=(40, 3)), rng, n_permutations=99)[1])

    assert 0.01 <= np.mean(np.array(ps) <= 0.2) <= 0.4
    assert 0.35 < np.mean(ps) < 0.65


def test_the_stability_index_is_the_textbooks():
    # Shares .1 and .2: (.2 - .1) ln(.2 / .1) + (.8 - .9) ln(.8 / .9) = .0811
    value, low, high = stability_index(10_000, 100_000, 20_000, 100_000, np.random.default_rng(0))

    assert value == pytest.approx(0.0811, abs=1e-3)
    assert low < value < high


def test_a_share_is_tested_exactly():
    # Fisher's tea: 3 of 4 against 1 of 4, two-sided p 34/70.
    assert share_test(3, 4, 1, 4) == pytest.approx(34 / 70)


def test_a_mean_that_moved_is_found_and_measured():
    rng = np.random.default_rng(7)

    gap, low, high, p = mean_test(rng.normal(size=200), rng.normal(0.8, 2, 200), rng)

    assert low < 0.8 < high
    assert gap == pytest.approx((low + high) / 2)
    assert p < 1e-3


def test_holms_correction_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_corrected_p_is_never_smaller_and_keeps_the_order(values):
    p = np.array(values)
    adjusted = holm(p)

    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_truth_is_read_from_lists_and_from_text():
    listed = truth_of({"sentiment": "negative", "frustration": True, "signals": ["delay"]})
    text = truth_of({"sentiment": "negative", "frustration": "yes", "signals": "delay"})
    nothing = truth_of({"text": "x"})

    assert listed == text
    assert listed[:4] == [1, 0, 0, 1]
    assert listed[J] == 1
    assert set(nothing) == {-1}
