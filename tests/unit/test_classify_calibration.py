"""Calibration: the laws of probabilities, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voc.classify.calibration import Calibration, binary_proba, sentiment_proba
from voc.errors import CalibrationError

NEUTRAL = Calibration(1.0, (0.0, 0.0, 0.0), (1.0,) * 16, (0.0,) * 16)
logits = arrays(np.float64, (5, 3), elements=st.floats(-30, 30))


@given(logits, st.floats(0.2, 5))
def test_sentiment_rows_sum_to_one_and_the_winner_stays(z, t):
    proba = sentiment_proba(z, Calibration(t, (0.0, 0.0, 0.0), (1.0,) * 16, (0.0,) * 16))

    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    winner = z.argmax(axis=1)[:, None]
    assert (np.take_along_axis(proba, winner, 1)[:, 0] >= proba.max(1) - 1e-12).all()


def test_a_logit_of_zero_is_one_half_and_more_windows_lower_it():
    z = np.zeros((2, 16))
    penalised = Calibration(1.0, (0.0, 0.0, 0.0), (1.0,) * 16, (0.0,) * 16, window_penalty=1.0)

    proba = binary_proba(z, np.array([1, 3]), penalised)

    np.testing.assert_allclose(proba[0], 0.5)
    np.testing.assert_allclose(proba[1], 0.25)  # odds of one third


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_logit_that_is_not_finite_is_refused(bad):
    with pytest.raises(CalibrationError, match="not finite"):
        sentiment_proba(np.array([[0.0, bad, 1.0]]), NEUTRAL)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(CalibrationError, match="above 0"):
        Calibration(0.0, (0.0, 0.0, 0.0), (1.0,) * 16, (0.0,) * 16)


def test_the_manifest_form_round_trips():
    assert Calibration.from_dict(NEUTRAL.to_dict()) == NEUTRAL
