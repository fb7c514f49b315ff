"""Calibration error out of fold: small where the fit is honest, large where it is not."""

import numpy as np
import pytest

from training.crossfit import out_of_fold_error
from training.data import UNKNOWN
from training.fits import fit_binary, fit_sentiment
from voc.classify.calibration import Calibration

N, N_LABELS = 3000, 16


@pytest.fixture(scope="module")
def drawn():
    """Logits that are twice too sure, and truths drawn from the honest ones."""
    rng = np.random.default_rng(1)
    sentiment, binary = rng.normal(0, 1.5, (N, 3)), rng.normal(-1, 1.5, (N, N_LABELS))
    proba = np.exp(sentiment) / np.exp(sentiment).sum(1, keepdims=True)
    y_sentiment = (proba.cumsum(1) > rng.random((N, 1))).argmax(1)
    y_binary = rng.random((N, N_LABELS)) < 1 / (1 + np.exp(-binary))
    return 2 * sentiment, 2 * binary, y_sentiment, y_binary


def error(drawn, fit, judged=None):
    sentiment, binary, y_sentiment, y_binary = drawn
    judged = np.ones_like(y_binary) if judged is None else judged
    return out_of_fold_error(
        sentiment, binary, np.ones(N, dtype=np.int64), y_sentiment, y_binary, judged, fit
    )


def fitted(drawn):
    sentiment, binary, y_sentiment, y_binary = drawn

    def fit(rows):
        pairs = [fit_binary(binary[rows, j], y_binary[rows, j]) for j in range(N_LABELS)]
        temperature, bias = fit_sentiment(sentiment[rows], y_sentiment[rows])
        return Calibration(temperature, bias, tuple(a for a, _ in pairs), tuple(b for _, b in pairs))

    return fit


def neutral(rows):
    return Calibration(1.0, (0.0,) * 3, (1.0,) * N_LABELS, (0.0,) * N_LABELS)


def test_a_fit_halves_the_error_of_logits_that_are_too_sure(drawn):
    before, after = error(drawn, neutral), error(drawn, fitted(drawn))

    assert after["sentiment"] < before["sentiment"] / 2
    assert after["signals_mean"] < before["signals_mean"] / 2


def test_no_text_is_in_its_own_fit(drawn):
    seen = []

    def fit(rows):
        seen.append(set(rows.tolist()))
        return neutral(rows)

    error(drawn, fit)

    assert len(seen) == 5
    assert all(sum(row not in rows for rows in seen) == 1 for row in range(N))


def test_a_head_that_was_hardly_judged_has_no_error(drawn):
    judged = np.ones((N, N_LABELS), dtype=bool)
    judged[99:, 4] = False
    sentiment, binary, _, y_binary = drawn

    found = error((sentiment, binary, np.full(N, UNKNOWN), y_binary), neutral, judged)

    assert "sentiment" not in found
    assert "billing_error" not in found
    assert len(found) == 16  # fifteen heads and the mean
