"""Which words speak for a label: spans of characters from the tokens' shares in the logit."""

from collections.abc import Sequence
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from voc.records import Span

Floats = NDArray[np.float32]

_MAX_SPANS = 3
_ENOUGH = 0.6  # of the positive share: what is left adds words faster than meaning
_WORTH = 0.15  # of the positive share: a weaker span is noise


def find_spans(label: str, text: str, offsets: Sequence[tuple[int, int]], share: Floats) -> list[Span]:
    """The few spans of `text` that carry most of a label's logit, strongest first.

    Parameters
    ----------
    offsets : character (start, end) of each token; special tokens have (0, 0)
    share : floats (n_tokens,), each token's addend in the label's logit

    Returns
    -------
    up to three spans, not overlapping, cut at word boundaries; empty if nothing speaks for the label
    """
    words, weights = _by_word(text, offsets, share)
    total = float(weights[weights > 0].sum())
    if total <= 0:
        return []
    spans: list[Span] = []
    covered = 0.0
    left = weights.copy()
    while len(spans) < _MAX_SPANS and covered < _ENOUGH * total:
        start, end, gain = _heaviest_run(left)
        if gain < _WORTH * total:
            break
        spans.append(Span(label, words[start][0], words[end][1]))
        covered += gain
        left[start : end + 1] = -np.inf
    return spans


def _by_word(
    text: str, offsets: Sequence[tuple[int, int]], share: Floats
) -> tuple[list[tuple[int, int]], NDArray[np.float64]]:
    words: list[tuple[int, int]] = []
    weights: list[float] = []
    for (start, end), value in zip(offsets, share, strict=True):
        if start == end:
            continue
        if (
            words
            and start == words[-1][1]
            and not text[start - 1 : start + 1].isspace()
            and text[start].isalnum()
        ):
            words[-1] = (words[-1][0], end)
            weights[-1] += float(value)
        else:
            words.append((start, end))
            weights.append(float(value))
    return words, np.array(weights)


def _heaviest_run(weights: NDArray[np.float64]) -> tuple[int, int, float]:
    """The run with the highest sum, after taking off what an average word weighs (Kadane)."""
    finite = weights[np.isfinite(weights)]
    level = max(0.0, float(finite.mean())) if finite.size else 0.0
    best, best_start, best_end = -np.inf, 0, 0
    current, start = 0.0, 0
    # As a list: walking over an array makes an object a number, and took a tenth of all scoring.
    for i, weight in enumerate(weights.tolist()):
        current += weight - level
        if current > best:
            best, best_start, best_end = current, start, i
        if current <= 0 or not isfinite(current):
            current, start = 0.0, i + 1
    gain = float(weights[best_start : best_end + 1].sum()) if isfinite(best) else 0.0
    return best_start, best_end, gain
