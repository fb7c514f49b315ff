"""Calibration parameters and balanced thresholds, fitted to logits and truth."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from voc.classify.calibration import Calibration, binary_proba
from voc.classify.model import Model

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MIN_POSITIVES = 5  # fewer say nothing about a label's slope


def fit_sentiment(z: Floats, y_true: NDArray[np.int64]) -> tuple[float, tuple[float, ...]]:
    """Temperature and per-class bias that minimise log loss (one slope, three intercepts)."""

    def loss(x: Floats) -> float:
        s = z / np.exp(x[0]) + np.array([x[1], 0.0, x[2]])
        s = s - s.max(1, keepdims=True)
        log_p = s - np.log(np.exp(s).sum(1, keepdims=True))
        return float(-log_p[np.arange(len(z)), y_true].mean() + 1e-3 * (x**2).sum())

    x = minimize(loss, np.zeros(3), method="L-BFGS-B").x
    return float(np.exp(x[0])), (float(x[1]), 0.0, float(x[2]))


def fit_binary(z: Floats, y_true: NDArray[np.bool_]) -> tuple[float, float]:
    """Platt slope and offset with Platt's smoothed targets and a pull of the slope towards 1."""
    n_pos, n_neg = int(y_true.sum()), int((~y_true).sum())
    if n_pos < MIN_POSITIVES:
        return 1.0, 0.0
    target = np.where(y_true, (n_pos + 1) / (n_pos + 2), 1 / (n_neg + 2))

    def loss(x: Floats) -> float:
        s = z * np.exp(x[0]) + x[1]
        return float(np.mean(np.logaddexp(0, s) - target * s) * len(z) + 0.5 * (x[0] / 0.5) ** 2)

    x = minimize(loss, np.zeros(2), method="L-BFGS-B").x
    return float(np.exp(x[0])), float(x[1])


def fit_window_penalty(
    model: Model, texts: list[str], y_true: Bools, fitted: Calibration, judged: Bools | None = None
) -> float:
    """How much the highest of many windows exaggerates, learnt by cutting known texts into small windows."""
    long = [i for i, text in enumerate(texts) if len(text.split()) >= 60]
    if len(long) < 50:
        return 0.0
    cut = model.logits([texts[i] for i in long], max_tokens=40)
    labels = y_true[long]
    known = np.ones_like(labels) if judged is None else judged[long]

    def loss(penalty: float) -> float:
        p = binary_proba(
            cut.binary, cut.n_windows, Calibration(**{**asdict(fitted), "window_penalty": penalty})
        )
        p = np.clip(p, 1e-6, 1 - 1e-6)
        return float(-(labels * np.log(p) + ~labels * np.log(1 - p))[known].mean())

    return float(minimize_scalar(loss, bounds=(0.0, 2.0), method="bounded").x)


def balanced_threshold(proba: Floats, y_true: NDArray[np.bool_]) -> float:
    """Threshold of the best F1: the mean of what was counted and what calibrated probabilities expect.

    The expectation steadies labels with few positives, where the count alone would chase noise.
    """
    best, chosen = -1.0, 0.5
    for t in np.linspace(0.1, 0.8, 141):
        flagged = proba >= t
        counted = 2 * (flagged & y_true).sum() / max(1, flagged.sum() + y_true.sum())
        expected = 2 * proba[flagged].sum() / max(1e-9, flagged.sum() + proba.sum())
        if counted + expected > best + 1e-12:
            best, chosen = float(counted + expected), float(t)
    return chosen
