"""Figures about groups of texts: against labels, against words, against one another."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from voc.themes.terms import terms_of

Ints = NDArray[np.int64]


def _table(a: Ints, b: Ints) -> NDArray[np.float64]:
    rows, columns = np.unique(a, return_inverse=True)[1], np.unique(b, return_inverse=True)[1]
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    return table


def adjusted_rand(a: Ints, b: Ints) -> float:
    """Adjusted Rand index of two groupings; 1: the same, 0: as by chance. -1 is a group like any other."""
    table = _table(a, b)
    pairs = lambda n: float((n * (n - 1) / 2).sum())  # noqa: E731
    together, first, second = pairs(table), pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    expected = first * second / max(1.0, len(a) * (len(a) - 1) / 2)
    most = (first + second) / 2
    return 1.0 if most == expected else (together - expected) / (most - expected)


def normalised_mutual_information(a: Ints, b: Ints) -> float:
    """Mutual information over the mean of the two entropies, in [0, 1]."""
    joint = _table(a, b) / len(a)
    pa, pb = joint.sum(axis=1), joint.sum(axis=0)
    there = joint > 0
    mutual = float((joint[there] * np.log(joint[there] / np.outer(pa, pb)[there])).sum())
    entropy = -float((pa * np.log(pa)).sum()) - float((pb * np.log(pb)).sum())
    return 1.0 if entropy == 0 else 2 * mutual / entropy


def purity(theme: Ints, label: Ints) -> float:
    """Share of the texts with a theme that carry their theme's commonest label."""
    kept = theme >= 0
    return float(_table(theme[kept], label[kept]).max(axis=1).sum() / kept.sum()) if kept.any() else 0.0


def coherence(terms: Sequence[Sequence[str]], texts: Sequence[str]) -> float:
    """Mean NPMI over pairs of a theme's terms, counted over texts; in [-1, 1] (Bouma 2009)."""
    wanted = {term for theme in terms for term in theme}
    where: dict[str, set[int]] = {term: set() for term in wanted}
    for i, text in enumerate(texts):
        for term in terms_of(text) & wanted:
            where[term].add(i)
    values = []
    for theme in terms:
        for a, b in combinations(theme, 2):
            both = len(where[a] & where[b]) / len(texts)
            apart = len(where[a]) * len(where[b]) / len(texts) ** 2
            if apart == 0:
                continue
            values.append(-1.0 if both == 0 else 1.0 if both == 1 else np.log(both / apart) / -np.log(both))
    return float(np.mean(values)) if values else 0.0


def diversity(terms: Sequence[Sequence[str]]) -> float:
    """Share of terms over all themes that are of one theme alone."""
    every = [term for theme in terms for term in theme]
    return len(set(every)) / max(1, len(every))
