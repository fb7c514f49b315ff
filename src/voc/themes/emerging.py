"""Emerging themes: a matter that was hardly there before and now is, told from a stream of embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from voc.records import Quote
from voc.themes.quotes import choose_quotes
from voc.themes.space import Floats, unit

WINDOWS = (1_000, 3_000, 6_000)  # texts that count as now: a quick matter, and a slow one
BEFORE = 20_000  # texts that count as before, at most
LEAST_BEFORE = 2_000  # nothing is new before this many are known
LEAST_STREAM = LEAST_BEFORE + min(WINDOWS)  # texts before the first look
STEP = 200  # texts between two looks
LEAST_TEXTS = 8  # texts that make a matter
LEAST_RATIO = 4.0  # how many times more frequent than before
WIDTHS = (0.8, 0.9, 1.0)  # of a matter, as parts of the cosine expected to its middle
# Chance of a false flag on a stream of 100,000 texts, each tested at each window and width.
FALSE_ALARM = 0.01
MAX_P = FALSE_ALARM / (100_000 * len(WINDOWS) * len(WIDTHS))
_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Emerging:
    """A matter that emerged.

    `at` is the time of the text at which it was flagged, `position` that text's place in the stream
    (from 0); `n_recent` of the last `window` texts say it, `n_before` of the `of_before` texts before those.
    """

    at: datetime
    position: int
    window: int
    n_recent: int
    n_before: int
    of_before: int
    p_value: float
    quotes: tuple[Quote, ...]
    members: tuple[int, ...]  # places in the stream of the recent texts that say it


def find_emerging(
    points: Floats, times: Sequence[datetime], ids: Sequence[str], texts: Sequence[str], *, radius: float
) -> list[Emerging]:
    """Look through a stream, in the order given, for matters that emerge.

    Around each new text, recent texts within `radius` give the middle of a possible matter. The texts
    close to that middle are counted among the recent ones and among those before; where the recent share
    is improbably larger (exact binomial test given their sum, held at FALSE_ALARM over all tests), the
    matter is flagged, once: texts close to it count as known from then on.

    Parameters
    ----------
    points : (n, d) unit vectors in the space of a fit, whose `radius` is meant
    """
    found: list[Emerging] = []
    known: Floats = np.zeros((0, points.shape[1]), dtype=np.float32)
    widths = (
        np.array(WIDTHS) * max(radius, 0.0) ** 0.5
    )  # a middle is closer to its texts than they to another
    for end in range(LEAST_STREAM, len(points) + 1, STEP):
        new = points[end - STEP : end]
        if len(known):
            new = new[(new @ known.T).max(axis=1) < widths[0]]
        middles = _middles(new, points[max(0, end - max(WINDOWS)) : end], radius)
        one = _strongest(points, end, middles, widths)
        while one is not None:
            middle, width, window, n_recent, n_before, of_before, p_value = one
            members = end - window + np.flatnonzero(points[end - window : end] @ middle >= width)
            nearest = members[np.argsort(-(points[members] @ middle), kind="stable")[:_QUOTED]].tolist()
            quotes = choose_quotes([ids[m] for m in nearest], [texts[m] for m in nearest], points[nearest])
            found.append(
                Emerging(times[end - 1], end - 1, window, n_recent, n_before, of_before, p_value, quotes,
                         tuple(members.tolist()))
            )  # fmt: skip
            known = np.vstack([known, middle])
            middles = middles[middles @ middle < widths[0]]
            one = _strongest(points, end, middles, widths)
    return found


def _middles(new: Floats, recent: Floats, radius: float) -> Floats:
    """Middles of the recent texts around each new one that has enough of them."""
    close = (new @ recent.T >= radius).astype(np.float32)
    return unit((close @ recent)[close.sum(axis=1) >= LEAST_TEXTS])


def _strongest(
    points: Floats, end: int, middles: Floats, widths: NDArray[np.float64]
) -> tuple[Floats, float, int, int, int, int, float] | None:
    """The least probable middle with its width, window, counts and p-value; None where none is improbable."""
    if not len(middles):
        return None
    first = max(0, end - max(WINDOWS) - BEFORE)
    cosine = middles @ points[first:end].T
    starts = [end - first - window for window in WINDOWS if end - first - window >= LEAST_BEFORE]
    best: tuple[Floats, float, int, int, int, int, float] | None = None
    for width in widths.tolist():
        close = cosine >= width
        total = close.sum(axis=1)
        for of_before in starts:
            window = end - first - of_before
            n_recent = close[:, of_before:].sum(axis=1)
            n_before = total - n_recent
            rises = (n_recent >= LEAST_TEXTS) & (n_recent * of_before >= LEAST_RATIO * n_before * window)
            if not rises.any():
                continue
            p_value = np.where(rises, binom.sf(n_recent - 1, total, window / (end - first)), 1.0)
            i = int(p_value.argmin())
            if p_value[i] <= MAX_P and (best is None or p_value[i] < best[-1]):
                best = (
                    middles[i], width, window, int(n_recent[i]), int(n_before[i]), of_before, float(p_value[i])
                )  # fmt: skip
    return best
