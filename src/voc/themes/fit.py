"""Fitting themes: texts and embeddings in, a fit out; afresh, or going on from the fit before."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from voc.errors import InputError, UsageError
from voc.records import ThemeEvent
from voc.themes.assign import NONE, Assigned, assign, calibrate_none
from voc.themes.describe import broader, describe
from voc.themes.fits import ThemeFit
from voc.themes.groups import group, means
from voc.themes.lineage import events_of, join_merged, match_themes
from voc.themes.space import Floats, Space, fit_space, unit

Ints = NDArray[np.int64]
METHOD = "cells joined by Ward's method"
MOST_FITTED = 20_000  # texts that groups are found on; the others are assigned to them


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How themes are found."""

    granularity: float = 10.0  # resolution of the modularity that picks how many themes: more is finer
    n_themes: int | None = None  # a number of themes in place of that
    min_size: int = 10  # texts that make a theme
    none_share: float = 0.05  # share of unseen texts like these that shall have no theme
    seed: int = 0  # the order texts are taken in; the result does not depend on it


@dataclass(frozen=True, slots=True)
class Grouped:
    """Centroids with their owners, before they have ids."""

    space: Space
    centroids: Floats
    theme_of: Ints
    weight: Ints
    threshold: float
    radius: float


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fit with what it says of the texts it was made from, in their order."""

    fit: ThemeFit
    assigned: Assigned


def fit_themes(
    ids: Sequence[str],
    texts: Sequence[str],
    embeddings: NDArray[np.floating],
    *,
    bundle: str,
    settings: FitSettings,
    previous: ThemeFit | None = None,
    before: Ints | None = None,
    afresh: bool = False,
    created_at: str | None = None,
) -> Fitted:
    """Find the themes of texts.

    With `previous`, of the same bundle and not `afresh`, its themes stay where they are, drift with the
    texts, die where they have too few, and what fits none of them may bear new ones. Otherwise themes are
    found anew and matched to the previous ones by the texts they share.

    Parameters
    ----------
    embeddings : (n_texts, dim), by the bundle
    before : (n_texts,) each text's theme in `previous` as it was recorded, negative for none; None: as
        the previous fit's centroids say (same bundle only)

    Raises
    ------
    InputError
        There are too few texts, or none alike.
    UsageError
        A setting cannot be meant.
    """
    _check(settings, texts)
    order = np.random.default_rng(settings.seed).permutation(len(texts))
    if previous is not None and before is None:
        if previous.bundle != bundle:
            raise InputError(
                f"the previous fit is of {previous.bundle}, these embeddings of {bundle}",
                remedy="keep its assignments.jsonl beside it, or name the bundle it was fitted with",
            )
        before = previous.assign(embeddings).theme
    if previous is not None and previous.bundle == bundle and not afresh:
        grouped = go_on(previous, previous.space.place(embeddings)[order], settings)
    else:
        grouped = find_groups(embeddings[order], settings)
    if previous is not None and before is not None and (afresh or previous.bundle != bundle):
        grouped = _keep_merged(previous, grouped, embeddings, before)
    return finish(
        ids, texts, embeddings, grouped, bundle=bundle, settings=settings, method=METHOD,
        previous=previous, before=before, created_at=created_at,
    )  # fmt: skip


def finish(
    ids: Sequence[str],
    texts: Sequence[str],
    embeddings: NDArray[np.floating],
    grouped: Grouped,
    *,
    bundle: str,
    settings: FitSettings,
    method: str,
    previous: ThemeFit | None = None,
    before: Ints | None = None,
    created_at: str | None = None,
) -> Fitted:
    """Give groups ids, names, quotes, a hierarchy and a lineage: whoever found them."""
    points = grouped.space.place(embeddings)
    grouped, assigned = _without_small(points, grouped, settings.min_size)
    n_themes = int(grouped.theme_of.max()) + 1
    fingerprint = _fingerprint(texts)
    new_ids = [_new_id(fingerprint, bundle, method, i) for i in range(n_themes)]
    events: tuple[ThemeEvent, ...] = ()
    origin = np.full(n_themes, -1, dtype=np.int64)
    if previous is not None and before is not None:
        match = match_themes(before, assigned.theme, len(previous.themes), n_themes)
        origin = match.origin
        new_ids = [previous.themes[i].id if i >= 0 else new_ids[j] for j, i in enumerate(origin.tolist())]
        events = events_of(match, [t.id for t in previous.themes], new_ids)
    old = [None if previous is None or i < 0 else previous.themes[i] for i in origin.tolist()]
    themes = describe(new_ids, old, ids, texts, points, assigned.theme)
    tree, themes = broader(themes, grouped.centroids, grouped.theme_of, grouped.weight, texts, assigned.theme)
    fit = ThemeFit(
        bundle=bundle, method=method, seed=settings.seed, settings=asdict(settings), n_texts=len(texts),
        fingerprint=fingerprint, coverage=float((assigned.theme != NONE).mean()),
        threshold=grouped.threshold, radius=grouped.radius, space=grouped.space,
        centroids=grouped.centroids, theme_of=grouped.theme_of, weight=grouped.weight, themes=themes, tree=tree,
        events=events, previous=previous.digest if previous else None, created_at=created_at,
    )  # fmt: skip
    return Fitted(fit.sealed(), assigned)


def find_groups(embeddings: NDArray[np.floating], settings: FitSettings) -> Grouped:
    """Group texts afresh; where there are more than MOST_FITTED, on an even sample along their main axis."""
    space = fit_space(embeddings)
    points = space.place(embeddings)
    if len(points) > MOST_FITTED:
        along = np.argsort(points[:, 0], kind="stable")
        points = points[along[np.linspace(0, len(points) - 1, MOST_FITTED).round().astype(int)]]
    found = group(
        points,
        granularity=settings.granularity,
        n_groups=settings.n_themes,
        min_size=settings.min_size,
    )
    threshold = calibrate_none(points, found.cell_of, share=settings.none_share)
    weight = np.bincount(found.cell_of).astype(np.int64)
    return Grouped(space, means(points, found.cell_of), found.group_of, weight, threshold, found.radius)


def go_on(previous: ThemeFit, points: Floats, settings: FitSettings) -> Grouped:
    """The previous fit's groups moved with the texts, and new ones among texts that fit none.

    A centroid moves to the mean of the texts that were behind it and those that are now. A new group
    must be as tight as the texts that have themes are, and no fringe of an old one.
    """
    now = assign(points, previous.centroids, previous.theme_of, previous.threshold)
    total = previous.centroids.astype(np.float64) * previous.weight[:, None]
    placed = now.theme != NONE
    np.add.at(total, now.nearest[placed], points[placed].astype(np.float64))
    weight = np.bincount(now.nearest[placed], minlength=len(previous.weight)).astype(np.int64)
    centroids, theme_of = unit(total), previous.theme_of
    loose = points[~placed]
    if len(loose) >= 2 * settings.min_size:
        # Resolution is relative to all texts: a part of them is cut as finely as the whole would be.
        share = len(loose) / len(points)
        found = group(
            loose, granularity=settings.granularity * share, n_groups=None, min_size=settings.min_size
        )
        of_text = found.group_of[found.cell_of]
        for i in range(int(found.group_of.max()) + 1):
            members = loose[of_text == i]
            tight = calibrate_none(members, np.zeros(len(members), dtype=np.int64), share=0.5)
            middle = unit(members.mean(axis=0, keepdims=True))
            fringe = float((middle @ previous.centroids.T).max()) >= previous.threshold  # of an old theme
            if len(members) < settings.min_size or tight < previous.threshold or fringe:
                continue
            born = (middle @ centroids[len(previous.centroids) :].T)[0]
            same = len(born) and born.max() >= previous.threshold  # two births this close are one
            owner = theme_of[len(previous.centroids) + born.argmax()] if same else theme_of.max() + 1
            centroids = np.vstack([centroids, middle])
            theme_of = np.append(theme_of, owner)
            weight = np.append(weight, len(members))
    return Grouped(
        previous.space, centroids, theme_of, np.maximum(weight, 1), previous.threshold, previous.radius
    )


def _keep_merged(
    previous: ThemeFit, grouped: Grouped, embeddings: NDArray[np.floating], before: Ints
) -> Grouped:
    merged = [i for i, theme in enumerate(previous.themes) if theme.merged]
    if not merged:
        return grouped
    now = assign(
        grouped.space.place(embeddings), grouped.centroids, grouped.theme_of, grouped.threshold
    ).theme
    target = join_merged(before, now, int(grouped.theme_of.max()) + 1, merged)
    return Grouped(
        grouped.space, grouped.centroids, target[grouped.theme_of], grouped.weight, grouped.threshold, grouped.radius
    )  # fmt: skip


def _without_small(points: Floats, grouped: Grouped, min_size: int) -> tuple[Grouped, Assigned]:
    """Groups of `min_size` texts or more, largest first; the others' texts go to the next nearest, or none."""
    centroids, theme_of, weight = grouped.centroids, grouped.theme_of, grouped.weight
    while True:
        theme_of = np.unique(theme_of, return_inverse=True)[1].astype(np.int64)
        assigned = assign(points, centroids, theme_of, grouped.threshold)
        n_themes = int(theme_of.max()) + 1 if len(theme_of) else 0
        sizes = np.bincount(assigned.theme[assigned.theme != NONE], minlength=n_themes)
        large = sizes[theme_of] >= min_size
        if large.all():
            break
        centroids, theme_of, weight = centroids[large], theme_of[large], weight[large]
    if not n_themes:
        raise InputError(
            f"no group of {min_size} or more texts was found",
            remedy="give more texts, or a smaller --min-size",
        )
    rank = np.empty(n_themes, dtype=np.int64)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(n_themes)
    theme_of = rank[theme_of]
    theme = np.where(assigned.theme == NONE, NONE, rank[assigned.theme])
    return (
        Grouped(grouped.space, centroids, theme_of, weight, grouped.threshold, grouped.radius),
        Assigned(theme, assigned.similarity, assigned.nearest),
    )


