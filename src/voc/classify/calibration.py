"""Logits to probabilities that mean what they say."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voc.errors import CalibrationError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parameters fitted on data that trained nothing.

    Sentiment: `softmax(logits / temperature + bias)` (vector scaling with one slope).
    Frustration and signals: `sigmoid(slope * logit + offset)`, one pair a label (Platt scaling).
    Long texts: `window_penalty * ln(n_windows)` is taken off the highest window's calibrated logit,
    since the highest of many is high by chance.
    """

    temperature: float
    bias: tuple[float, ...]  # one a sentiment
    slope: tuple[float, ...]  # frustration, then the signals
    offset: tuple[float, ...]
    window_penalty: float = 0.0

    def __post_init__(self) -> None:
        numbers = [self.temperature, *self.bias, *self.slope, *self.offset, self.window_penalty]
        if not np.isfinite(numbers).all():
            raise CalibrationError("calibration parameters must be finite; calibrate the bundle again")
        if self.temperature <= 0 or min(self.slope) <= 0:
            raise CalibrationError(
                f"temperature {self.temperature} and slopes must be above 0; calibrate the bundle again"
            )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Calibration":
        """Read the manifest's form."""
        return cls(
            temperature=float(values["temperature"]),
            bias=tuple(values["bias"]),
            slope=tuple(values["slope"]),
            offset=tuple(values["offset"]),
            window_penalty=float(values["window_penalty"]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The manifest's form."""
        return {
            "temperature": self.temperature,
            "bias": list(self.bias),
            "slope": list(self.slope),
            "offset": list(self.offset),
            "window_penalty": self.window_penalty,
        }


def sentiment_proba(logits: Floats, calibration: Calibration) -> Floats:
    """Sentiment logits (n_texts, 3) to probabilities; each row sums to 1.

    Raises
    ------
    CalibrationError
        A logit is not finite.

    Source: Guo et al., arXiv:1706.04599, section 4.2.
    """
    _check(logits)
    z = logits / calibration.temperature + np.asarray(calibration.bias)
    # Subtract the row maximum first: exp() of a large logit overflows.
    e = np.exp(z - z.max(axis=1, keepdims=True))
    proba: Floats = e / e.sum(axis=1, keepdims=True)
    return proba


def binary_proba(logits: Floats, n_windows: NDArray[np.int64], calibration: Calibration) -> Floats:
    """Logits of frustration and signals (n_texts, 16) to probabilities in [0, 1].

    `n_windows` (n_texts,) says over how many windows each row's logits are the maximum.

    Raises
    ------
    CalibrationError
        A logit is not finite.

    Source: Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    _check(logits)
    z = logits * np.asarray(calibration.slope) + np.asarray(calibration.offset)
    z = z - calibration.window_penalty * np.log(n_windows)[:, None]
    proba: Floats = 1.0 / (1.0 + np.exp(-np.clip(z, -40.0, 40.0)))
    return proba


def _check(logits: Floats) -> None:
    if not np.isfinite(logits).all():
        raise CalibrationError("a logit is not finite; the model or its input is broken")
