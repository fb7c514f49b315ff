"""A theme fit and its folder: themes.json (what people read and name) and two arrays (what assigns)."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voc.errors import InputError
from voc.records import Quote, Theme, ThemeEvent, ThemeFitInfo
from voc.themes.assign import Assigned, assign
from voc.themes.space import Floats, Space

FORMAT = 1
FILES = ("themes.json", "centroids.npy", "space.npy")
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ThemeFit:
    """Themes of one window of texts, and all that assigning and refitting need."""

    bundle: str  # "name/version" of the bundle whose embeddings these are
    method: str
    seed: int
    settings: Mapping[str, Any]
    n_texts: int
    fingerprint: str  # SHA-256 over the texts, whatever their order
    coverage: float  # share of the texts that have a theme
    threshold: float  # cosine to the nearest centroid below which a text has none
    radius: float  # cosine within which two texts are taken to say the same
    space: Space
    centroids: Floats  # (n_centroids, n_dimensions), unit rows
    theme_of: Ints  # (n_centroids,) the theme that owns each
    weight: Ints  # (n_centroids,) texts behind each
    themes: tuple[Theme, ...]
    tree: tuple[tuple[float, ...], ...] = ()  # hierarchy of the themes, rows as scipy's linkage gives them
    events: tuple[ThemeEvent, ...] = ()
    previous: str | None = None  # digest of the fit before
    created_at: str | None = None  # ISO 8601, UTC
    digest: str = field(default="", compare=False)

    def assign(self, embeddings: NDArray[np.floating]) -> Assigned:
        """Themes of embeddings (n, dim) of the fit's bundle."""
        return assign(self.space.place(embeddings), self.centroids, self.theme_of, self.threshold)

    def sealed(self) -> "ThemeFit":
        """The same fit with its digest: over what assigns, and not over names and owners."""
        return replace(self, digest=_digest(self))

    def info(self) -> ThemeFitInfo:
        """What the store keeps of it."""
        return ThemeFitInfo(**{name: getattr(self, name) for name in ThemeFitInfo.__dataclass_fields__})

    def index(self, theme: str) -> int:
        """Where a theme stands.

        Raises
        ------
        InputError
            There is none of that id.
        """
        for i, one in enumerate(self.themes):
            if one.id == theme or theme in one.merged:
                return i
        raise InputError(f"there is no theme '{theme}'", remedy="list them with `voc themes show`")


def _digest(fit: ThemeFit) -> str:
    sums = hashlib.sha256()
    ids = [theme.id for theme in fit.themes]
    head = [fit.bundle, fit.method, fit.seed, fit.fingerprint, fit.threshold, fit.previous, ids]
    sums.update(json.dumps(head).encode())
    for array, kind in (
        (fit.centroids, "<f4"), (fit.theme_of, "<i8"), (fit.space.mean, "<f4"), (fit.space.projection, "<f4"),
    ):  # fmt: skip
        sums.update(np.ascontiguousarray(array, kind).tobytes())
    return sums.hexdigest()


def save_fit(fit: ThemeFit, folder: Path) -> ThemeFit:
    """Write a fit into a folder, sealed; returns it so."""
    fit = fit.sealed()
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / FILES[1], fit.centroids.astype("<f4"))
    np.save(folder / FILES[2], np.column_stack([fit.space.mean, fit.space.projection]).astype("<f4"))
    head = {
        name: getattr(fit, name)
        for name in (
            "bundle method seed settings n_texts fingerprint coverage threshold radius previous created_at digest"
        ).split()
    }
    body = {
        "format": FORMAT,
        **head,
        "themes": [asdict(theme) for theme in fit.themes],
        "centroid_theme": fit.theme_of.tolist(),
        "centroid_weight": fit.weight.tolist(),
        "tree": [list(row) for row in fit.tree],
        "events": [asdict(event) for event in fit.events],
    }
    part = folder / f".{FILES[0]}.part"
    part.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(folder / FILES[0])
    return fit


def load_fit(folder: Path) -> ThemeFit:
    """Read a fit. Names, owners and quotes in themes.json may be edited by hand; the rest may not.

    Raises
    ------
    InputError
        A file is missing or broken, of another format, a theme has fewer than two texts, or what
        assigns is not what was written.
    """
    where = str(folder)
    again = "fit again with `voc themes fit`"
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"{name} is missing", file=where, remedy=again)
    try:
        body = json.loads((folder / FILES[0]).read_text(encoding="utf-8"))
        centroids = np.load(folder / FILES[1], allow_pickle=False)
        space = np.load(folder / FILES[2], allow_pickle=False)
        if body["format"] != FORMAT:
            raise InputError(f"is of format {body['format']}, not {FORMAT}", file=where, remedy=again)
        fit = _from_parts(body, centroids, space)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, OSError) as error:
        raise InputError(
            f"is not a theme fit ({type(error).__name__}: {error})", file=where, remedy=again
        ) from error
    for theme in fit.themes:
        if theme.n_texts < 2:
            raise InputError(
                f"theme {theme.id} has {theme.n_texts} text: one voice is no recurring topic",
                file=where, remedy=again,
            )  # fmt: skip
    if _digest(fit) != body["digest"]:
        raise InputError("the centroids, ids or threshold were changed", file=where, remedy=again)
    return fit


def _from_parts(body: dict[str, Any], centroids: Floats, space: Floats) -> ThemeFit:
    themes = tuple(
        Theme(**{
            **theme,
            "terms": tuple(theme["terms"]),
            "merged": tuple(theme["merged"]),
            "quotes": tuple(Quote(**quote) for quote in theme["quotes"]),
        })
        for theme in body["themes"]
    )  # fmt: skip
    theme_of = np.array(body["centroid_theme"], dtype=np.int64)
    if len(theme_of) != len(centroids) or (len(theme_of) and int(theme_of.max()) >= len(themes)):
        raise ValueError(f"{len(centroids)} centroids, owners for {len(theme_of)}, {len(themes)} themes")
    return ThemeFit(
        **{
            name: body[name]
            for name in (
                "bundle method seed settings n_texts fingerprint coverage threshold radius previous "
                "created_at digest"
            ).split()
        },
        space=Space(space[:, 0].astype(np.float32), space[:, 1:].astype(np.float32)),
        centroids=centroids.astype(np.float32),
        theme_of=theme_of,
        weight=np.array(body["centroid_weight"], dtype=np.int64),
        themes=themes,
        tree=tuple(tuple(row) for row in body["tree"]),
        events=tuple(ThemeEvent(**event) for event in body["events"]),
    )
