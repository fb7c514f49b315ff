"""A new complaint planted in a stream: is it flagged, how soon, and is nothing flagged without it?"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from voc.themes.emerging import find_emerging
from voc.themes.fits import ThemeFit

START = datetime(2026, 1, 1, tzinfo=UTC)
VOLUME = 0.01  # share of the stream that is the new complaint, once it has begun


@dataclass(frozen=True, slots=True)
class Planted:
    """What came of one planted complaint: `n_seen` of its texts had come when it was flagged (None: it
    was not), `share` of the flagged texts are its own, `n_others` other matters were flagged;
    `n_shuffled` flags on the same texts in a random order."""

    name: str
    n_planted: int
    n_seen: int | None
    share: float
    n_quotes: int
    n_others: int
    n_shuffled: int


def plant(
    fit: ThemeFit,
    texts: list[str],
    embeddings: NDArray[np.floating],
    is_new: NDArray[np.bool_],
    *,
    name: str,
    seed: int,
) -> Planted:
    """Put the new texts into the second part of a stream of the others at VOLUME, and look.

    The stream is drawn from the texts: the ordinary ones without repetition, in a random order.
    """
    draw = np.random.default_rng(seed)
    ordinary, new = draw.permutation(np.flatnonzero(~is_new)), draw.permutation(np.flatnonzero(is_new))
    begins = min(len(ordinary) // 3, 8000)
    after = len(ordinary) - begins
    n_new = min(len(new), int(after * VOLUME / (1 - VOLUME)))
    places = np.sort(draw.choice(after + n_new, n_new, replace=False)) + begins
    stream = np.zeros(len(ordinary) + n_new, dtype=np.int64)
    planted = np.zeros(len(stream), dtype=bool)
    planted[places] = True
    stream[places], stream[~planted] = new[:n_new], ordinary
    flags = _flags(fit, texts, embeddings, stream)
    n_seen, share, n_quotes = None, 0.0, 0
    for one in flags:
        own = float(planted[list(one.members)].mean())
        if own >= 0.5 and n_seen is None:
            n_seen, share, n_quotes = int(planted[: one.position + 1].sum()), own, len(one.quotes)
    others = sum(float(planted[list(one.members)].mean()) < 0.5 for one in flags)
    shuffled = _flags(fit, texts, embeddings, draw.permutation(stream))
    return Planted(name, n_new, n_seen, share, n_quotes, others, len(shuffled))


def _flags(fit: ThemeFit, texts: list[str], embeddings: NDArray[np.floating], stream: NDArray[np.int64]):  # type: ignore[no-untyped-def]
    times = [START + timedelta(minutes=i) for i in range(len(stream))]
    return find_emerging(
        fit.space.place(embeddings[stream]),
        times,
        [str(i) for i in stream],
        [texts[i] for i in stream],
        radius=fit.radius,
    )
