"""Grouping of texts without chance: fine cells, joined bottom-up, cut where the neighbour graph says.

Nothing is drawn at random, and the order of the texts does not matter: the same texts give the same groups.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from voc.themes.space import Floats, unit

Ints = NDArray[np.int64]

NEIGHBOURS = 12
MAX_CELLS = 1000
TEXTS_A_CELL = 12  # on average, up to MAX_CELLS
_LLOYD_ROUNDS = 15
_BLOCK = 2048  # rows of similarities in memory at a time


@dataclass(frozen=True, slots=True)
class Grouping:
    """Texts in cells, cells in groups.

    `cell_of` (n_texts,) is each text's cell, `group_of` (n_cells,) each cell's group; `radius` is the
    typical (median) cosine of a text and its farthest of `NEIGHBOURS` neighbours.
    """

    cell_of: Ints
    group_of: Ints
    radius: float


def group(points: Floats, *, granularity: float, n_groups: int | None, min_size: int) -> Grouping:
    """Group unit vectors (n, d).

    Each text is first moved towards its neighbours (twice), which closes gaps between wordings of one
    matter; k-means makes fine cells, Ward's method joins them; the cut is where the modularity of the
    neighbour graph at resolution `granularity` is highest, or at `n_groups`. Groups of fewer than
    `min_size` texts stay apart, for the caller to leave out.
    """
    neighbours, similarity = nearest(points, min(NEIGHBOURS, len(points) - 1))
    smooth = points
    for _ in range(2):
        smooth = unit(smooth[neighbours].mean(axis=1) + 0.5 * smooth)
    cells = cells_of(smooth, int(np.clip(len(points) // TEXTS_A_CELL, 2, MAX_CELLS)))
    centroids = means(smooth, cells)
    tree = linkage(centroids.astype(np.float64), "ward")
    n_max = max(1, min(len(centroids), len(points) // min_size))
    if n_groups is None:
        n_groups = _best_cut(tree, cells, neighbours, granularity, n_max)
    cut = fcluster(tree, min(n_groups, len(centroids)), "maxclust")
    _, group_of = np.unique(cut, return_inverse=True)
    return Grouping(cells, group_of.astype(np.int64), float(np.median(similarity.min(axis=1))))


def nearest(points: Floats, k: int) -> tuple[Ints, Floats]:
    """The k nearest others of each unit vector: indices and cosines, both (n, k), in no order."""
    n = len(points)
    indices = np.empty((n, k), dtype=np.int64)
    cosines = np.empty((n, k), dtype=np.float32)
    for start in range(0, n, _BLOCK):
        block = points[start : start + _BLOCK] @ points.T
        block[np.arange(len(block)), start + np.arange(len(block))] = -2
        chosen = np.argpartition(-block, k - 1, axis=1)[:, :k]
        indices[start : start + _BLOCK] = chosen
        cosines[start : start + _BLOCK] = np.take_along_axis(block, chosen, axis=1)
    return indices, cosines


def cells_of(points: Floats, n_cells: int) -> Ints:
    """Spherical k-means from seeds spread evenly along the points' main axis; cells are numbered from 0."""
    axis = points[:, 0]  # the space's first direction has the largest variance
    order = np.lexsort((points[:, 1] if points.shape[1] > 1 else axis, axis))
    seeds = order[np.linspace(0, len(points) - 1, min(n_cells, len(points))).round().astype(int)]
    centroids = points[seeds]
    for _ in range(_LLOYD_ROUNDS):
        cells = _closest(points, centroids)
        centroids = means(points, np.unique(cells, return_inverse=True)[1])
    return np.unique(_closest(points, centroids), return_inverse=True)[1].astype(np.int64)


def means(points: Floats, cells: Ints) -> Floats:
    """Unit mean of each cell, (n_cells, d)."""
    order = np.argsort(cells, kind="stable")
    first = np.unique(cells[order], return_index=True)[1]
    return unit(np.add.reduceat(points[order].astype(np.float64), first, axis=0))


def _closest(points: Floats, centroids: Floats) -> Ints:
    parts = [(points[i : i + _BLOCK] @ centroids.T).argmax(axis=1) for i in range(0, len(points), _BLOCK)]
    return np.concatenate(parts).astype(np.int64)


def _best_cut(
    tree: NDArray[np.float64], cells: Ints, neighbours: Ints, granularity: float, n_max: int
) -> int:
    """The number of groups with the highest modularity (Reichardt and Bornholdt, arXiv:cond-mat/0603718)."""
    n_cells = int(cells.max()) + 1
    between = np.zeros((n_cells, n_cells))
    np.add.at(between, (cells.repeat(neighbours.shape[1]), cells[neighbours].ravel()), 1.0)
    between = (between + between.T) / (2 * neighbours.size)
    candidates = np.unique(np.geomspace(1, max(2, n_max), 60).round().astype(int))
    best, best_n = -np.inf, 1
    for n in candidates:
        _, of = np.unique(fcluster(tree, n, "maxclust"), return_inverse=True)
        member = np.zeros((n_cells, int(of.max()) + 1))
        member[np.arange(n_cells), of] = 1.0
        within = member.T @ between @ member
        value = np.trace(within) - granularity * float((within.sum(axis=1) ** 2).sum())
        if value > best + 1e-12:
            best, best_n = value, int(n)
    return best_n
