"""False discovery rate: q-values over everything tested in a run, honest for one-sided findings too."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjusted p-values, shape as given, in [0, 1], never under the p-value they come from.

    Benjamini-Hochberg rather than Benjamini-Yekutieli: pairs share cases and so are positively
    dependent, the case in which BH holds (Benjamini and Yekutieli 2001, theorem 1.2). BY would divide
    the rate by ln(number of pairs), near 8 for a thousand, and lose real findings for nothing.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[::-1]
    ranks = np.arange(len(p), 0, -1)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(np.minimum(1.0, p[order] * len(p) / ranks))
    return q


def directional_q_values(p_values: Floats, positive: npt.NDArray[np.bool_]) -> Floats:
    """q-values that hold over all pairs and, at the same time, among the pairs of each direction.

    Only pairs with an odds ratio above 1 are reported. Plain BH over both directions would let a run
    with many strong inverse pairs loosen the cut for the reported ones; given its direction a null
    p-value is still uniform, so BH within a direction holds there. The larger of the two is kept.
    """
    overall = benjamini_hochberg(p_values)
    within = np.ones_like(overall)
    for side in (positive, ~positive):
        within[side] = benjamini_hochberg(np.asarray(p_values)[side])
    result: Floats = np.maximum(overall, within)
    return result
