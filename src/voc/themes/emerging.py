"""Emerging themes: a matter that was hardly there before and now is, told from a stream of embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.stats import binom

from voc.records import Quote
from voc.themes.quotes import choose_quotes
from voc.themes.space import Floats, unit

RECENT = 2_000  # texts that count as now
BEFORE = 10_000  # texts that count as before, at most
LEAST_BEFORE = 2_000  # nothing is new before this many are known
STEP = 100  # texts between two looks
LEAST_TEXTS = 8  # texts that make a matter
LEAST_RATIO = 4.0  # how many times more frequent than before
FALSE_ALARM = 1e-3  # chance of any flag on a stream of MOST_LOOKS without change
MOST_TESTS = 1e6  # texts a stream may have until that chance is used up
_QUOTED = 60


@dataclass(frozen=True, slots=True)
class Emerging:
    """A matter that emerged.

    `at` is the time of the text at which it was flagged, `position` that text's place in the stream
    (from 0); `n_recent` of the last RECENT texts say it, `n_before` of the `of_before` texts before those.
    """

    at: datetime
    position: int
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

    Around each new text, the texts within `radius` are counted among the recent ones and among those
    before. Where the recent share is improbably larger (exact binomial test given their sum, held at
    FALSE_ALARM over all texts tested), the group is flagged, once: texts close to a flagged group count as known.

    Parameters
    ----------
    points : (n, d) unit vectors in the space of a fit, whose `radius` is meant
    """
    found: list[Emerging] = []
    known: list[Floats] = []
    for end in range(LEAST_BEFORE + RECENT, len(points) + 1, STEP):
        start = end - RECENT
        past = points[max(0, start - BEFORE) : start]
        new = points[end - STEP : end]
        recent = points[start:end]
        close = new @ recent.T >= radius
        n_recent = close.sum(axis=1)
        candidates = np.flatnonzero(n_recent >= LEAST_TEXTS)
        for i in candidates[np.argsort(-n_recent[candidates], kind="stable")].tolist():
            if known and float((np.array(known) @ new[i]).max()) >= radius:
                continue
            # The middle of the neighbours sees the group more whole than one of its texts does.
            middle = unit(recent[close[i]].mean(axis=0))
            one = _look(recent, past, middle, radius)
            if one is None:
                continue
            n_now, n_before, p_value = one
            members = start + np.flatnonzero(recent @ middle >= radius)
            nearest = members[np.argsort(-(points[members] @ middle), kind="stable")[:_QUOTED]].tolist()
            quotes = choose_quotes([ids[m] for m in nearest], [texts[m] for m in nearest], points[nearest])
            found.append(
                Emerging(times[end - 1], end - 1, n_now, n_before, len(past), p_value, quotes, tuple(members.tolist()))
            )  # fmt: skip
            known.append(middle)
    return found


def _look(recent: Floats, past: Floats, middle: Floats, radius: float) -> tuple[int, int, float] | None:
    n_now = int((recent @ middle >= radius).sum())
    n_before = int((past @ middle >= radius).sum())
    if n_now < LEAST_TEXTS or n_now / len(recent) < LEAST_RATIO * n_before / len(past):
        return None
    expected = len(recent) / (len(recent) + len(past))
    p_value = float(binom.sf(n_now - 1, n_now + n_before, expected))
    return (n_now, n_before, p_value) if p_value * MOST_TESTS <= FALSE_ALARM else None
