"""Themes of texts, found by the service's own method or by BERTopic on the bundle's embeddings.

    python -m training.themes fit TEXTS --output DIR [--previous FIT] [--method bertopic]

Both methods write the same folder, which `voc themes assign` reads without any of this. The own method
is `voc themes fit`; BERTopic (arXiv:2203.05794) at its defaults is the peer, and needs the `train` extra.
It gets the bundle's embeddings and loads no other encoder.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from voc.cli.themes import fit_to_folder
from voc.errors import InputError, UsageError, VocError
from voc.themes.assign import calibrate_none
from voc.themes.fit import FitSettings, Fitted, Grouped, finish, fit_themes
from voc.themes.groups import NEIGHBOURS, cells_of, means, nearest
from voc.themes.space import fit_space

TEXTS_A_CENTROID = 12
Ints = NDArray[np.int64]
app = typer.Typer(help="Find the themes of texts.", pretty_exceptions_enable=False)
_DEFAULT = FitSettings()


def bertopic_topics(texts: Sequence[str], embeddings: NDArray[np.floating], *, seed: int) -> Ints:
    """BERTopic's topic of each text at its defaults, -1 for its outliers; (n_texts,)."""
    from bertopic import BERTopic
    from umap import UMAP

    # BERTopic's own settings, and a seed.
    umap = UMAP(n_neighbors=15, n_components=5, min_dist=0.0, metric="cosine", random_state=seed, n_jobs=1)
    model = BERTopic(embedding_model=None, umap_model=umap)
    topics, _ = model.fit_transform(list(texts), np.asarray(embeddings, dtype=np.float32))
    return np.array(topics, dtype=np.int64)


def fit_bertopic(
    ids: Sequence[str],
    texts: Sequence[str],
    embeddings: NDArray[np.floating],
    *,
    settings: FitSettings,
    afresh: bool = True,
    **others: Any,
) -> Fitted:
    """A fit whose groups are BERTopic's topics; arguments as `voc.themes.fit.fit_themes` takes them.

    Its outliers go to their nearest topic, or to none, as texts do that come later. `afresh` changes
    nothing: BERTopic finds its topics anew each time.
    """
    topics = bertopic_topics(texts, embeddings, seed=settings.seed)
    kept = topics >= 0
    if not kept.any():
        raise InputError("BERTopic calls every text an outlier", remedy="give more texts")
    space = fit_space(embeddings)
    points = space.place(embeddings)[kept]
    cells = np.zeros(len(points), dtype=np.int64)
    for topic in range(int(topics.max()) + 1):
        members = topics[kept] == topic
        n_cells = max(1, int(members.sum()) // TEXTS_A_CENTROID)
        cells[members] = cells_of(points[members], n_cells) + cells.max() + 1
    cells = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    first = np.unique(cells, return_index=True)[1]
    _, cosines = nearest(points, min(NEIGHBOURS, len(points) - 1))
    grouped = Grouped(
        space,
        means(points, cells),
        topics[kept][first],
        np.bincount(cells).astype(np.int64),
        calibrate_none(points, cells, share=settings.none_share),
        float(np.median(cosines.min(axis=1))),
    )
    previous = others.get("previous")
    if previous is not None and others.get("before") is None and previous.bundle == others["bundle"]:
        others["before"] = previous.assign(embeddings).theme
    return finish(ids, texts, embeddings, grouped, settings=settings, method="BERTopic", **others)


@app.callback()
def main() -> None:
    """Find the themes of texts."""


@app.command()
def fit(
    texts: Annotated[str, typer.Argument(help="CSV, JSON Lines or Parquet; - for stdin")],
    output: Annotated[Path, typer.Option(help="folder for the fit")],
    previous: Annotated[Path | None, typer.Option(help="the fit before: its ids live on")] = None,
    afresh: Annotated[bool, typer.Option(help="find themes anew, then match them")] = False,
    method: Annotated[str, typer.Option(help="voc or bertopic")] = "voc",
    text: Annotated[str, typer.Option(help="field that holds the text")] = "text",
    id_field: Annotated[str, typer.Option("--id", help="field that names the row")] = "id",
    min_size: Annotated[int, typer.Option(help="texts that make a theme")] = _DEFAULT.min_size,
    none_share: Annotated[float, typer.Option(help="share of unseen texts for none")] = _DEFAULT.none_share,
    seed: Annotated[int, typer.Option()] = _DEFAULT.seed,
    bundle: Annotated[Path | None, typer.Option(help="folder of a bundle; else the live one")] = None,
) -> None:
    """Fit themes and write their folder."""
    finders = {"voc": fit_themes, "bertopic": fit_bertopic}
    if method not in finders:
        raise UsageError(f"there is no method '{method}'; choose one of {', '.join(finders)}")
    fit_to_folder(
        texts, output, previous=previous, afresh=afresh, text=text, id_field=id_field, bundle=bundle,
        settings=FitSettings(min_size=min_size, none_share=none_share, seed=seed), finder=finders[method],
    )  # fmt: skip


if __name__ == "__main__":
    try:
        app()
    except VocError as error:
        print(f"training.themes: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
