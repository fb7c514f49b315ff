"""Calibration measured on texts that did not fit it: each fifth by a calibration of the other four."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.data import UNKNOWN
from voc.classify.bundle import BINARY_LABELS
from voc.classify.calibration import Calibration, binary_proba, sentiment_proba
from voc.metrics import expected_calibration_error

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
N_FOLDS = 5
MIN_TEXTS = 100  # fewer say nothing about a head: its error would be that of the bins


def out_of_fold_error(
    sentiment: Floats,
    binary: Floats,
    n_windows: Ints,
    y_sentiment: Ints,
    y_binary: Bools,
    judged: Bools,
    fit: Callable[[Ints], Calibration],
) -> dict[str, float]:
    """Expected calibration error of each head over out-of-fold probabilities.

    Parameters
    ----------
    sentiment, binary : logits, shapes (n, 3) and (n, 16)
    n_windows : windows a text, (n,)
    y_sentiment : class or UNKNOWN, (n,); y_binary, judged : (n, 16)
    fit : rows to a calibration fitted on them alone

    Returns
    -------
    `sentiment`, each binary label, and `signals_mean` over the fifteen signals measured; a head with
    under 100 judged texts is left out. Empty where no head has that many.
    """
    folds = np.random.default_rng(0).permutation(len(sentiment)) % N_FOLDS
    p_sentiment, p_binary = np.zeros_like(sentiment, float), np.zeros_like(binary, float)
    for fold in range(N_FOLDS):
        inside = folds == fold
        fitted = fit(np.flatnonzero(~inside))
        p_sentiment[inside] = sentiment_proba(sentiment[inside], fitted)
        p_binary[inside] = binary_proba(binary[inside], n_windows[inside], fitted)
    errors: dict[str, float] = {}
    known = y_sentiment != UNKNOWN
    if known.sum() >= MIN_TEXTS:
        right = p_sentiment[known].argmax(1) == y_sentiment[known]
        errors["sentiment"] = expected_calibration_error(right, p_sentiment[known].max(1))
    for j, label in enumerate(BINARY_LABELS):
        rows = judged[:, j]
        if rows.sum() >= MIN_TEXTS:
            errors[label] = expected_calibration_error(y_binary[rows, j], p_binary[rows, j])
    signals = [errors[label] for label in BINARY_LABELS[1:] if label in errors]
    if signals:
        errors["signals_mean"] = float(np.mean(signals))
    return {name: round(value, 4) for name, value in errors.items()}
