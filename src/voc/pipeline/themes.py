"""Themes where areas meet: texts are scored, their embeddings fitted or assigned."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from voc.classify.scorer import Scorer
from voc.errors import BundleError, InputError
from voc.records import Theme
from voc.themes.assign import NONE
from voc.themes.emerging import Emerging, find_emerging
from voc.themes.fit import FitSettings, Fitted, fit_themes
from voc.themes.fits import ThemeFit

BATCH = 1024
Floats = NDArray[np.float32]
Progress = Callable[[int], None]
Finder = Callable[..., Fitted]


@dataclass(frozen=True, slots=True)
class Embedded:
    """Texts a bundle could read, with their unit embeddings (n, dim); `refused` counts the others by reason."""

    ids: list[str]
    texts: list[str]
    embeddings: Floats
    refused: dict[str, int]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one text belongs: `theme` None where it has none, `reason` where it could not be read."""

    theme: Theme | None
    similarity: float | None
    reason: str | None


def embed(scorer: Scorer, rows: Iterable[tuple[str, str]], *, progress: Progress | None = None) -> Embedded:
    """Embed (id, text) rows; texts that are empty or not supported are left out and counted."""
    ids: list[str] = []
    texts: list[str] = []
    parts: list[Floats] = []
    refused: dict[str, int] = {}
    stream = iter(rows)
    while batch := list(islice(stream, BATCH)):
        scores = scorer.score([text for _, text in batch])
        for (name, text), score in zip(batch, scores, strict=True):
            if score.embedding is None:
                refused[score.reason or "?"] = refused.get(score.reason or "?", 0) + 1
                continue
            ids.append(name)
            texts.append(text)
            parts.append(np.asarray(score.embedding, dtype=np.float32))
        if progress:
            progress(len(ids))
    return Embedded(ids, texts, np.array(parts, dtype=np.float32), refused)


def fit(
    embedded: Embedded,
    bundle: str,
    settings: FitSettings,
    *,
    previous: ThemeFit | None = None,
    recorded: dict[str, str | None] | None = None,
    afresh: bool = False,
    finder: Finder = fit_themes,
) -> Fitted:
    """Fit themes of embedded texts.

    Parameters
    ----------
    recorded : text id -> theme id as the previous fit's assignments.jsonl says; used where it knows a
        third of the texts or more, else the previous centroids say (which needs the same bundle)
    finder : another way to find the groups, called as `fit_themes`
    """
    before = None
    if previous is not None and recorded:
        known = sum(name in recorded for name in embedded.ids)
        if 3 * known >= len(embedded.ids) or previous.bundle != bundle:
            index = {theme.id: i for i, theme in enumerate(previous.themes)}
            index |= {old: i for i, theme in enumerate(previous.themes) for old in theme.merged}
            before = np.array([index.get(recorded.get(i) or "", NONE) for i in embedded.ids], dtype=np.int64)
    return finder(
        embedded.ids, embedded.texts, embedded.embeddings, bundle=bundle, settings=settings, previous=previous,
        before=before, afresh=afresh, created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def place(scorer: Scorer, fitted: ThemeFit, texts: Iterable[str]) -> Iterator[Placed]:
    """The theme of each text, in order, in constant memory."""
    must_fit(fitted, scorer.bundle.id)
    stream = iter(texts)
    while batch := list(islice(stream, BATCH)):
        scores = scorer.score(batch)
        yield from _placed(fitted, [s.embedding for s in scores], [s.reason for s in scores])


def _placed(
    fitted: ThemeFit, embeddings: Sequence[tuple[float, ...] | None], reasons: Sequence[str | None]
) -> Iterator[Placed]:
    there = [e for e in embeddings if e is not None]
    found = fitted.assign(np.array(there, dtype=np.float32)) if there else None
    i = 0
    for embedding, reason in zip(embeddings, reasons, strict=True):
        if embedding is None or found is None:
            yield Placed(None, None, reason)
            continue
        theme = int(found.theme[i])
        yield Placed(fitted.themes[theme] if theme != NONE else None, float(found.similarity[i]), None)
        i += 1


def find_emerging_themes(
    scorer: Scorer, fitted: ThemeFit, rows: Iterable[tuple[str, datetime, str]]
) -> tuple[list[Emerging], int]:
    """What emerges among (id, time, text) rows, taken in the order of their times, and how many were read."""
    must_fit(fitted, scorer.bundle.id)
    ordered = sorted(rows, key=lambda row: row[1])
    # Known by place: ids need not be unique, and texts the bundle cannot read are left out.
    embedded = embed(scorer, ((str(i), text) for i, (_, _, text) in enumerate(ordered)))
    kept = [ordered[int(i)] for i in embedded.ids]
    if not kept:
        return [], 0
    found = find_emerging(
        fitted.space.place(embedded.embeddings), [at for _, at, _ in kept], [name for name, _, _ in kept],
        embedded.texts, radius=fitted.radius,
    )  # fmt: skip
    return found, len(kept)


def must_fit(fitted: ThemeFit, bundle: str) -> None:
    """Raise BundleError unless the fit was made with this bundle's embeddings."""
    if fitted.bundle != bundle:
        raise BundleError(
            f"the themes were fitted with {fitted.bundle}, the bundle is {bundle}; "
            "fit them again, or name the other bundle with --bundle"
        )


def must_have_texts(embedded: Embedded, source: str) -> None:
    """Raise InputError where there is nothing to fit."""
    if not embedded.ids:
        raise InputError(
            f"none of the texts is supported ({embedded.refused})", file=source, remedy="give English texts"
        )
