"""MinHash signatures of texts in batches: texts alike share a band of their signature, others seldom do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.uint64]

SHINGLE = 5  # characters
BANDS, ROWS = (
    12,
    4,
)  # at Jaccard 0.8 a pair is found with probability 0.998; at 0.5, compared in vain with 0.54
MAX_CHARS = 20_000  # characters of a text that are looked at

_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
# Odd multipliers and offsets of the hash functions: drawn once, from a fixed seed, so that the same
# texts collapse on every machine.
_RANDOM = np.random.Generator(np.random.PCG64(20_240_117))
_FACTORS: Codes = _RANDOM.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS: Codes = _RANDOM.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
_BAND_OFFSETS: Codes = _RANDOM.integers(0, 2**63, BANDS, dtype=np.uint64)
_BAND_FACTORS: Codes = _RANDOM.integers(0, 2**63, ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)


def shingles(text: str) -> frozenset[str]:
    """The distinct character 5-grams of a text; the text itself where it is shorter."""
    text = text[:MAX_CHARS]
    return frozenset(text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared over all distinct shingles, in [0, 1]."""
    n_shared = len(a & b)
    return n_shared / (len(a) + len(b) - n_shared)


def band_keys(texts: Sequence[str]) -> list[list[int]]:
    """For each text, `BANDS` keys; two texts that share one are worth comparing.

    Source: Broder (1997), doi:10.1109/SEQUEN.1997.666900; banding as in Leskovec, Rajaraman and
    Ullman, Mining of Massive Datasets, section 3.4.
    """
    if not texts:
        return []
    hashes, starts = _hashed_shingles(texts)
    signatures = np.empty((len(texts), BANDS * ROWS), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for i in range(BANDS * ROWS):
            signatures[:, i] = np.minimum.reduceat(hashes * _FACTORS[i] + _OFFSETS[i], starts)
        bands = (_mixed(signatures).reshape(len(texts), BANDS, ROWS) * _BAND_FACTORS).sum(axis=2)
        bands = _mixed(bands + _BAND_OFFSETS)  # the same values in two bands make two keys
    keys: list[list[int]] = bands.tolist()
    return keys


def _hashed_shingles(texts: Sequence[str]) -> tuple[Codes, NDArray[np.intp]]:
    """All texts' shingles behind one another, and where each text's begin; no text is without one."""
    # Padding at the end gives short texts a whole shingle; NUL is in no text.
    padded = [text[:MAX_CHARS].ljust(SHINGLE, "\0") for text in texts]
    lengths = np.array([len(text) for text in padded])
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = codes.astype(np.uint64)
    n_windows = codes.size - SHINGLE + 1
    with np.errstate(over="ignore"):
        hashes = np.zeros(n_windows, dtype=np.uint64)
        for i in range(SHINGLE):
            hashes = hashes * _MIX[0] + codes[i : i + n_windows]
        hashes = _mixed(hashes)
    ends = np.cumsum(lengths)
    keep = np.ones(n_windows, dtype=bool)
    for back in range(1, SHINGLE):  # windows that reach over into the next text
        over = ends[:-1] - back
        keep[over] = False
    counts = lengths - SHINGLE + 1
    return hashes[keep], np.concatenate(([0], np.cumsum(counts)[:-1])).astype(np.intp)


def _mixed(codes: Codes) -> Codes:
    """Spread every input bit over all output bits (splitmix64's finaliser)."""
    codes = (codes ^ (codes >> np.uint64(30))) * _MIX[1]
    codes = (codes ^ (codes >> np.uint64(27))) * _MIX[2]
    return codes ^ (codes >> np.uint64(31))
