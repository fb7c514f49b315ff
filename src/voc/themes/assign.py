"""Assignment: which theme a text belongs to, from saved centroids, or none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voc.themes.space import Floats

Ints = NDArray[np.int64]
NONE = -1
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Assigned:
    """For each text: `theme` (n,) the index of its theme or NONE, `similarity` (n,) the cosine to the
    nearest centroid, `nearest` (n,) that centroid's row (also where the theme is NONE)."""

    theme: Ints
    similarity: Floats
    nearest: Ints


def assign(points: Floats, centroids: Floats, theme_of: Ints, threshold: float) -> Assigned:
    """Give each unit vector (n, d) the theme of its nearest centroid.

    Parameters
    ----------
    centroids : unit vectors (n_centroids, d); a theme may own several
    theme_of : (n_centroids,) the theme that owns each
    threshold : cosine below which a text has no theme
    """
    n = len(points)
    row = np.zeros(n, dtype=np.int64)
    similarity = np.full(n, -1.0, dtype=np.float32)
    if len(centroids):
        for start in range(0, n, _BLOCK):
            cosines = points[start : start + _BLOCK] @ centroids.T
            best = cosines.argmax(axis=1)
            row[start : start + _BLOCK] = best
            similarity[start : start + _BLOCK] = cosines[np.arange(len(best)), best]
        theme = np.where(similarity >= threshold, theme_of[row], NONE)
    else:
        theme = np.full(n, NONE, dtype=np.int64)
    return Assigned(theme.astype(np.int64), similarity, row)


def calibrate_none(points: Floats, cell_of: Ints, *, share: float) -> float:
    """The cosine below which `share` of unseen texts like these lies.

    Each text is held against its cell's mean without itself: a text pulls its own centroid close, and
    texts that come later do not. `cell_of` (n,) is each text's cell; cells of one text are left out.
    """
    n_cells = int(cell_of.max()) + 1
    total = np.zeros((n_cells, points.shape[1]))
    np.add.at(total, cell_of, points.astype(np.float64))
    size = np.bincount(cell_of, minlength=n_cells)
    kept = size[cell_of] > 1
    others = total[cell_of[kept]] - points[kept]
    lengths = np.maximum(np.linalg.norm(others, axis=1), 1e-12)
    cosine = (others * points[kept]).sum(axis=1) / lengths
    return float(np.quantile(cosine, share)) if len(cosine) else -1.0
