"""The space themes live in: embeddings centred, their directions evened out, unit length."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voc.errors import InputError

Floats = NDArray[np.float32]

DIMENSIONS = 128  # of the bundle's; the rest is mostly noise
EVENING = 0.5  # 0 leaves the variances as they are, 1 makes them equal; measured, see decision 6


@dataclass(frozen=True, slots=True)
class Space:
    """An affine map of embeddings.

    An encoder trained to classify puts all its texts into a narrow cone: without centring, any two
    texts are alike, and a few directions (how angry, how long) drown what the text is about.
    """

    mean: Floats  # (dim,)
    projection: Floats  # (dim, n_dimensions)

    def place(self, embeddings: NDArray[np.floating]) -> Floats:
        """Embeddings (n, dim) as unit vectors of this space, (n, n_dimensions).

        Raises
        ------
        InputError
            The embeddings are of another size: of another bundle.
        """
        if embeddings.ndim != 2 or embeddings.shape[1] != len(self.mean):
            raise InputError(
                f"embeddings are {embeddings.shape}, the fit is of size {len(self.mean)}",
                remedy="use the bundle that the themes were fitted with, or fit again",
            )
        return unit((embeddings.astype(np.float32) - self.mean) @ self.projection)


def fit_space(embeddings: NDArray[np.floating]) -> Space:
    """Learn mean and directions from embeddings (n, dim)."""
    mean = embeddings.mean(axis=0, dtype=np.float64)
    centred = embeddings - mean
    variance, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    largest = np.argsort(-variance, kind="stable")[:DIMENSIONS]
    largest = largest[variance[largest] > variance.max() * 1e-6]
    kept = directions[:, largest]
    # A direction's sign is arbitrary: fix it, so that equal data give equal files.
    kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    scale = variance[largest] ** (-EVENING / 2)
    return Space(mean.astype(np.float32), (kept * scale).astype(np.float32))


def unit(vectors: NDArray[np.floating]) -> Floats:
    """Rows at unit length; a zero row stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled
