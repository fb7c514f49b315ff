"""Quotes that stand for a theme: near its middle, unlike one another, short enough to read."""

from collections.abc import Sequence

import numpy as np

from voc.records import Quote
from voc.themes.space import Floats, unit
from voc.themes.terms import mmr

N_QUOTES = 5
_POOL = 60  # nearest to the middle, to choose among
_LEAST_CHARS, _MOST_CHARS = 15, 400


def choose_quotes(
    ids: Sequence[str], texts: Sequence[str], points: Floats, *, k: int = N_QUOTES
) -> tuple[Quote, ...]:
    """Up to k quotes of a group of texts; `points` (n, d) are their unit vectors.

    Equal texts count once. Texts too short to say anything or too long to read are taken only where
    there is nothing else.
    """
    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        first.setdefault(" ".join(text.lower().split()), i)
    readable = [i for key, i in first.items() if _LEAST_CHARS <= len(key) <= _MOST_CHARS]
    pool = np.array(readable or list(first.values()), dtype=np.int64)
    middle = unit(points.mean(axis=0))
    closeness = points[pool] @ middle
    pool = pool[np.argsort(-closeness, kind="stable")[:_POOL]]
    near = points[pool]
    chosen = mmr(near @ middle, near @ near.T, k, 0.3)
    return tuple(Quote(str(ids[pool[i]]), texts[pool[i]]) for i in chosen)