def _check(settings: FitSettings, texts: Sequence[str]) -> None:
    if settings.min_size < 2:
        raise UsageError(f"a theme of {settings.min_size} text is none; give a minimum size of 2 or more")
    if not 0 <= settings.none_share < 1:
        raise UsageError(f"{settings.none_share:g} is no share of texts; give one from 0 to below 1")
    if settings.n_themes is not None and settings.n_themes < 1:
        raise UsageError(f"{settings.n_themes} themes cannot be found; give 1 or more")
    if settings.granularity <= 0:
        raise UsageError(f"the granularity is {settings.granularity:g}; give one above 0")
    if len(texts) < 2 * settings.min_size:
        raise InputError(
            f"{len(texts)} texts are too few for themes of {settings.min_size}",
            remedy=f"give {2 * settings.min_size} or more, or a smaller --min-size",
        )


def _fingerprint(texts: Sequence[str]) -> str:
    return hashlib.sha256(b"".join(sorted(hashlib.sha256(t.encode()).digest() for t in texts))).hexdigest()


def _new_id(fingerprint: str, bundle: str, method: str, index: int) -> str:
    """An id that no other fit gives: two companies' themes never share one by chance."""
    return "t" + hashlib.sha256(f"{fingerprint} {bundle} {method} {index}".encode()).hexdigest()[:8]
