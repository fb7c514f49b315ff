"""What people read of themes: names, terms, quotes, and the wider themes that hold them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from voc.records import Theme
from voc.themes.quotes import choose_quotes
from voc.themes.space import Floats, unit
from voc.themes.terms import name_of, theme_terms

Ints = NDArray[np.int64]
THEMES_A_BROAD = 6  # on average


def describe(
    theme_ids: Sequence[str],
    old: Sequence[Theme | None],
    ids: Sequence[str],
    texts: Sequence[str],
    points: Floats,
    theme: Ints,
) -> tuple[Theme, ...]:
    """Themes with terms, name and quotes.

    What a person set in `old` (the theme each one carries on, or None) stays; so does a made name as
    long as one of its words still tells the theme apart.
    """
    terms = theme_terms(texts, theme, len(theme_ids))
    made = []
    for i, (theme_id, before) in enumerate(zip(theme_ids, old, strict=True)):
        members = np.flatnonzero(theme == i).tolist()
        name = name_of(terms[i])
        if before and (before.name_by or set(before.name.split(", ")) & set(terms[i])):
            name = before.name
        made.append(
            Theme(
                id=theme_id,
                name=name,
                terms=terms[i],
                n_texts=len(members),
                quotes=choose_quotes([ids[m] for m in members], [texts[m] for m in members], points[members]),
                owner=before.owner if before else None,
                name_by=before.name_by if before else None,
                owner_by=before.owner_by if before else None,
                merged=before.merged if before else (),
            )
        )
    return tuple(made)


def broader(
    themes: tuple[Theme, ...],
    centroids: Floats,
    theme_of: Ints,
    weight: Ints,
    texts: Sequence[str],
    theme: Ints,
) -> tuple[tuple[tuple[float, ...], ...], tuple[Theme, ...]]:
    """The hierarchy of themes (rows as scipy's linkage gives them), and the themes with their wider theme."""
    n_themes = len(themes)
    if n_themes < 3:
        return (), themes
    total = np.zeros((n_themes, centroids.shape[1]))
    np.add.at(total, theme_of, centroids.astype(np.float64) * weight[:, None])
    tree = linkage(unit(total).astype(np.float64), "ward")
    broad_of = np.unique(
        fcluster(tree, max(2, round(n_themes / THEMES_A_BROAD)), "maxclust"), return_inverse=True
    )[1]
    of_text = np.where(theme < 0, -1, broad_of[theme])
    names = [name_of(terms) for terms in theme_terms(texts, of_text, int(broad_of.max()) + 1)]
    rows = tuple(tuple(round(float(v), 6) for v in row) for row in tree)
    return rows, tuple(replace(t, broad=names[broad_of[i]]) for i, t in enumerate(themes))
