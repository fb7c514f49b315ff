"""Calibration: it finds what was put in, moves no winner, and leaves alone what it cannot know."""

import argparse

import numpy as np
import pytest

from training.calibrate import operating_points
from training.fits import balanced_threshold, fit_binary, fit_sentiment
from voc.classify.bundle import BINARY_LABELS

RNG = np.random.default_rng(5)


def _softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _args(**values):
    about = {"false_positive_rate": [], "alerts_per_day": None, "volume": 1000.0, "min_precision": None,
             "confidence": 0.9}  # fmt: skip
    return argparse.Namespace(**about | values)


def test_the_temperature_that_was_put_in_is_found():
    z = RNG.normal(0, 2, (4000, 3))
    y = np.array([RNG.choice(3, p=p) for p in _softmax(z / 2.5)])

    temperature, bias = fit_sentiment(z, y)

    assert temperature == pytest.approx(2.5, rel=0.12)
    assert np.abs(bias).max() < 0.2


def test_slope_and_offset_that_were_put_in_are_found():
    z = RNG.normal(0, 3, 6000)
    y = RNG.random(6000) < 1 / (1 + np.exp(-(0.6 * z - 1.0)))

    slope, offset = fit_binary(z, y)

    assert slope == pytest.approx(0.6, rel=0.1)
    assert offset == pytest.approx(-1.0, abs=0.15)


def test_four_positives_say_nothing_about_a_slope():
    y = np.zeros(100, dtype=bool)
    y[:4] = True

    assert fit_binary(RNG.normal(size=100), y) == (1.0, 0.0)


def test_separable_labels_do_not_blow_the_slope_up():
    z = np.concatenate([np.full(20, -2.0), np.full(20, 2.0)])

    slope, _ = fit_binary(z, z > 0)

    assert 0.3 < slope < 6


def test_the_balanced_threshold_is_the_best_f1_by_hand():
    # Three positives at .7, .6 and .3; one negative at .5: F1 is 6/7 from .3 down, 4/5 between.
    proba = np.array([0.7, 0.6, 0.3, 0.5] + [0.05] * 30)
    y = np.array([True, True, True, False] + [False] * 30)

    assert 0.1 <= balanced_threshold(proba, y) <= 0.3


def _spread(n=2000):
    proba = RNG.beta(0.5, 3, (n, len(BINARY_LABELS)))
    return proba, RNG.random(proba.shape) < proba


def test_each_budget_becomes_an_operating_point_with_its_guarantee():
    proba, y = _spread()
    args = _args(false_positive_rate=[0.05], alerts_per_day=16.0, volume=100.0, min_precision=0.6)

    points = operating_points(proba, y, args, {"by": "x"})

    assert set(points) == {"balanced", "fpr_0.05", "alerts_16_a_day", "precision_0.6"}
    about = points["fpr_0.05"]["about"]
    assert about["confidence"] == 0.9
    assert set(about["labels"]) == set(BINARY_LABELS)
    # 16 alerts of 100 texts over 16 labels: one in a hundred each.
    assert points["alerts_16_a_day"]["about"]["labels"]["delay"]["needed"] == 230
    for label, threshold in points["fpr_0.05"]["thresholds"].items():
        j = BINARY_LABELS.index(label)
        assert (proba[~y[:, j], j] >= threshold).mean() <= 0.05


def test_labels_that_support_no_guarantee_say_how_many_are_needed(capsys):
    proba, y = _spread(40)

    points = operating_points(proba, y, _args(false_positive_rate=[0.01]), {})

    assert points["fpr_0.01"]["thresholds"]["delay"] > 1
    assert "at least 230 without an error are needed" in capsys.readouterr().err


def test_texts_nobody_judged_do_not_count_as_negatives():
    proba, y = _spread(600)
    judged = np.ones_like(y)
    judged[100:, 3] = False

    points = operating_points(proba, y, _args(false_positive_rate=[0.05]), {}, judged)

    n = points["fpr_0.05"]["about"]["labels"][BINARY_LABELS[3]]["n_judged"]
    assert n == (~y[:100, 3]).sum()


def test_a_label_with_too_few_positives_keeps_its_threshold():
    proba, y = _spread(300)
    y[:, 2] = False
    kept = dict.fromkeys(BINARY_LABELS, 0.77)

    points = operating_points(proba, y, _args(), {}, None, kept)

    assert points["balanced"]["thresholds"][BINARY_LABELS[2]] == 0.77
    assert points["balanced"]["thresholds"][BINARY_LABELS[1]] != 0.77
